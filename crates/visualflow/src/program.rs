//! A compiled flow: nodes by index, edges resolved.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use ag_kernel::{Interrupt, StepEnv, StepPlan, Workflow};
use ag_types::{Object, RunState};
use serde_json::Value;

use crate::{
    document::NodeConfig,
    exec,
    node::{BranchFn, FunctionFn, NodeCatalogue, OnInputError, OutputsFn, PlanFn, PureFn},
};

/// Position of a node in [`Program::nodes`].
pub(crate) type NodeIx = u32;

/// A flow document lowered for execution. Immutable; shared by all runs of the flow.
pub struct Program {
    pub(crate) flow_id: Arc<str>,
    pub(crate) entry: NodeIx,
    pub(crate) nodes: Vec<Node>,
    /// Nodes that the cursor can stand on, by id.
    pub(crate) by_id: HashMap<Box<str>, NodeIx>,
    /// Effect nodes whose main output is also written to a variable (`data.outputKey`).
    pub(crate) write_through: Vec<NodeIx>,
    pub(crate) survey: Survey,
}

/// What a program asks of who executes it.
#[derive(Default)]
pub(crate) struct Survey {
    /// Some node names a pool.
    pinned: bool,
    needs_workspace: bool,
    unknown_types: Vec<Box<str>>,
}

/// One node of a program.
pub(crate) struct Node {
    pub(crate) id: Box<str>,
    pub(crate) config: NodeConfig,
    /// The cursor can stand on it, if the entry reaches it.
    pub(crate) executable: bool,
    /// What executing it does; `None` for nodes that only supply data, or that the entry does not reach.
    pub(crate) action: Option<Action>,
    /// Where its output pins come from.
    pub(crate) source: Source,
    pub(crate) on_input_error: OnInputError,
    /// First output pin of the type: the value that `outputKey` of an effect node writes.
    pub(crate) main_output: Option<&'static str>,
    /// Connected data inputs in edge order.
    pub(crate) wires: Vec<Wire>,
    /// What to do with each entry of `pinDefaults`, in the order of that object.
    pub(crate) defaults: Vec<DefaultRule>,
    /// Outgoing exec edges.
    pub(crate) exits: Vec<Exit>,
    /// True if the exits are branches (`true`, `false`, `default`, `case:*`), chosen by the node's result.
    pub(crate) branches: bool,
    /// Output pins that some edge reads.
    pub(crate) reads: Vec<Box<str>>,
    /// True if more than one edge reads from this node.
    pub(crate) shared: bool,
}

/// A data edge into a node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wire {
    pub(crate) from: NodeIx,
    pub(crate) handle: Box<str>,
    pub(crate) pin: Box<str>,
}

/// An exec edge out of a node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exit {
    pub(crate) handle: Box<str>,
    pub(crate) to: NodeIx,
}

/// How a pin default applies (spec §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DefaultRule {
    /// The pin is connected: never.
    Never,
    /// A declared pin: over the ambient value.
    Override,
    /// An undeclared pin: only where nothing else is.
    FillGap,
}

/// An incoming route of a join.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Route {
    pub(crate) from: Box<str>,
    pub(crate) handle: Box<str>,
}

/// What executing a node does.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Function(FunctionFn),
    /// A pure node saved with execution pins.
    PureFunction(PureFn),
    /// A path mux saved with execution pins.
    MuxFunction,
    /// An unknown type: its input is its result.
    Identity,
    Branch(BranchFn),
    Effect(PlanFn),
    End,
    Join(Vec<Route>),
    /// Exits in the order in which they run.
    Sequence(Vec<u32>),
    Parallel(Vec<u32>),
    Loop,
    For,
    While,
}

/// Where the output pins of a node come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// Nowhere (nodes that cannot have run).
    Nothing,
    /// `{value: literalValue}`.
    Literal,
    /// `_temp.node_outputs.<node>`.
    Stored,
    /// Mapped from the raw effect result.
    Effect(OutputsFn),
    /// Evaluated on demand.
    Pure(PureFn),
    Mux,
    Identity,
    /// Function and branch types saved without execution pins: evaluated on demand, their changes are lost.
    Function(FunctionFn),
    Branch(BranchFn),
}

impl Source {
    /// True if reading an output means evaluating the node with its own inputs.
    pub(crate) fn is_computed(self) -> bool {
        !matches!(
            self,
            Self::Nothing | Self::Literal | Self::Stored | Self::Effect(_)
        )
    }
}

impl Node {
    /// The exit with this handle.
    pub(crate) fn exit(&self, handle: &str) -> Option<&Exit> {
        self.exits.iter().find(|exit| &*exit.handle == handle)
    }
    /// True if an edge reads this output pin.
    pub(crate) fn reads_output(&self, pin: &str) -> bool {
        self.reads.iter().any(|read| &**read == pin)
    }
    /// A non-empty text of `data`.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.config
            .data
            .get(key)?
            .as_str()
            .filter(|text| !text.is_empty())
    }
    fn in_program(&self) -> bool {
        self.action.is_some()
            || (self.source.is_computed() || matches!(self.source, Source::Literal)) && !self.reads.is_empty()
    }
}

/// A node that runs another flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubflowRef<'a> {
    /// Node id.
    pub node_id: &'a str,
    /// Flow it names, as saved (`data.subflowId` or an alias).
    pub flow_id: &'a str,
}

/// An agent node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AgentRef<'a> {
    /// Node id.
    pub node_id: &'a str,
    /// Its saved configuration.
    pub config: &'a NodeConfig,
    /// `data.agentConfig`.
    pub agent_config: Option<&'a Object>,
}

impl Program {
    /// Workflow id of the flow document, namespaced by its bundle where it has one.
    pub fn flow_id(&self) -> &str {
        &self.flow_id
    }

    /// Wire types of the nodes that this program executes or evaluates, repeated as they occur.
    pub fn node_types(&self) -> impl Iterator<Item = &str> {
        self.nodes
            .iter()
            .filter(|node| node.in_program())
            .map(|node| node.config.kind.as_str())
    }

    /// True if a node of this type is executed or evaluated.
    pub fn uses(&self, kind: &str) -> bool {
        self.node_types().any(|used| used == kind)
    }

    /// Ids of all `on_event` nodes of the document, those included that the entry does not reach: each is the entry
    /// of a listener program (`compile` with that id as entry).
    pub fn listeners(&self) -> impl Iterator<Item = &str> {
        self.of_kind("on_event").map(|node| &*node.id)
    }

    /// Flows named by subflow nodes of the document.
    pub fn subflows(&self) -> impl Iterator<Item = SubflowRef<'_>> {
        self.of_kind("subflow").filter_map(|node| {
            let flow_id = ["subflowId", "flowId", "workflowId", "workflow_id"]
                .iter()
                .find_map(|key| node.text(key))?;
            Some(SubflowRef {
                node_id: &node.id,
                flow_id,
            })
        })
    }

    /// Agent nodes of the document.
    pub fn agents(&self) -> impl Iterator<Item = AgentRef<'_>> {
        self.of_kind("agent").map(|node| AgentRef {
            node_id: &node.id,
            config: &node.config,
            agent_config: node.config.data.get("agentConfig").and_then(Value::as_object),
        })
    }

    /// Looks once at what each run would otherwise look for.
    pub(crate) fn survey(&mut self, catalogue: &dyn NodeCatalogue) {
        let mut unknown = BTreeSet::new();
        let mut needs_workspace = false;
        for node in self.nodes.iter().filter(|node| node.in_program()) {
            let kind = node.config.kind.as_str();
            needs_workspace |= catalogue.needs_workspace(kind);
            let identity = match &node.action {
                Some(action) => matches!(action, Action::Identity),
                None => matches!(node.source, Source::Identity),
            };
            if identity && catalogue.find(kind).is_none() {
                unknown.insert(kind);
            }
        }
        self.survey = Survey {
            pinned: self
                .by_id
                .values()
                .any(|&ix| self.node(ix).text("pool").is_some()),
            needs_workspace,
            unknown_types: unknown.into_iter().map(Box::from).collect(),
        };
    }

    /// Number of nodes, synthetic ones included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never true: a program has an entry node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Configuration of the node that a cursor with this id stands on.
    pub fn config(&self, node_id: &str) -> Option<&NodeConfig> {
        self.by_id.get(node_id).map(|&ix| &self.node(ix).config)
    }

    pub(crate) fn node(&self, ix: NodeIx) -> &Node {
        &self.nodes[ix as usize]
    }

    /// Executable nodes of a type, reached or not.
    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Node> {
        self.nodes
            .iter()
            .filter(move |node| node.executable && node.config.kind == kind)
    }
}

impl Workflow for Program {
    fn entry_node(&self) -> &str {
        &self.node(self.entry).id
    }

    fn plan(&self, run: &mut RunState, env: &StepEnv<'_>) -> Result<StepPlan, Interrupt> {
        exec::plan(self, run, env)
    }

    fn pool(&self, node: &str) -> Option<&str> {
        // Asked before every step, answered by almost no flow.
        if !self.survey.pinned {
            return None;
        }
        self.by_id.get(node).and_then(|&ix| self.node(ix).text("pool"))
    }

    fn needs_workspace(&self) -> bool {
        self.survey.needs_workspace
    }

    fn unknown_types(&self) -> &[Box<str>] {
        &self.survey.unknown_types
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("flow_id", &self.flow_id)
            .field("entry", &self.entry_node())
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}
