//! What can be wrong with a flow document. The texts belong to the contract (spec §1).

use ag_kernel::Exception;

use crate::document::DocumentError;

/// A flow that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Not a flow document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Neither the document nor the caller names the flow.
    #[error("VisualFlow missing required 'id'")]
    MissingId,
    /// More nodes or edges than an index can count.
    #[error("Invalid flow: Flow has too many nodes or edges")]
    TooLarge,
    /// No node to begin with.
    #[error("Invalid flow: Flow must have an entry node")]
    NoEntry,
    /// The caller's entry is not an executable node of the flow.
    #[error("Invalid flow: Entry node '{0}' is not an executable node")]
    UnknownEntry(String),
    /// Two reachable nodes share an id.
    #[error("Node '{node}' already exists in flow '{flow}'")]
    DuplicateNode {
        /// Repeated id.
        node: String,
        /// Workflow id.
        flow: String,
    },
    /// Two data edges enter one pin.
    #[error(
        "Multiple data edges target the same input pin. Target '{target}' is already wired from '{first}' and cannot also be wired from '{second}'. Use multi-entry route overrides for per-execution-path values instead of wiring duplicate data inputs."
    )]
    DuplicateDataEdge {
        /// `<node>.<pin>`.
        target: String,
        /// Source of the first edge.
        first: String,
        /// Source of the second edge.
        second: String,
    },
    /// Exec edges that are not branches.
    #[error("Node '{0}' has multiple outgoing edges. Branching is not yet supported.")]
    MultipleExits(String),
    /// An exec edge from an unknown output.
    #[error("Node '{node}' has unsupported branching output '{handle}'. Branching is not yet supported.")]
    UnknownExit {
        /// Node id.
        node: String,
        /// Output pin.
        handle: String,
    },
    /// Exec edges from outputs that a control node does not have.
    #[error("Control node '{node}' has unsupported execution outputs: {handles}")]
    UnknownControlExits {
        /// Node id.
        node: String,
        /// Python list of the pins.
        handles: String,
    },
    /// A join that leads nowhere.
    #[error("Join Exec node '{0}' must have an outgoing exec edge.")]
    JoinWithoutExit(String),
    /// Saved routes and exec edges disagree.
    #[error(
        "Node '{node}' entryRoutes mismatch with incoming exec edges. missing={missing} extra={extra}. Reconnect the exec wires or resave the flow."
    )]
    RoutesMismatch {
        /// Node id.
        node: String,
        /// Python list of routes without an edge.
        missing: String,
        /// Python list of edges without a route.
        extra: String,
    },
    /// A saved route is listed twice.
    #[error(
        "Node '{node}' has a duplicate entryRoutes entry '{route}'. Reconnect the exec wires or resave the flow."
    )]
    DuplicateRoute {
        /// Node id.
        node: String,
        /// Key or `<node>::<handle>`.
        route: String,
    },
}

impl From<CompileError> for Exception {
    /// All compile errors are `ValueError`s to clients.
    fn from(error: CompileError) -> Self {
        Self::value(error.to_string())
    }
}
