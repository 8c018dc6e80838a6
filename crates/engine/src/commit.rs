//! The one door through which a held run is written.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ag_artifacts::{NewArtifact, Tags};
use ag_effects::{Child, artifacts::store_artifact};
use ag_messaging::FeedItem;
use ag_store::{Commit, CommitOutcome, NewRun, OutMail, Placement, Rest, StoreError, Woken};
use ag_telemetry::metrics::{RUN_START, RUNS_ENDED, STALE_WRITES, store_operation};
use ag_types::{RunKey, RunStatus, SystemScope, Timestamp};
use tracing::Instrument as _;

use crate::{Deps, Held, codec, pools::Unfit};

const SCOPE: SystemScope = SystemScope::new("commit of a held run");
/// Records up to this size travel with the feed; larger ones are read by the streams.
const FEED_INLINE_BYTES: usize = 32 * 1024;

/// Pauses before a store that could not be reached is asked again; each is twice the one before. Together they are
/// shorter than a lease.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The last of them.
pub(crate) const LAST_PAUSE: Duration = Duration::from_millis(3_200);

/// Why a drive ends without a rest of its own.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Another holder has the run, or it was purged: its work is dropped.
    #[error("authority over the run was lost")]
    Lost,
    /// The store failed; the run stays where the last commit left it and is claimed again later.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run is one for other runners; it stands where its last commit left it.
    #[error("{0}")]
    Unfit(Unfit),
    /// A blob could not be stored or read.
    #[error("artifact bytes: {0}")]
    Blob(String),
}

/// What a commit answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Durable; `true` if mail is unread.
    Done {
        /// Unread mail exists.
        mail: bool,
    },
    /// Nothing written: mail must be read first, or the targets of tree mail looked up again.
    Stale,
}

impl Deps {
    /// Writes the held run. On `Stale` everything stays pending.
    ///
    /// # Errors
    /// [`Stop`].
    pub async fn commit(&self, held: &mut Held, rest: Rest) -> Result<Written, Stop> {
        held.tick.run.updated_at = self.clock.now().max(held.tick.run.updated_at);
        self.settle_writes(held).await?;
        let commit = self.build(held, rest)?;
        let workflow = &*held.tick.run.head.workflow_id;
        ag_failpoints::pass("step.before_commit", &[rest_name(rest), workflow]).await;
        let outcome = store_operation("commit", self.send(&commit))
            .instrument(tracing::info_span!(
                "commit",
                records = held.records.len() as i64,
                rest = rest_name(rest)
            ))
            .await?;
        match outcome {
            CommitOutcome::Committed { mail_in } => {
                ag_failpoints::hit_of("step.after_commit", &[rest_name(rest), workflow]);
                if rest == Rest::Terminal && held.tick.run.head.parent_run_id.is_some() {
                    ag_failpoints::hit("child.terminal");
                }
                held.mail_in = mail_in;
                held.rev += 1;
                self.after_commit(held, commit).await;
                Ok(Written::Done {
                    mail: mail_in > held.seen,
                })
            }
            CommitOutcome::Stale { mail_in } => {
                held.mail_in = mail_in;
                Ok(Written::Stale)
            }
            CommitOutcome::Lost => {
                STALE_WRITES.with([]).increment(1);
                Err(Stop::Lost)
            }
        }
    }

    /// Moves the tick's writes to where commits take them from and stores the bytes they refer to.
    ///
    /// # Errors
    /// [`Stop::Blob`].
    pub async fn settle_writes(&self, held: &mut Held) -> Result<(), Stop> {
        if held.tick.run.status.is_terminal() {
            self.offload_terminal(held);
        }
        let writes = held.take_writes();
        self.store_offloaded(held, writes.offloaded).await?;
        codec::add_counts(&mut held.counters, writes.counts);
        held.records.extend(writes.records);
        Ok(())
    }

    /// Repeats the same call while its outcome is unknown or the store is away: what the tick holds in memory, results
    /// of calls included, would be lost with it. Fenced by revision, it is applied at most once; who loses authority
    /// meanwhile is stopped from outside.
    async fn send(&self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
        let (key, epoch, rev) = (commit.key, commit.epoch, commit.rev);
        let mut pause = FIRST_PAUSE;
        loop {
            match self.store.commit(&SCOPE, commit.clone()).await {
                Err(error @ (StoreError::Ambiguous(_) | StoreError::Unavailable(_)))
                    if pause <= LAST_PAUSE =>
                {
                    tracing::warn!(run.id = %key.run, epoch, rev, %error, "repeating a commit");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                // A repeat that finds the row moved on by our own epoch had been applied the first time; the adapter
                // answers that case as committed.
                other => return other,
            }
        }
    }

    fn build(&self, held: &mut Held, rest: Rest) -> Result<Commit, Stop> {
        let segments = codec::segments(&held.records, held.last_seq);
        let last_seq = held.last_seq + held.records.len() as i64;
        let columns = codec::encode(&held.tick.run, &held.tick.aux, held.counters);
        let children = held
            .pending
            .children
            .iter()
            .map(|child| self.new_child(&held.pool, child))
            .collect();
        let pending = &held.pending;
        Ok(Commit {
            session: held.session,
            key: held.key,
            epoch: held.epoch,
            rev: held.rev,
            rest,
            seen: held.seen.max(0),
            progress: pending.progress,
            pool: pending.pool.clone(),
            columns,
            segments,
            last_seq,
            children,
            mail: pending.mail.clone(),
            outcomes: pending.outcomes.clone(),
            artifacts: pending.artifacts.clone(),
            owners: pending.owners.clone(),
            memory: pending.memory.clone(),
        })
    }

    /// The row of a child that somebody should claim.
    pub fn new_child(&self, pool: &Arc<str>, child: &Child) -> NewRun {
        NewRun {
            head: child.state.head.clone(),
            pool: pool.clone(),
            bundle_sha256: child.bundle_sha256.clone(),
            columns: codec::encode(&child.state, &child.aux, ag_store::Counters::default()),
            segments: vec![],
            last_seq: 0,
            placement: Placement::Ready,
        }
    }

    async fn after_commit(&self, held: &mut Held, commit: Commit) {
        let plane = held.key.plane;
        let first = held.last_seq + 1;
        held.last_seq = commit.last_seq;
        let records = std::mem::take(&mut held.records);
        let pending = std::mem::take(&mut held.pending);
        let mut items: Vec<FeedItem> = (first..)
            .zip(records)
            .map(|(seq, line)| FeedItem::Record {
                seq,
                line: (line.len() <= FEED_INLINE_BYTES).then(|| line.into()),
            })
            .collect();
        if first == 1 && commit.last_seq > 0 {
            let age = held
                .tick
                .run
                .updated_at
                .micros_since(held.tick.run.head.created_at);
            RUN_START.with([]).record(age.max(0) as f64 / 1e6);
        }
        if commit.rest == Rest::Terminal {
            RUNS_ENDED.with([held.tick.run.status.as_str()]).increment(1);
            items.push(FeedItem::Terminal {
                last_seq: held.last_seq,
            });
        }
        if !items.is_empty() {
            self.feed.publish(held.key, items).await;
        }
        let key = |run| RunKey { run, plane };
        let mut here: Vec<RunKey> = pending
            .children
            .iter()
            .map(|child| key(child.state.head.run_id))
            .collect();
        let mut mailed: Vec<RunKey> = pending.mail.iter().map(|mail| key(mail.to)).collect();
        if !held.mixed {
            here.append(&mut mailed);
        }
        if !here.is_empty() || !mailed.is_empty() {
            ag_failpoints::hit("outbox.before_publish");
            if !here.is_empty() {
                self.bell.ring(&held.pool, &here).await;
            }
            self.ring_ready(&held.pool, &mailed).await;
            ag_failpoints::hit("outbox.after_publish");
        }
        if let Some(pool) = pending.pool {
            held.pool = pool;
        }
        if commit.rest == Rest::Again {
            self.bell.ring(&held.pool, &[held.key]).await;
        }
    }

    /// Rings for those of the runs that have become ready, in the pools they belong to; all at `here` if that cannot be
    /// found out: who claims a run of another pool hands it on.
    async fn ring_ready(&self, here: &Arc<str>, mailed: &[RunKey]) {
        if mailed.is_empty() {
            return;
        }
        let woken = match self.store.ready_among(&SCOPE, mailed).await {
            Ok(woken) => woken,
            Err(error) => {
                tracing::debug!(%error, "the pools of addressees are not known");
                return self.bell.ring(here, mailed).await;
            }
        };
        let mut by_pool: BTreeMap<Arc<str>, Vec<RunKey>> = BTreeMap::new();
        for Woken { key, pool } in woken {
            by_pool.entry(pool).or_default().push(key);
        }
        for (pool, keys) in by_pool {
            self.bell.ring(&pool, &keys).await;
        }
    }

    fn offload_terminal(&self, held: &mut Held) {
        let max = held.tick.max_inline();
        let mut taken = Vec::new();
        let run = &mut held.tick.run;
        ag_kernel::offload::offload_terminal(
            run.head.run_id,
            &mut run.vars,
            run.output.as_mut(),
            max,
            &mut taken,
        );
        held.offloaded.append(&mut taken);
    }

    async fn store_offloaded(
        &self,
        held: &mut Held,
        more: Vec<ag_kernel::OffloadedValue>,
    ) -> Result<(), Stop> {
        let mut values = std::mem::take(&mut held.offloaded);
        values.extend(more);
        for value in values {
            let run = &held.tick.run;
            let tags: Tags = [
                ("source", value.source),
                ("path", value.path.as_str()),
                ("kind", value.kind),
            ]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into_iter()
            .collect();
            let new = NewArtifact {
                run_id: Some(run.head.run_id.to_string()),
                content_type: value.content_type.to_owned(),
                tags,
                ..NewArtifact::default()
            };
            let (_, row) = store_artifact(&*self.blobs, &held.scope, new, value.bytes.into(), run.updated_at)
                .await
                .map_err(|error| Stop::Blob(error.to_string()))?;
            held.pending.artifacts.push(row);
        }
        Ok(())
    }
}

const fn rest_name(rest: Rest) -> &'static str {
    match rest {
        Rest::Keep => "keep",
        Rest::Wait { .. } => "wait",
        Rest::Again => "again",
        Rest::Terminal => "terminal",
    }
}

/// Mail that tells a parent about the end of its child.
pub fn end_of_child(held: &Held, traces: Option<serde_json::Value>) -> Option<OutMail> {
    let run = &held.tick.run;
    let parent = run.head.parent_run_id?;
    let output = match run.status {
        RunStatus::Completed => match &run.output {
            Some(serde_json::Value::Object(output)) => serde_json::Value::Object(output.clone()),
            other => serde_json::json!({"result": other}),
        },
        RunStatus::Failed => serde_json::json!({"result": null, "success": false, "error": run.error}),
        RunStatus::Cancelled => {
            serde_json::json!({"result": null, "success": false, "cancelled": true, "error": run.error})
        }
        RunStatus::Running | RunStatus::Waiting => return None,
    };
    let mut payload = serde_json::json!({"sub_run_id": run.head.run_id.to_string(), "output": output});
    if let (Some(traces), Some(map)) = (traces, payload.as_object_mut()) {
        map.insert("node_traces".to_owned(), traces);
    }
    let body: Arc<str> = payload.to_string().into();
    Some(OutMail {
        to: parent,
        kind: ag_store::MailKind::ChildDone,
        body,
        command_id: None,
    })
}

/// Due time of the timer that a resting run needs: none while it is paused.
pub fn wake_at(held: &Held) -> Option<Timestamp> {
    let run = &held.tick.run;
    if run.is_paused() {
        return None;
    }
    run.waiting.as_ref().and_then(|wait| wait.until)
}
