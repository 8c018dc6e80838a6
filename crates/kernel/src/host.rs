//! Questions that a step asks its host, and the memo that makes asking repeatable.
//!
//! A step that needs code run, a file read or a catalogue listed returns [`Interrupt::Host`](crate::Interrupt) with
//! the question. The driver answers it (on its own time, with its own limits), remembers the answer in
//! [`HostAnswers`] and plans the step again from the same state. Until every question of a step is answered the
//! step must not have changed `vars`; answers live for one step only.

use serde_json::Value;

use crate::Exception;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostOp {
    /// Run the function of a code node: `{source, function, input, permissions}` → `{value, execution}`.
    RunCode,
    /// Evaluate an expression of a function node: `{expression, input}` → the value.
    RunExpression,
    /// File node `read_file`: `{file_path, scope}` → outputs.
    ReadFile,
    /// File node `write_file`.
    WriteFile,
    /// File node `read_pdf`.
    ReadPdf,
    /// File node `write_pdf`.
    WritePdf,
    /// File node `list_folder_files`.
    ListFolder,
    /// Node `import_workspace_file`.
    ImportFile,
    /// Node `read_artifact`.
    ReadArtifact,
    /// Node `export_artifact`.
    ExportArtifact,
    /// Ids of the available providers: `{}` → array of text.
    ProviderCatalog,
    /// Models of one provider: `{provider, capability_route?}` → array of text.
    ProviderModels,
}

impl HostOp {
    /// True for questions whose answer reads or writes files; pools without a workspace mount refuse them.
    pub const fn touches_files(self) -> bool {
        !matches!(
            self,
            Self::RunCode | Self::RunExpression | Self::ProviderCatalog | Self::ProviderModels
        )
    }
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub struct HostCall {
    /// Kind of the question.
    pub op: HostOp,
    /// Node that asks, for errors and idempotency.
    pub node_id: String,
    /// Arguments; see [`HostOp`].
    pub args: Value,
}

/// Answers of the current step, by question.
#[derive(Debug, Default)]
pub struct HostAnswers {
    answers: Vec<(HostCall, Result<Value, Exception>)>,
}

impl HostAnswers {
    /// The answer to an equal question, if it was asked before.
    pub fn find(&self, call: &HostCall) -> Option<&Result<Value, Exception>> {
        self.answers
            .iter()
            .find(|(asked, _)| asked == call)
            .map(|(_, answer)| answer)
    }

    /// Remembers an answer.
    pub fn push(&mut self, call: HostCall, answer: Result<Value, Exception>) {
        self.answers.push((call, answer));
    }

    /// Forgets everything; called between steps.
    pub fn clear(&mut self) {
        self.answers.clear();
    }
}
