//! Answers: references to what was made.

use serde::Serialize;
use serde_json::{Value, json};

use super::{call::Done, source::check_image_size};
use crate::{ApiResult, CallContext};

/// The name of the event that tells how far the work is.
const EVENT: &str = "abstract.progress";

/// What all answers begin with.
#[derive(Serialize)]
pub(super) struct Head {
    ok: bool,
    supported: bool,
    run_id: String,
    request_id: String,
    child_run_id: String,
}

/// How it went, where nothing failed loudly.
#[derive(Serialize)]
pub(super) struct Tail {
    event_name: &'static str,
    code: Option<String>,
    error: Option<String>,
}

/// References to the artifacts of a modality, named `stem.format` or `stem_1.format`, `stem_2.format`, ...
///
/// # Errors
/// 413 for an image above the limit.
pub(super) fn references(
    ctx: &CallContext,
    done: &Done,
    modality: &str,
    stem: &str,
    format: &str,
) -> ApiResult<Vec<Value>> {
    let items = done
        .result
        .get("outputs")
        .and_then(|outputs| outputs.get(modality))
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let mut references = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let reference = item.get("artifact_ref").unwrap_or(item);
        let size = reference.get("size_bytes").and_then(Value::as_u64).unwrap_or(0);
        if modality == "image" {
            check_image_size(ctx, "Generated image", size)?;
        }
        let filename = match items.len() {
            1 => format!("{stem}.{format}"),
            _ => format!("{stem}_{}.{format}", index + 1),
        };
        references.push(json!({
            "$artifact": reference.get("$artifact"),
            "content_type": reference.get("content_type"),
            "filename": filename,
            "sha256": reference.get("sha256"),
            "size_bytes": size,
        }));
    }
    Ok(references)
}

/// The frame around references; `code` names the failure of having none.
pub(super) fn frame(
    run_id: String,
    request_id: String,
    done: &Done,
    references: &[Value],
    code: &str,
) -> (Head, Tail) {
    let ok = !references.is_empty();
    let head = Head {
        ok,
        supported: true,
        run_id,
        request_id,
        child_run_id: done.child_run_id.to_string(),
    };
    let tail = Tail {
        event_name: EVENT,
        code: (!ok).then(|| format!("{code}_no_artifact")),
        error: (!ok).then(|| "The call finished without an artifact.".to_owned()),
    };
    (head, tail)
}

impl Tail {
    /// Of answers that name no event.
    pub(super) fn parts(self) -> (Option<String>, Option<String>) {
        (self.code, self.error)
    }
}
