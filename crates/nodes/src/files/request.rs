//! Questions of the file nodes to the host: `{node_type, <arguments>, scope}`.
//!
//! The scope is the workspace policy of the run. The host checks every path against it; nothing here opens a file.

use crate::prelude::*;

/// Keys of the workspace policy; an input of the same name wins over the variable of the run.
const SCOPE: [&str; 4] = [
    "workspace_root",
    "workspace_access_mode",
    "workspace_allowed_paths",
    "workspace_ignored_paths",
];

/// A question under construction.
pub(super) struct Request {
    args: Object,
}

impl Request {
    /// A question of a node type.
    pub(super) fn new(node_type: &str) -> Self {
        let mut args = Object::new();
        args.insert("node_type".to_owned(), node_type.into());
        Self { args }
    }

    /// Adds a value, if there is one.
    pub(super) fn value(mut self, key: &str, value: Option<&Value>) -> Self {
        self.args
            .extend(value.map(|value| (key.to_owned(), value.clone())));
        self
    }

    /// Adds text.
    pub(super) fn text(mut self, key: &str, text: String) -> Self {
        self.args.insert(key.to_owned(), text.into());
        self
    }

    /// Adds a number, if there is one.
    pub(super) fn number(mut self, key: &str, number: Option<i64>) -> Self {
        self.args
            .extend(number.map(|number| (key.to_owned(), number.into())));
        self
    }

    /// Adds a truth value.
    pub(super) fn flag(mut self, key: &str, value: bool) -> Self {
        self.args.insert(key.to_owned(), value.into());
        self
    }

    /// Asks; the answer is the node's result.
    pub(super) fn ask(
        mut self,
        op: HostOp,
        inputs: &Inputs<'_>,
        ctx: &NodeCtx<'_>,
    ) -> Result<FunctionResult, FunctionError> {
        let setting = |key: &str| inputs.non_null(key).or_else(|| ctx.vars.get(key)).cloned();
        let scope: Object = SCOPE
            .iter()
            .filter_map(|key| setting(key).map(|value| ((*key).to_owned(), value)))
            .collect();
        self.args.insert("scope".to_owned(), Value::Object(scope));
        Ok(FunctionResult::of(ask(
            ctx.env,
            op,
            ctx.node_id,
            Value::Object(self.args),
        )?))
    }
}

/// The path of a pin.
///
/// # Errors
/// When it is not text, or blank.
pub(super) fn path(inputs: &Inputs<'_>, node_type: &str, pin: &str) -> Result<String, Exception> {
    opt_text(inputs, pin)
        .ok_or_else(|| Exception::value(format!("{node_type} requires a non-empty '{pin}' input.")))
}

/// The path of a PDF file.
///
/// # Errors
/// When it is not text, or has another ending.
pub(super) fn pdf_path(inputs: &Inputs<'_>, node_type: &str) -> Result<String, Exception> {
    let path = path(inputs, node_type, "file_path")?;
    if path.to_lowercase().ends_with(".pdf") {
        Ok(path)
    } else {
        Err(Exception::value(format!(
            "{node_type} requires a .pdf file path."
        )))
    }
}

/// The id of an artifact given as a reference, an object with an id, or the id itself.
///
/// # Errors
/// When there is none.
pub(super) fn artifact_id(inputs: &Inputs<'_>, node_type: &str) -> Result<String, Exception> {
    ["artifact", "artifact_ref", "artifact_id"]
        .iter()
        .find_map(|pin| inputs.get(pin).and_then(crate::artifact::id))
        .ok_or_else(|| Exception::value(format!("{node_type} requires an 'artifact' input.")))
}

#[cfg(test)]
mod tests {
    use crate::{
        files::{list_folder_files, read_artifact, read_file, read_pdf},
        testing::{Answer, asked, function_with},
    };
    use serde_json::json;

    #[test]
    fn bad_arguments_never_reach_the_host() {
        for (node, values, text) in [
            (
                &read_file::NODE,
                json!({}),
                "read_file requires a non-empty 'file_path' input.",
            ),
            (
                &read_file::NODE,
                json!({"file_path": 3}),
                "read_file requires a non-empty 'file_path' input.",
            ),
            (
                &read_pdf::NODE,
                json!({"file_path": "a.txt"}),
                "read_pdf requires a .pdf file path.",
            ),
            (
                &list_folder_files::NODE,
                json!({}),
                "list_folder_files requires a non-empty 'folder_path' input.",
            ),
            (
                &read_artifact::NODE,
                json!({"artifact": {}}),
                "read_artifact requires an 'artifact' input.",
            ),
        ] {
            let error = function_with(node, json!({}), values, Answer::none()).expect_err(text);
            assert_eq!(error.interrupt, ag_kernel::Exception::value(text).into());
        }
    }

    #[test]
    fn the_question_names_arguments_and_scope() {
        let values = json!({"file_path": "a.txt", "workspace_root": "/in", "ambient": 1});
        assert_eq!(
            asked(&read_file::NODE, json!({}), values),
            json!({"node_type": "read_file", "file_path": "a.txt", "scope": {"workspace_root": "/in"}})
        );
        let values = json!({"artifact": {"$artifact": "x1"}});
        assert_eq!(
            asked(&read_artifact::NODE, json!({}), values)["artifact_id"],
            "x1"
        );
        let values = json!({"folder_path": ".", "limit": 9e9});
        assert_eq!(asked(&list_folder_files::NODE, json!({}), values)["limit"], 5000);
    }
}
