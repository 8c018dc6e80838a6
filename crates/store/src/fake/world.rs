//! The rows.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ag_types::{PlaneId, PlaneKey, RunHead, RunId, RunKey, TenantScope, Timestamp};

use crate::{
    ArtifactRow, CommandRow, Document, Mail, MailKind, MemoryRow, NewRun, OwnerRow, Placement, RunColumns,
    Segment, Woken, leases::LeaseTable,
};

/// A live run's head.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub pool: Arc<str>,
    pub mail_in: i64,
    pub ready_at: Option<Timestamp>,
    pub wake_at: Option<Timestamp>,
    pub crashes: i16,
    /// Its holder has begun to drive it.
    pub driven: bool,
}

/// A run with everything that belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub identity: RunHead,
    pub bundle_sha256: Option<Arc<str>>,
    pub columns: RunColumns,
    pub rev: i32,
    pub epoch: i64,
    pub last_seq: i64,
    pub segments: Vec<Segment>,
    pub mail: Vec<Mail>,
    pub head: Option<Head>,
}

#[derive(Debug, Clone)]
pub(super) struct StoredKey {
    pub body_sha256: [u8; 32],
    pub run: RunId,
    pub created_at: Timestamp,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct PlaneCounters {
    pub generation: i64,
    pub command_seq: i64,
}

#[derive(Default)]
pub(super) struct World {
    pub leases: LeaseTable,
    pub planes: Vec<TenantScope>,
    pub counters: HashMap<PlaneId, PlaneCounters>,
    pub runs: BTreeMap<RunKey, Run>,
    pub commands: HashMap<(PlaneId, String), CommandRow>,
    pub start_keys: HashMap<(PlaneId, String), StoredKey>,
    pub owners: HashMap<(PlaneId, String), OwnerRow>,
    pub artifacts: HashMap<(PlaneId, String), ArtifactRow>,
    /// In the order of insertion; the place is the number.
    pub memory: Vec<(PlaneId, MemoryRow)>,
    pub documents: BTreeMap<(PlaneId, &'static str, String), Document>,
    /// Ledgers of an import whose runs come later.
    pub half_ledgers: HashMap<RunKey, Vec<Segment>>,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self::default();
        world.plane(&PlaneKey::root());
        world
    }

    pub(super) fn plane(&mut self, key: &PlaneKey) -> TenantScope {
        if let Some(scope) = self.planes.iter().find(|scope| scope.key == *key) {
            return scope.clone();
        }
        let next = i32::try_from(self.planes.len()).map_or(i32::MAX, |known| known.saturating_add(1));
        let scope = TenantScope {
            plane: PlaneId(next),
            key: key.clone(),
        };
        self.planes.push(scope.clone());
        scope
    }

    pub(super) fn counters(&mut self, plane: PlaneId) -> &mut PlaneCounters {
        self.counters.entry(plane).or_default()
    }

    pub(super) fn is_live(&self, key: &RunKey) -> bool {
        self.runs.get(key).is_some_and(|run| run.head.is_some())
    }

    pub(super) fn insert_run(&mut self, plane: PlaneId, new: &NewRun, now: Timestamp) {
        let key = RunKey {
            run: new.head.run_id,
            plane,
        };
        let (ready_at, wake_at) = match new.placement {
            Placement::Ready | Placement::Held { .. } => (Some(now), None),
            Placement::Rest { wake_at } => (None, wake_at),
            Placement::Terminal => (None, None),
        };
        let head = Head {
            pool: new.pool.clone(),
            mail_in: 0,
            ready_at,
            wake_at,
            crashes: 0,
            driven: false,
        };
        let held = match new.placement {
            Placement::Held { session, epoch } if self.leases.is_alive(session, now) => {
                Some((session, epoch))
            }
            _ => None,
        };
        let run = Run {
            identity: new.head.clone(),
            bundle_sha256: new.bundle_sha256.clone(),
            columns: new.columns.clone(),
            rev: 0,
            epoch: held.map_or(0, |(_, epoch)| epoch),
            last_seq: new.last_seq,
            segments: new.segments.clone(),
            mail: Vec::new(),
            head: (new.placement != Placement::Terminal).then_some(head),
        };
        self.runs.insert(key, run);
        match held {
            Some((session, epoch)) => self.leases.own(key, session, epoch),
            None => self.announce(key),
        }
    }

    /// Puts a ready head among the claimable runs.
    pub(super) fn announce(&mut self, key: RunKey) {
        if let Some(head) = self.runs.get(&key).and_then(|run| run.head.as_ref())
            && let Some(since) = head.ready_at
        {
            self.leases.set_ready(key, &head.pool, since);
        }
    }

    /// Numbers mail and makes its target ready. `None`: the run has ended, the mail is dropped.
    pub(super) fn deliver(
        &mut self,
        key: RunKey,
        kind: MailKind,
        body: &Arc<str>,
        command_id: Option<Arc<str>>,
        now: Timestamp,
    ) -> Option<Woken> {
        let run = self.runs.get_mut(&key)?;
        let head = run.head.as_mut()?;
        head.mail_in += 1;
        head.ready_at.get_or_insert(now);
        run.mail.push(Mail {
            n: head.mail_in,
            kind,
            body: body.clone(),
            command_id,
        });
        let pool = head.pool.clone();
        self.announce(key);
        Some(Woken { key, pool })
    }

    /// Takes runs away from their holders.
    pub(super) fn release(&mut self, keys: &[RunKey], crashed: bool, now: Timestamp) -> Vec<Woken> {
        let mut woken = Vec::new();
        for key in keys {
            self.leases.release(key);
            let Some(head) = self.runs.get_mut(key).and_then(|run| run.head.as_mut()) else {
                continue;
            };
            head.ready_at = Some(now);
            let driven = std::mem::take(&mut head.driven);
            let counts = crashed && (head.crashes == 0 || driven);
            head.crashes = head.crashes.saturating_add(i16::from(counts));
            woken.push(Woken {
                key: *key,
                pool: head.pool.clone(),
            });
            self.announce(*key);
        }
        woken
    }
}
