//! Ledgers and the timeline through them. Records are copied as text; only what the timeline shows is read of them.

use std::borrow::Cow;

use ag_store::LedgerPage;
use ag_types::{RunId, Timestamp};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, value::RawValue};

use super::ArtifactsByRun;
use crate::{ApiError, ApiResult, CallContext};

/// Ledgers read at a time.
const WIDTH: usize = 8;

/// Ledgers by run, the root first.
pub(super) struct Ledgers<'a>(Vec<Ledger<'a>>);

impl Serialize for Ledgers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|ledger| (&ledger.run_id, ledger)))
    }
}

#[derive(Serialize)]
struct Ledger<'a> {
    run_id: String,
    total: i64,
    cursor_start: i64,
    cursor_end: i64,
    items: Vec<Item<'a>>,
    artifacts: Vec<Value>,
}

#[derive(Serialize)]
struct Item<'a> {
    cursor: i64,
    record: &'a RawValue,
}

/// One record on the timeline.
#[derive(Serialize)]
pub(super) struct Moment<'a> {
    run_id: String,
    cursor: i64,
    node_id: Option<Cow<'a, str>>,
    status: Option<Cow<'a, str>>,
    effect_type: Option<Cow<'a, str>>,
    started_at: Option<Cow<'a, str>>,
    ended_at: Option<Cow<'a, str>>,
    duration_ms: Option<f64>,
}

/// What the timeline shows of a record.
#[derive(Deserialize)]
struct Shown<'a> {
    #[serde(borrow, default)]
    node_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    effect: Option<ShownEffect<'a>>,
    #[serde(borrow, default)]
    started_at: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    ended_at: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ShownEffect<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
}

/// Reads the ends of ledgers, or all of them.
pub(super) async fn read(
    ctx: &CallContext,
    runs: &[(RunId, i64)],
    tail: Option<usize>,
) -> ApiResult<Vec<Option<LedgerPage>>> {
    futures::stream::iter(runs.iter().copied())
        .map(|(run, total)| async move {
            let all = usize::try_from(total).unwrap_or_default();
            let limit = tail.unwrap_or(all).min(all);
            if limit == 0 {
                return Ok(None);
            }
            let after = total - i64::try_from(limit).unwrap_or_default();
            ctx.store()
                .ledger(ctx.scope(), run, after, limit)
                .await
                .map_err(ApiError::from)
        })
        .buffered(WIDTH)
        .try_collect()
        .await
}

/// Ledgers and timeline in the form of the answer.
pub(super) fn shown<'a>(
    runs: &[(RunId, i64)],
    pages: &'a [Option<LedgerPage>],
    artifacts: &mut ArtifactsByRun,
) -> (Ledgers<'a>, Vec<Moment<'a>>) {
    let mut ledgers = Vec::with_capacity(runs.len());
    let mut timeline = Vec::new();
    for ((run, total), page) in runs.iter().zip(pages) {
        let run_id = run.to_string();
        let mut items = Vec::new();
        for (cursor, line) in page.iter().flat_map(LedgerPage::records) {
            let Ok(record) = serde_json::from_str::<&RawValue>(line) else {
                continue;
            };
            items.push(Item { cursor, record });
            if let Ok(shown) = serde_json::from_str::<Shown<'_>>(line) {
                timeline.push(moment(&run_id, cursor, shown));
            }
        }
        let cursor_start = items.first().map_or(total + 1, |item| item.cursor);
        let cursor_end = items.last().map_or(*total, |item| item.cursor);
        let artifacts = artifacts.remove(&run_id).unwrap_or_default();
        ledgers.push(Ledger {
            run_id,
            total: *total,
            cursor_start,
            cursor_end,
            items,
            artifacts,
        });
    }
    // Stable: records of one run keep their order.
    timeline.sort_by(|a, b| a.started_at.cmp(&b.started_at));
    (Ledgers(ledgers), timeline)
}

fn moment<'a>(run_id: &str, cursor: i64, shown: Shown<'a>) -> Moment<'a> {
    let ended_at = shown.ended_at.or_else(|| shown.started_at.clone());
    let duration_ms = duration_ms(shown.started_at.as_deref(), ended_at.as_deref());
    Moment {
        run_id: run_id.to_owned(),
        cursor,
        node_id: shown.node_id,
        status: shown.status,
        effect_type: shown.effect.and_then(|effect| effect.kind),
        started_at: shown.started_at,
        ended_at,
        duration_ms,
    }
}

/// Milliseconds between two texts, to two decimals.
pub(super) fn duration_ms(started: Option<&str>, ended: Option<&str>) -> Option<f64> {
    let (started, ended) = (Timestamp::parse(started?).ok()?, Timestamp::parse(ended?).ok()?);
    let hundredths = (ended.micros_since(started) as f64 / 10.0).round();
    Some(hundredths / 100.0)
}
