//! Pages of ledgers. Records are copied as the text they are stored as; nothing is parsed.

use std::fmt::Write;

use ag_store::LedgerPage;
use ag_types::RunId;
use futures::{StreamExt, TryStreamExt};

use super::lookup;
use crate::{
    ApiError, ApiResult, CallContext, Input, Request,
    input::{BodyRule, Fields, NestedFields, Reader, int, list, nested, string},
    reply::JsonText,
};

/// Ledgers that one batch reads at a time.
const BATCH_WIDTH: usize = 8;

/// One ledger after a cursor.
pub(super) struct GetLedger {
    run_id: String,
    after: i64,
    limit: i64,
}

impl Request for GetLedger {
    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        let mut query = reader.query();
        Self {
            run_id,
            after: query.or("after", int().ge(0), 0),
            limit: query.or("limit", int().ge(1).le(2000), 200),
        }
    }
}

/// Gives a page of a ledger.
pub(super) async fn get_ledger(ctx: CallContext, Input(asked): Input<GetLedger>) -> ApiResult<JsonText> {
    let page = page(&ctx, &asked.run_id, asked.after, asked.limit).await?;
    page.map(JsonText).ok_or_else(|| ApiError::no_run(&asked.run_id))
}

/// Many ledgers, each after its own cursor.
pub(super) struct GetLedgerBatch {
    runs: Vec<BatchRun>,
    limit: i64,
}

#[derive(Default)]
struct BatchRun {
    run_id: String,
    after: i64,
}

impl Request for GetLedgerBatch {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        Self {
            runs: body.or_default("runs", list(nested())),
            limit: body.or("limit", int().ge(1).le(2000), 200),
        }
    }
}

impl NestedFields for BatchRun {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            run_id: fields.required("run_id", string()),
            after: fields.or("after", int().ge(0), 0),
        }
    }
}

/// Gives a page of each ledger that exists. Of a run that is named twice the last mention counts.
pub(super) async fn get_ledger_batch(
    ctx: CallContext,
    Input(asked): Input<GetLedgerBatch>,
) -> ApiResult<JsonText> {
    let mut cursors: Vec<(String, i64)> = Vec::with_capacity(asked.runs.len());
    let mut places = std::collections::HashMap::new();
    for run in asked.runs {
        let id = run.run_id.trim().to_owned();
        match places.get(&id) {
            Some(&place) => cursors[place] = (id, run.after),
            None => {
                places.insert(id.clone(), cursors.len());
                cursors.push((id, run.after));
            }
        }
    }
    let pages: Vec<(String, Option<String>)> = futures::stream::iter(cursors)
        .map(|(id, after)| {
            let ctx = &ctx;
            async move {
                let page = page(ctx, &id, after, asked.limit).await?;
                Ok::<_, ApiError>((id, page))
            }
        })
        .buffered(BATCH_WIDTH)
        .try_collect()
        .await?;
    let size: usize = pages
        .iter()
        .map(|(id, page)| id.len() + page.as_ref().map_or(0, String::len) + 8)
        .sum();
    let mut out = String::with_capacity(size + 16);
    out.push_str("{\"runs\":{");
    let mut first = true;
    for (id, page) in pages {
        let Some(page) = page else { continue };
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        // Ids of runs that exist are quoted by serde like any other text.
        let _ = write!(out, "{}:", serde_json::Value::from(id));
        out.push_str(&page);
    }
    out.push_str("}}");
    Ok(JsonText(out))
}

/// A page as JSON; `None` if the id names nothing.
async fn page(ctx: &CallContext, run_id: &str, after: i64, limit: i64) -> ApiResult<Option<String>> {
    let limit = usize::try_from(limit).unwrap_or_default();
    match run_id.parse::<RunId>() {
        Ok(run) => {
            let page = ctx.store().ledger(ctx.scope(), run, after, limit).await?;
            Ok(page.as_ref().map(render))
        }
        Err(_) => {
            let owner = lookup::owner(ctx, run_id).await?;
            Ok(owner.map(|_| format!("{{\"items\":[],\"next_after\":{after}}}")))
        }
    }
}

/// `{"items":[record, …],"next_after":n}`.
pub(super) fn render(page: &LedgerPage) -> String {
    let stored: usize = page.segments.iter().map(|segment| segment.lines.len() + 1).sum();
    let mut out = String::with_capacity(stored + 48);
    out.push_str("{\"items\":[");
    let mut next_after = page.after;
    for (seq, line) in page.records() {
        if next_after != page.after {
            out.push(',');
        }
        out.push_str(line);
        next_after = seq;
    }
    // Writing to a string cannot fail.
    let _ = write!(out, "],\"next_after\":{next_after}}}");
    out
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ag_store::Segment;
    use ag_types::RunStatus;

    use super::*;

    fn page(records: usize, per_segment: usize, after: i64, limit: usize) -> LedgerPage {
        let line = format!("{{\"run_id\":\"r\",\"text\":\"{}\"}}", "x".repeat(560));
        let segments = (0..records)
            .step_by(per_segment)
            .map(|first| {
                let n = per_segment.min(records - first);
                Segment {
                    first_seq: first as i64 + 1,
                    last_seq: (first + n) as i64,
                    lines: vec![line.as_str(); n].join("\n").into(),
                }
            })
            .collect();
        LedgerPage {
            status: RunStatus::Completed,
            last_seq: records as i64,
            segments,
            after,
            limit,
        }
    }

    #[test]
    fn pages_begin_after_the_cursor_and_say_where_the_next_one_does() {
        for (after, limit, expected, next) in [(0, 10, 7, 7), (2, 3, 3, 5), (7, 5, 0, 7), (99, 5, 0, 99)] {
            let text = render(&page(7, 3, after, limit));
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(
                value["items"].as_array().map(Vec::len),
                Some(expected),
                "after {after}"
            );
            assert_eq!(value["next_after"], next);
        }
    }

    /// W4: a page of 1,000 records within 1.5 ms. The bound here is loose because it also runs unoptimised.
    #[test]
    fn a_large_page_is_a_copy() {
        let page = page(1_000, 64, 0, 1_000);
        let best = (0..20)
            .map(|_| {
                let since = Instant::now();
                assert!(render(&page).len() > 500_000);
                since.elapsed()
            })
            .min();
        assert!(best.is_some_and(|best| best.as_millis() < 20), "{best:?}");
    }
}
