//! `open_attachment`: executed by the runtime, which owns the session's artifacts.

use serde_json::{Value, json};

use super::{Run, Tool};
use crate::batch::OPEN_ATTACHMENT;
use crate::spec::ArgType::{Integer, String as Text};
use crate::spec::{Arg, Example, ToolSpec};

pub(super) const TOOL: Tool = Tool {
    name: OPEN_ATTACHMENT,
    spec,
    run: Run::Runtime,
};

fn spec() -> ToolSpec {
    ToolSpec {
        name: OPEN_ATTACHMENT,
        description: "Open a file attached to this session by its artifact id or handle. Text is returned with line numbers; images and other media are shown to you in the next turn.",
        when_to_use: "For files named in the attachment index or referred to with @handle.",
        args: vec![
            Arg::optional("artifact_id", Text, Value::Null, "Id from the attachment index."),
            Arg::optional(
                "handle",
                Text,
                Value::Null,
                "Path or file name, with or without @.",
            ),
            Arg::optional(
                "expected_sha256",
                Text,
                Value::Null,
                "Fail when the content is a different one.",
            ),
            Arg::optional("start_line", Integer, 1, "First line, 1-based."),
            Arg::optional("end_line", Integer, Value::Null, "Last line, inclusive."),
            Arg::optional(
                "max_chars",
                Integer,
                8000,
                "Most characters to return; 0 for no limit.",
            ),
        ],
        examples: vec![Example {
            description: "Read the beginning of an attached report",
            arguments: json!({"handle": "report.pdf", "end_line": 80}),
        }],
        toolset: "files",
        tags: &["attachment"],
    }
}
