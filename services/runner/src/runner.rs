//! A runner: one or more sessions, one after the other, until it is told to stop.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32},
    },
    time::Duration,
};

use ag_engine::{Deps, LivePools, POOL_GRACE, Place};
use ag_store::{NewSession, StoreError};
use ag_types::{RunKey, SessionId, SystemScope};
use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    board::Board,
    instances::{self, Instance},
    timers::Timers,
};

pub(crate) const SCOPE: SystemScope = SystemScope::new("runner");
/// Longest wait for a new session before another connection is tried.
const OPEN: Duration = Duration::from_secs(10);

/// Settings of a runner.
#[derive(Debug, Clone)]
pub struct RunnerOptions {
    /// Pool whose runs it executes.
    pub pool: Arc<str>,
    /// Runs in flight at most.
    pub slots: usize,
    /// Host and process, for people.
    pub node: String,
    /// How long a drain waits for effects in flight before they are handed back.
    pub drain: Duration,
    /// Whether there are other runners.
    pub company: Company,
    /// How long another pool must have been without a runner before a run that goes there is told.
    pub pool_grace: Duration,
    /// Folder in which runners of this machine show that they live; `None` leaves it to the leases to find out.
    pub instances: Option<PathBuf>,
}

/// Whether there are other runners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// The only one there is executes everything, whatever pool it belongs to.
    Alone,
    /// One of several: runs of other pools, and those it cannot execute, are left to the others.
    Others {
        /// The workspaces are mounted here.
        workspace: bool,
    },
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self {
            pool: "default".into(),
            slots: 256,
            node: "local".to_owned(),
            drain: Duration::from_secs(30),
            company: Company::Alone,
            pool_grace: POOL_GRACE,
            instances: None,
        }
    }
}

/// One incarnation.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    /// Fires when the authority is gone: every task stops at once.
    pub(crate) abort: CancellationToken,
    /// When the last good renewal was sent.
    renewed: Arc<Mutex<Instant>>,
    /// Held as long as the session lives.
    _instance: Option<Arc<Instance>>,
}

impl Session {
    pub(crate) fn renewed(&self) -> Instant {
        *self.renewed.lock()
    }

    pub(crate) fn set_renewed(&self, sent: Instant) {
        *self.renewed.lock() = sent;
    }
}

/// The worker role.
pub struct Runner {
    pub(crate) deps: Arc<Deps>,
    pub(crate) options: RunnerOptions,
    pub(crate) place: Arc<Place>,
    pub(crate) slots: Arc<Semaphore>,
    /// Runs whose holders crashed twice go one at a time, so that the third crash names the culprit.
    pub(crate) suspects: Arc<Semaphore>,
    pub(crate) board: Board,
    /// Held while a claim is under way.
    pub(crate) claiming: tokio::sync::Mutex<()>,
    /// Beats that still look for runs whose claim was never answered.
    pub(crate) doubtful_beats: AtomicU32,
    /// Runs this runner knows to hold, with their epochs.
    pub(crate) known: Mutex<HashSet<(RunKey, i64)>>,
    pub(crate) timers: Timers,
    pub(crate) session: RwLock<Option<Session>>,
    /// Look for candidates in the store instead of waiting for the bell.
    pub(crate) look: Notify,
    pub(crate) look_wanted: AtomicBool,
    pub(crate) drain: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Runner {
    /// A runner that does nothing before [`Runner::run`].
    pub fn new(deps: Arc<Deps>, options: RunnerOptions) -> Arc<Self> {
        let pool = options.pool.clone();
        let place = match options.company {
            Company::Alone => Place::alone(pool),
            Company::Others { workspace } => {
                let live = LivePools::with_grace(options.pool_grace);
                Place::in_pool(pool, workspace, Arc::new(live))
            }
        };
        Arc::new(Self {
            place: Arc::new(place),
            slots: Arc::new(Semaphore::new(options.slots)),
            suspects: Arc::new(Semaphore::new(1)),
            board: Board::default(),
            claiming: tokio::sync::Mutex::default(),
            doubtful_beats: AtomicU32::new(0),
            known: Mutex::default(),
            timers: Timers::default(),
            session: RwLock::new(None),
            look: Notify::new(),
            look_wanted: AtomicBool::new(true),
            drain: CancellationToken::new(),
            tasks: TaskTracker::new(),
            deps,
            options,
        })
    }

    /// What this runner knows of its and other pools.
    pub fn live_pools(&self) -> &Arc<LivePools> {
        self.place.live()
    }

    /// Opens the first session; afterwards starts in the same process may hand runs over.
    ///
    /// # Errors
    /// [`StoreError`] when the store refuses.
    pub async fn open(&self) -> Result<(), StoreError> {
        self.bury_predecessors().await;
        let id = self.deps.ids.session_id();
        let instance = self
            .options
            .instances
            .as_deref()
            .and_then(|folder| Instance::of(folder, id));
        let session = NewSession {
            id,
            pool: self.options.pool.clone(),
            node: self.options.node.clone(),
        };
        let sent = Instant::now();
        self.deps.store.open_session(&SCOPE, session).await?;
        ag_failpoints::hit("session.opened");
        *self.session.write() = Some(Session {
            id,
            abort: CancellationToken::new(),
            renewed: Arc::new(Mutex::new(sent)),
            _instance: instance.map(Arc::new),
        });
        Ok(())
    }

    /// Ends the sessions of processes of this machine that are known to be gone, without waiting for their leases.
    async fn bury_predecessors(&self) {
        let Some(folder) = &self.options.instances else {
            return;
        };
        for gone in instances::gone(folder) {
            let session = gone.session();
            match self.deps.store.close_session(&SCOPE, session, false).await {
                Ok(woken) => {
                    tracing::warn!(session.id = %session, runs = woken.len(), "ended the session of a process that is gone");
                    for woken in woken {
                        self.deps.bell.ring(&woken.pool, &[woken.key]).await;
                    }
                    gone.forget();
                }
                Err(error) => {
                    tracing::warn!(session.id = %session, %error, "a dead session could not be ended");
                }
            }
        }
    }

    /// Works until `shutdown` fires, then drains: ticks reach a boundary, effects get the drain time, the rest is
    /// handed back.
    pub async fn run(self: &Arc<Self>, shutdown: CancellationToken) {
        loop {
            let session = self.session.read().clone();
            let Some(session) = session else {
                if !self.reopen(&shutdown).await {
                    return;
                }
                continue;
            };
            let lost = session.abort.clone();
            tokio::select! {
                () = shutdown.cancelled() => {
                    self.leave(&session).await;
                    return;
                }
                () = lost.cancelled() => {
                    tracing::error!(session.id = %session.id, "session lost, all its tasks were stopped");
                    *self.session.write() = None;
                }
                () = self.work(&session) => {}
            }
        }
    }

    /// A new session after the old one was lost. False when told to stop meanwhile.
    async fn reopen(&self, shutdown: &CancellationToken) -> bool {
        loop {
            match tokio::time::timeout(OPEN, self.open()).await {
                Ok(Ok(())) => return true,
                Ok(Err(error)) => tracing::warn!(%error, "cannot open a session"),
                Err(_) => tracing::warn!("cannot open a session: no answer within {OPEN:?}"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return false,
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
            }
        }
    }

    async fn work(self: &Arc<Self>, session: &Session) {
        tokio::join!(
            self.claim_loop(session),
            self.beat_loop(session),
            self.timer_loop(),
            self.control_loop(session)
        );
    }

    async fn leave(self: &Arc<Self>, session: &Session) {
        self.drain.cancel();
        self.tasks.close();
        tokio::select! {
            drained = tokio::time::timeout(self.options.drain, self.tasks.wait()) => {
                if drained.is_err() {
                    tracing::info!(
                        runs = self.board.len(),
                        "drain time is over, handing back what is in flight"
                    );
                }
            }
            // The drain may take longer than the lease, and cancels must reach what drains.
            () = self.beat_loop(session) => {}
            () = self.control_loop(session) => {}
        }
        session.abort.cancel();
        self.tasks.wait().await;
        match self.deps.store.close_session(&SCOPE, session.id, true).await {
            Ok(woken) => {
                for woken in woken {
                    self.deps.bell.ring(&woken.pool, &[woken.key]).await;
                }
            }
            Err(error) => tracing::warn!(%error, "the session could not be closed; it expires by itself"),
        }
        *self.session.write() = None;
    }
}
