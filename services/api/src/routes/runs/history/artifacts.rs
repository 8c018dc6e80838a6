//! Summaries of the artifacts of runs.

use ag_store::{ArtifactFilter, ArtifactOrder};
use serde_json::{Map, Value};

use super::ArtifactsByRun;
use crate::{ApiResult, CallContext};

/// Summaries per run.
const MAX_PER_RUN: usize = 500;
/// Longer texts in summaries are cut.
const MAX_CHARS: usize = 2_000;
const KEYS: [&str; 10] = [
    "artifact_id",
    "blob_id",
    "run_id",
    "content_type",
    "size_bytes",
    "created_at",
    "tags",
    "descriptor",
    "metadata",
    "access",
];

/// Summaries of the artifacts of some runs, the oldest first.
pub(super) async fn of_runs(ctx: &CallContext, runs: Vec<String>) -> ApiResult<ArtifactsByRun> {
    let filter = ArtifactFilter {
        run_ids: runs,
        order: ArtifactOrder::OldestFirst,
        ..ArtifactFilter::default()
    };
    let mut by_run = ArtifactsByRun::new();
    for row in ctx.store().artifacts(ctx.scope(), filter).await? {
        let Some(run) = row.run_id else { continue };
        let summaries = by_run.entry(run).or_default();
        if summaries.len() < MAX_PER_RUN
            && let Ok(Value::Object(meta)) = serde_json::from_str(&row.meta)
        {
            summaries.push(summary(meta));
        }
    }
    Ok(by_run)
}

fn summary(mut meta: Map<String, Value>) -> Value {
    let mut member = |key: &str| {
        (
            key.to_owned(),
            meta.get_mut(key).map(Value::take).unwrap_or_default(),
        )
    };
    let mut summary = Value::Object(KEYS.into_iter().map(&mut member).collect());
    cut(&mut summary);
    summary
}

fn cut(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(MAX_CHARS) {
                text.truncate(end);
                text.push_str("#TRUNCATION");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(cut),
        Value::Object(object) => object.values_mut().for_each(cut),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn summaries_have_all_keys_and_bounded_texts() {
        let Value::Object(meta) = json!({"artifact_id": "a", "tags": {"t": "é".repeat(2_001)}, "more": 1})
        else {
            panic!("object")
        };
        let summary = summary(meta);
        let keys: Vec<&str> = summary
            .as_object()
            .expect("object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, KEYS);
        let text = summary["tags"]["t"].as_str().expect("text");
        assert!(text.ends_with("é#TRUNCATION") && text.chars().count() == 2_000 + 11);
    }
}
