//! The time block: explained to the model, recognised in its answers.
//!
//! The block itself is put before the prompt by the kernel, so that the ledger shows what the model was told.

use ag_kernel::prepare::GROUNDING_OPEN;
use serde_json::Value;

/// End of the block.
const GROUNDING_CLOSE: &str = "</runtime_metadata>";

/// Last paragraph of the system text.
pub(super) const PARAGRAPH: &str = "The newest user message may begin with a <runtime_metadata> block. The host writes \
it, not the user: `display` is the local date and time now, `local_datetime` is the same in ISO 8601 with offset. Rely \
on it whenever the present moment matters, and never quote, mention or imitate the block in your answers.";

/// An answer without copies of the block.
pub(super) fn strip_echo(text: String) -> String {
    if !text.contains(GROUNDING_OPEN) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find(GROUNDING_OPEN) {
        let Some(end) = rest[start..].find(GROUNDING_CLOSE) else {
            break;
        };
        out.push_str(&rest[..start]);
        rest = rest[start + end + GROUNDING_CLOSE.len()..].trim_start_matches(['\r', '\n', ' ']);
    }
    out.push_str(rest);
    out
}

/// What the block of a text says.
pub(super) fn block_of(text: &str) -> Option<Value> {
    let inner = text.strip_prefix(GROUNDING_OPEN)?;
    serde_json::from_str(&inner[..inner.find(GROUNDING_CLOSE)?]).ok()
}
