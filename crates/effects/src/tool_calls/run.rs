//! Running the calls of a batch.

use ag_tools::{ToolCall, ToolContext, ToolResult, Toolbox};
use futures::{StreamExt as _, stream};
use serde_json::Value;

/// Calls of one batch that run at the same time.
const MAX_PARALLEL: usize = 4;

/// Tools that change nothing.
const READING: [&str; 8] = [
    "list_files",
    "skim_folders",
    "search_files",
    "analyze_code",
    "skim_files",
    "read_file",
    "web_search",
    "fetch_url",
];

/// Runs the calls; results in the order of the calls. Neighbours that only read run together, every other call runs
/// alone and after all that come before it, so that a call sees what an earlier one has written.
pub(super) async fn all(toolbox: &Toolbox, calls: &[ToolCall], ctx: &ToolContext) -> Vec<ToolResult> {
    let mut results = Vec::with_capacity(calls.len());
    let mut rest = calls;
    while !rest.is_empty() {
        let together = rest.iter().take_while(|call| only_reads(call)).count().max(1);
        let (now, later) = rest.split_at(together);
        let work: Vec<_> = now
            .iter()
            .map(|call| Box::pin(toolbox.execute(call, ctx)))
            .collect();
        results.extend(
            stream::iter(work)
                .buffered(MAX_PARALLEL)
                .collect::<Vec<_>>()
                .await,
        );
        rest = later;
    }
    results
}

fn only_reads(call: &ToolCall) -> bool {
    READING.contains(&call.name.as_str()) && (call.name != "fetch_url" || fetches(call))
}

/// A request with another method may change something over there.
fn fetches(call: &ToolCall) -> bool {
    let method = call
        .arguments
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("method"));
    let method = method
        .and_then(|(_, value)| value.as_str())
        .unwrap_or("GET")
        .trim();
    let has_body = call
        .arguments
        .get("data")
        .is_some_and(|data| !Value::is_null(data));
    ["", "GET", "HEAD"]
        .iter()
        .any(|known| method.eq_ignore_ascii_case(known))
        && !has_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_plain_requests_count_as_reading() {
        for (name, arguments, reads) in [
            ("read_file", json!({}), true),
            ("write_file", json!({}), false),
            ("no_such_tool", json!({}), false),
            ("fetch_url", json!({"url": "u"}), true),
            ("fetch_url", json!({"url": "u", "method": "head"}), true),
            ("fetch_url", json!({"url": "u", "Method": "POST"}), false),
            ("fetch_url", json!({"url": "u", "data": "x"}), false),
        ] {
            let call = ToolCall::from_value(&json!({"name": name, "arguments": arguments})).expect("call");
            assert_eq!(only_reads(&call), reads, "{name} {arguments}");
        }
    }
}
