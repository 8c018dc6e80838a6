//! Text for people and prompts.

use ag_types::Object;
use serde_json::Value;

/// The first `limit` code points, with an ellipsis as the last one where text was cut.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => {
            let end = text
                .char_indices()
                .nth(limit.saturating_sub(1))
                .map_or(text.len(), |(at, _)| at);
            format!("{}…", text[..end].trim_end())
        }
    }
}

/// The steps of all nodes of a trace object by their time; equal times keep the order of the trace.
pub(crate) fn steps_by_time(traces: &Object) -> Vec<&Value> {
    let mut steps: Vec<&Value> = traces
        .values()
        .filter_map(|trace| trace.get("steps").and_then(Value::as_array))
        .flatten()
        .filter(|step| step.is_object())
        .collect();
    steps.sort_by_key(|step| step.get("ts").and_then(Value::as_str).unwrap_or_default());
    steps
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn cuts_count_code_points() {
        for (text, limit, short) in [("añb", 3, "añb"), ("añbc", 3, "añ…"), ("", 3, ""), ("ab", 1, "…")]
        {
            assert_eq!(shorten(text, limit), short);
        }
    }
}
