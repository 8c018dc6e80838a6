//! Claims: owners change in memory, nothing is written.

use std::{collections::HashMap, sync::LazyLock};

use ag_store::{Claim, ClaimedRun, Result, StoreError};
use ag_types::{RunKey, SessionId};

use crate::{
    db::Value,
    rows::{Cursor, HEAD_COLUMNS, run_columns, run_head, small},
    store::{Shared, SqliteStore},
};

/// The state is read only where the caller's revision (third value) is not the current one.
pub(super) static CLAIMED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {HEAD_COLUMNS}, r.plane_id, r.epoch, h.mail_in, h.crashes, r.rev, r.last_seq, h.pool, \
         r.bundle_sha256, r.rev = ?3, r.status, r.current_node, r.wait_reason, r.wait_key, r.wait_until, \
         r.paused, r.error, r.lifecycle, r.steps, r.llm_calls, r.tool_calls, r.tokens_total, r.updated_at, \
         CASE WHEN r.rev <> ?3 THEN r.wait END, CASE WHEN r.rev <> ?3 THEN r.vars END, \
         CASE WHEN r.rev <> ?3 THEN r.meta END, CASE WHEN r.rev <> ?3 THEN r.output END FROM runs r \
         CROSS JOIN run_heads h ON h.run_id = r.run_id AND h.plane_id = r.plane_id \
         WHERE r.run_id = ?1 AND r.plane_id = ?2"
    )
});

/// No revision equals this.
const UNKNOWN: i64 = -1;

/// Gives taken runs back when reading them fails or is cancelled.
struct Taken<'a> {
    shared: &'a Shared,
    session: SessionId,
    runs: Vec<(RunKey, ag_store::leases::Ready)>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut leases = self.shared.leases.lock();
        for (key, ready) in self.runs.drain(..) {
            let unread = leases
                .lease(&key)
                .is_some_and(|lease| lease.session == self.session && lease.epoch == 0);
            if unread {
                leases.release(&key);
                leases.set_ready(key, &ready.pool, ready.since);
            }
        }
    }
}

impl SqliteStore {
    pub(super) fn claim_ready(
        &self,
        session: SessionId,
        keys: &[RunKey],
        known: &[(RunKey, i32)],
    ) -> Result<Claim> {
        let now = self.shared.clock.now();
        let mut taken = Taken {
            shared: &self.shared,
            session,
            runs: Vec::new(),
        };
        {
            let mut leases = self.shared.leases.lock();
            if !leases.is_alive(session, now) {
                return Err(StoreError::SessionLost);
            }
            let take = |key: &RunKey| leases.take_ready(key, session).map(|ready| (*key, ready));
            taken.runs = keys.iter().filter_map(take).collect();
        }
        if taken.runs.is_empty() {
            return Ok(Claim {
                now,
                runs: Vec::new(),
            });
        }
        // Every transaction that touched these runs' state has committed before they became ready, so a snapshot
        // taken from here on shows it. Mail may come meanwhile; the answer of the next commit tells.
        let known: HashMap<RunKey, i32> = known.iter().copied().collect();
        let mut found: HashMap<RunKey, ClaimedRun> = HashMap::with_capacity(taken.runs.len());
        self.read(|db| {
            for (key, _) in &taken.runs {
                let rev = known.get(key).map_or(UNKNOWN, |rev| i64::from(*rev));
                let values = [key.run.into(), key.plane.into(), Value::Int(rev)];
                if let Some(run) = db.first(&CLAIMED, &values, claimed)? {
                    found.insert(*key, run);
                }
            }
            Ok(())
        })?;

        let mut leases = self.shared.leases.lock();
        let mut runs = Vec::with_capacity(found.len());
        for (key, _) in &taken.runs {
            match found.remove(key) {
                Some(mut run) => {
                    if let Some(epoch) = leases.set_epoch(key, session, run.epoch) {
                        run.epoch = epoch;
                        runs.push(run);
                    }
                }
                // Purged between the two.
                None => leases.forget(key),
            }
        }
        drop(leases);
        taken.runs.clear();
        Ok(Claim { now, runs })
    }
}

fn claimed(cursor: &mut Cursor<'_>) -> Result<ClaimedRun> {
    let head = run_head(cursor)?;
    let plane = cursor.plane()?;
    Ok(ClaimedRun {
        key: RunKey {
            run: head.run_id,
            plane,
        },
        epoch: cursor.int()?,
        mail_in: cursor.int()?,
        crashes: small(cursor.int()?)?,
        rev: cursor.int32()?,
        last_seq: cursor.int()?,
        pool: cursor.shared()?,
        bundle_sha256: cursor.opt_shared()?,
        columns: if cursor.flag()? {
            None
        } else {
            Some(run_columns(cursor)?)
        },
        head,
    })
}
