//! The door between the kernel and workflows.

use ag_types::{Clock, Effect, IdGen, RunState, Timestamp};
use serde_json::Value;

use crate::{HostAnswers, HostCall};

/// An error of flow code with the class name that clients see (`ValueError: Division by zero`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Exception {
    /// Class from the fixed vocabulary of kernel spec §2.5.
    pub class: &'static str,
    /// Text without the class.
    pub message: String,
}

impl Exception {
    /// A `ValueError`.
    pub fn value(message: impl Into<String>) -> Self {
        Self {
            class: "ValueError",
            message: message.into(),
        }
    }
    /// A `TypeError`.
    pub fn type_error(message: impl Into<String>) -> Self {
        Self {
            class: "TypeError",
            message: message.into(),
        }
    }
    /// A `RuntimeError`.
    pub fn runtime(message: impl Into<String>) -> Self {
        Self {
            class: "RuntimeError",
            message: message.into(),
        }
    }
    /// A value that JSON cannot hold. Always fails the run, even where other exceptions of a node complete it
    /// (visualflow spec §3.4, last row).
    pub fn unserialisable(type_name: &str) -> Self {
        Self::type_error(format!("Object of type {type_name}{UNSERIALISABLE}"))
    }
    /// True for [`Exception::unserialisable`].
    pub fn is_unserialisable(&self) -> bool {
        self.class == "TypeError" && self.message.ends_with(UNSERIALISABLE)
    }
    /// Any class of the vocabulary.
    pub fn of(class: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }
}

/// End of the text of [`Exception::unserialisable`].
const UNSERIALISABLE: &str = " is not JSON serializable";

/// Why planning stopped without a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Interrupt {
    /// Flow code raised; if it escapes the step, the run fails (kernel spec §2.5).
    Raise(Exception),
    /// The host must answer first; the step is planned again with the answer.
    Host(Box<HostCall>),
}

impl From<Exception> for Interrupt {
    fn from(exception: Exception) -> Self {
        Self::Raise(exception)
    }
}

/// What a node wants (kernel spec §1.4). Read in this order: `complete`, then `effect`, then `next_node`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepPlan {
    /// The run completes with this output.
    pub complete: Option<Value>,
    /// The effect to perform.
    pub effect: Option<Effect>,
    /// Where the cursor goes afterwards.
    pub next_node: Option<String>,
}

impl StepPlan {
    /// A pure transition.
    pub fn goto(next: impl Into<String>) -> Self {
        Self {
            next_node: Some(next.into()),
            ..Self::default()
        }
    }
    /// Completion of the run.
    pub fn complete(output: Value) -> Self {
        Self {
            complete: Some(output),
            ..Self::default()
        }
    }
    /// An effect, then `next`.
    pub fn effect(effect: Effect, next: Option<String>) -> Self {
        Self {
            effect: Some(effect),
            next_node: next,
            complete: None,
        }
    }
}

/// Tool descriptions by name, as `{name, description, parameters}` objects for models.
pub trait ToolCatalogue: Send + Sync {
    /// The description of a tool, if it is known.
    fn spec(&self, name: &str) -> Option<Value>;
    /// Names of all default tools in catalogue order.
    fn names(&self) -> Vec<String>;
}

/// What a step may read besides its run.
pub struct StepEnv<'a> {
    /// Time of this step; the same for everything it evaluates.
    pub now: Timestamp,
    /// Zone for `system_datetime` and grounding.
    pub zone: &'a jiff::tz::TimeZone,
    /// Locale name for `system_datetime` (`en_US`).
    pub locale: &'a str,
    /// Ids and randomness.
    pub ids: &'a dyn IdGen,
    /// Clock for durations.
    pub clock: &'a dyn Clock,
    /// Answers of the host to this step's questions.
    pub host: &'a HostAnswers,
    /// Tool descriptions.
    pub tools: &'a dyn ToolCatalogue,
}

impl StepEnv<'_> {
    /// The host's answer to `call`, or the interrupt that asks for it.
    ///
    /// # Errors
    /// [`Interrupt::Host`] while unanswered, [`Interrupt::Raise`] when the host answered with an exception.
    pub fn ask(&self, call: HostCall) -> Result<Value, Interrupt> {
        match self.host.find(&call) {
            Some(Ok(value)) => Ok(value.clone()),
            Some(Err(exception)) => Err(Interrupt::Raise(exception.clone())),
            None => Err(Interrupt::Host(Box::new(call))),
        }
    }
}

/// An executable graph.
pub trait Workflow: Send + Sync {
    /// Node where a run begins.
    fn entry_node(&self) -> &str;

    /// Plans the step of `run.current_node`. May change `run.vars` and nothing else of the run; must not have
    /// changed them when it returns [`Interrupt::Host`].
    ///
    /// # Errors
    /// [`Interrupt`]; a raised exception fails the run.
    fn plan(&self, run: &mut RunState, env: &StepEnv<'_>) -> Result<StepPlan, Interrupt>;

    /// Pool that must execute this node, where it is not the run's own.
    fn pool(&self, _node: &str) -> Option<&str> {
        None
    }

    /// True if a node of it reads or writes files or runs tools: a runner without the workspaces' mount leaves its
    /// runs to others (architecture D17).
    fn needs_workspace(&self) -> bool {
        false
    }

    /// Node types of it that this program does not know and treats as identity functions.
    fn unknown_types(&self) -> &[Box<str>] {
        &[]
    }
}
