//! What a node type is: data ([`NodeSpec`]) and a small function ([`Behaviour`]).
//!
//! Node types live in the crate `nodes`, one file each, and reach this crate through a [`NodeCatalogue`]. The
//! executor knows none of them by name except the structural ones (start, end, control, join, mux).

use ag_kernel::{Exception, Interrupt, StepEnv};
use ag_types::{EffectKind, Object, RunHead};
use serde_json::Value;

use crate::document::NodeConfig;

/// A pin as the editor's catalogue shows it.
#[derive(Debug, Clone, Copy)]
pub struct PinSpec {
    /// Pin id, as edges name it.
    pub id: &'static str,
    /// Pin type (visualflow spec §1).
    pub kind: &'static str,
}

/// How an executable node treats an exception raised while its inputs are resolved (visualflow spec §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInputError {
    /// The run completes with `success:false` (function and branch nodes).
    Complete,
    /// The exception escapes the step and fails the run (effect nodes, `set_var*`, `add_message`).
    Fail,
    /// Configured values are used instead (`on_event`, `on_schedule`, `emit_event`).
    Ignore,
}

/// Everything about a node type that is not code.
#[derive(Debug, Clone, Copy)]
pub struct NodeSpec {
    /// Wire type name.
    pub kind: &'static str,
    /// Title in the editor.
    pub title: &'static str,
    /// Menu family: `events, core, media, files, memory, control, literals, variables, math, text, data, internal`.
    pub family: &'static str,
    /// One sentence for the documentation table.
    pub doc: &'static str,
    /// Declared inputs, execution pins left out.
    pub inputs: &'static [PinSpec],
    /// Declared outputs, execution pins left out.
    pub outputs: &'static [PinSpec],
    /// Treatment of exceptions while inputs are resolved.
    pub on_input_error: OnInputError,
    /// False for nodes whose value may differ from one reading to the next (`random_*`, `system_datetime`, `get_*`):
    /// those are evaluated anew for every consumer.
    pub deterministic: bool,
}

/// Resolved inputs of a node.
pub struct Inputs<'a> {
    /// The node's saved configuration.
    pub config: &'a NodeConfig,
    /// Values by pin (ambient keys included for executable nodes).
    pub values: Object,
    /// What the handler gets when nothing resolved and the ambient value is not an object; else `None`.
    pub raw: Option<Value>,
}

impl Inputs<'_> {
    /// The value of a pin, if it resolved to anything (null included).
    pub fn get(&self, pin: &str) -> Option<&Value> {
        self.values.get(pin)
    }
    /// The value of a pin unless it is absent or null.
    pub fn non_null(&self, pin: &str) -> Option<&Value> {
        self.values.get(pin).filter(|value| !value.is_null())
    }
}

/// What a pure node may read.
pub struct EvalCtx<'a> {
    /// Node being evaluated.
    pub node_id: &'a str,
    /// Variables of the run.
    pub vars: &'a Object,
    /// Time, randomness, host answers.
    pub env: &'a StepEnv<'a>,
}

/// What an executable node may read and change.
pub struct NodeCtx<'a> {
    /// Node being executed.
    pub node_id: &'a str,
    /// Identity of the run.
    pub head: &'a RunHead,
    /// Variables of the run; changed only after every host question is answered.
    pub vars: &'a mut Object,
    /// Time, randomness, host answers.
    pub env: &'a StepEnv<'a>,
    /// Successor by exec edge, if the node has one.
    pub next: Option<&'a str>,
    /// True if an edge reads this output pin of the node (legacy pins exist only then).
    pub reads_output: &'a dyn Fn(&str) -> bool,
    /// Workflow id of the flow document (namespaced), for derived ids.
    pub flow_id: &'a str,
}

/// Result of a function node.
#[derive(Debug, Clone, Default)]
pub struct FunctionResult {
    /// The node's result: becomes `_last_output` unless `keep_last`, and `node_outputs` unless `stored` differs.
    pub value: Value,
    /// What `node_outputs` keeps, where it differs from the result (`code`).
    pub stored: Option<Value>,
    /// True for `set_var*` and `add_message`, which leave `_last_output` alone.
    pub keep_last: bool,
    /// Output of the run if this node has no successor, where it differs from the rule for function nodes.
    pub terminal: Option<Value>,
}

impl FunctionResult {
    /// The plain case: one value for everything.
    pub fn of(value: Value) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }
}

/// An exception of a function node, with fields to merge into the failure output (`code` adds its record).
#[derive(Debug, Clone)]
pub struct FunctionError {
    /// Exception or host question.
    pub interrupt: Interrupt,
    /// Extra fields of the failure output.
    pub record: Option<Object>,
}

impl From<Exception> for FunctionError {
    fn from(exception: Exception) -> Self {
        Self {
            interrupt: exception.into(),
            record: None,
        }
    }
}

impl From<Interrupt> for FunctionError {
    fn from(interrupt: Interrupt) -> Self {
        Self {
            interrupt,
            record: None,
        }
    }
}

/// Where the cursor goes after an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// To the successor by exec edge (or back to the control node, or the end).
    Successor,
    /// To this node again: it has more to do (memory preamble, agent phases).
    Itself,
}

/// What an effect node wants.
#[derive(Debug, Clone)]
pub enum Planned {
    /// Perform an effect.
    Effect {
        /// Effect type.
        kind: EffectKind,
        /// Payload without `resume_to_node`, which the executor adds.
        payload: Object,
        /// Result path; `None` means `_temp.effects.<node>`.
        result_key: Option<String>,
        /// Cursor afterwards.
        after: After,
        /// True for `on_event` and recurrent `on_schedule`: the node goes on the control stack, so its branch
        /// returns to it.
        push_control: bool,
    },
    /// No effect: store this as the raw result at `_temp.effects.<node>`, optionally as `_last_output` too, and go
    /// on (agent configuration errors, agent end).
    Result {
        /// Raw result.
        raw: Value,
        /// Also becomes `_last_output`.
        set_last: bool,
    },
}

/// A pure value.
pub type PureFn = fn(&Inputs<'_>, &EvalCtx<'_>) -> Result<Value, Interrupt>;
/// A function step.
pub type FunctionFn = fn(&Inputs<'_>, &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError>;
/// A branch: the chosen exec handle and the node's result.
pub type BranchFn = fn(&Inputs<'_>, &NodeCtx<'_>) -> Result<(String, Value), Interrupt>;
/// An effect step.
pub type PlanFn = fn(&Inputs<'_>, &mut NodeCtx<'_>) -> Result<Planned, Interrupt>;
/// Output pins from the raw effect result.
pub type OutputsFn = fn(raw: &Value, node: &OutputCtx<'_>) -> Object;

/// What the output mapping of an effect node may read.
pub struct OutputCtx<'a> {
    /// Node whose outputs are mapped.
    pub node_id: &'a str,
    /// Saved configuration.
    pub config: &'a NodeConfig,
    /// Variables of the run.
    pub vars: &'a Object,
    /// True if an edge reads this output pin.
    pub reads_output: &'a dyn Fn(&str) -> bool,
}

/// The structural control nodes; the executor implements them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlKind {
    /// Branches one after the other.
    Sequence,
    /// The same, then `completed`.
    Parallel,
    /// Once per item.
    Loop,
    /// Once per number.
    For,
    /// As long as a condition holds.
    While,
}

/// How a node type behaves (classes of the node catalogue).
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    /// `{value: literalValue}`, static.
    Literal,
    /// P: evaluated on demand; when saved with exec pins it runs as a function node.
    Pure(PureFn),
    /// F: exec-in → exec-out without a ledger record.
    Function(FunctionFn),
    /// B: chooses an exec handle.
    Branch(BranchFn),
    /// C: control stack.
    Control(ControlKind),
    /// E: asks for an effect.
    Effect {
        /// Builds the effect.
        plan: PlanFn,
        /// Maps the raw result to pins.
        outputs: OutputsFn,
    },
    /// Ends the run with its inputs.
    End,
    /// Compiler-internal `join_exec`.
    Join,
    /// Compiler-internal `path_mux`.
    Mux,
}

/// A registered node type.
#[derive(Debug, Clone, Copy)]
pub struct NodeType {
    /// Data.
    pub spec: NodeSpec,
    /// Code.
    pub behaviour: Behaviour,
}

/// The registered node types by wire name.
pub trait NodeCatalogue: Send + Sync {
    /// Looks a type up; unknown types behave as identity functions.
    fn find(&self, kind: &str) -> Option<&NodeType>;

    /// Whether nodes of this type read or write files or run tools.
    fn needs_workspace(&self, _kind: &str) -> bool {
        false
    }
}
