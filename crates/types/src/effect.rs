//! Effects: what a step asks the outside (or the store) to do.

use serde::{Deserialize, Serialize};

use crate::Object;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// The effect types of the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EffectKind {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl EffectKind {
            /// Every kind, in the order of the contract.
            pub const ALL: &'static [EffectKind] = &[$(EffectKind::$name),+];

            /// The wire text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// Reads the wire text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

kinds! {
    /// Waits for a named event.
    WaitEvent = "wait_event",
    /// Waits for a point in time.
    WaitUntil = "wait_until",
    /// Asks a person.
    AskUser = "ask_user",
    /// Tells a person; does not wait.
    AnswerUser = "answer_user",
    /// Sends an event to listening runs.
    EmitEvent = "emit_event",
    /// Calls a model.
    LlmCall = "llm_call",
    /// Lists, loads or unloads models of a provider.
    ModelResidency = "model_residency",
    /// Runs a batch of tools.
    ToolCalls = "tool_calls",
    /// Searches span memory.
    MemoryQuery = "memory_query",
    /// Tags a span.
    MemoryTag = "memory_tag",
    /// Archives and summarises a conversation.
    MemoryCompact = "memory_compact",
    /// Stores a note.
    MemoryNote = "memory_note",
    /// Puts archived messages back into the context.
    MemoryRehydrate = "memory_rehydrate",
    /// Adds statements to the knowledge graph.
    MemoryKgAssert = "memory_kg_assert",
    /// Queries the knowledge graph.
    MemoryKgQuery = "memory_kg_query",
    /// Finds an entity of the knowledge graph by its label.
    MemoryKgResolve = "memory_kg_resolve",
    /// Reads run variables.
    VarsQuery = "vars_query",
    /// Starts a child run.
    StartSubworkflow = "start_subworkflow",
}

/// A planned effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// What to do.
    #[serde(rename = "type")]
    pub kind: EffectKind,
    /// Arguments, as recorded in the ledger.
    pub payload: Object,
    /// Dotted path in vars that receives the result.
    pub result_key: Option<String>,
}
