//! Threads with large stacks that run code, and the watch over them.
//!
//! The interpreter checks its own clock, but some built-in operations (a product of huge integers,
//! say) run long between two checks. The calling thread therefore waits with a timeout of its own;
//! a worker that misses it is *lost*: its answer is ignored, it ends by itself whenever it finishes,
//! and a new worker may take its place. Beyond [`PoolOptions::max_lost`] lost workers nothing new
//! starts, and where the platform can (Linux) a lost worker drops to the lowest priority, so stuck
//! code cannot take the processors from the rest of the process.
//!
//! Per job: `RUNNING` becomes `DONE` by the worker or `LOST` by the caller, whoever is first.

use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

mod priority;

const RUNNING: u8 = 0;
const DONE: u8 = 1;
const LOST: u8 = 2;

#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolOptions {
    pub(crate) max_workers: usize,
    pub(crate) max_lost: usize,
    pub(crate) stack_bytes: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PoolError {
    /// No worker became free in time, or too many are lost.
    Busy,
    /// The job did not finish in time; it may still be running.
    TimedOut,
    /// The job panicked, or its thread could not be made.
    Broken,
}

/// Runs on the worker; says whether the worker goes on.
type Job = Box<dyn FnOnce() -> ControlFlow<()> + Send>;

pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    options: PoolOptions,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    /// A worker holds no sender of its own queue while idle, so idle workers end with the pool.
    idle: Vec<SyncSender<Job>>,
    workers: usize,
    lost: usize,
}

#[derive(Default)]
struct Progress {
    state: AtomicU8,
    thread: priority::ThreadHandle,
}

impl Progress {
    /// Whether `end` is how the job ended; false if it had ended the other way.
    fn end_as(&self, end: u8) -> bool {
        self.state
            .compare_exchange(RUNNING, end, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl Pool {
    pub(crate) fn new(options: PoolOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                options,
                state: Mutex::default(),
                freed: Condvar::new(),
            }),
        }
    }

    /// Runs `job` on a worker. Waits up to `patience` for a free one, then up to `limit`.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        patience: Duration,
        limit: Duration,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let worker = self.acquire(patience)?;
        let progress = Arc::new(Progress::default());
        let (answer, answers) = sync_channel(1);
        let task: Job = {
            let progress = Arc::clone(&progress);
            let shared = Arc::downgrade(&self.shared);
            let queue = worker.clone();
            Box::new(move || {
                progress.thread.enter();
                let result = catch_unwind(AssertUnwindSafe(job));
                let in_time = progress.end_as(DONE);
                let next = hand_back(&shared, queue, in_time);
                // After the hand-back, so that the caller's next job finds this worker. The caller
                // may have gone; then nobody wants the answer.
                let _ = answer.send(result);
                next
            })
        };
        if worker.send(task).is_err() {
            self.shared.remove_worker();
            return Err(PoolError::Broken);
        }
        drop(worker);
        if let Ok(result) = answers.recv_timeout(limit) {
            return result.map_err(|_| PoolError::Broken);
        }
        {
            let mut state = self.shared.state.lock();
            if progress.end_as(LOST) {
                // Under the lock, which the worker needs before it ends: the thread still exists.
                progress.thread.yield_processor();
                state.workers -= 1;
                state.lost += 1;
                drop(state);
                self.shared.freed.notify_one();
                return Err(PoolError::TimedOut);
            }
        }
        // Finished in the last moment: the answer is on its way.
        match answers.recv() {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) | Err(_) => Err(PoolError::Broken),
        }
    }

    fn acquire(&self, patience: Duration) -> Result<SyncSender<Job>, PoolError> {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.state.lock();
        loop {
            if state.lost >= self.shared.options.max_lost.max(1) {
                return Err(PoolError::Busy);
            }
            if let Some(worker) = state.idle.pop() {
                return Ok(worker);
            }
            if state.workers < self.shared.options.max_workers.max(1) {
                state.workers += 1;
                drop(state);
                return self.spawn();
            }
            if self.shared.freed.wait_until(&mut state, deadline).timed_out() {
                return Err(PoolError::Busy);
            }
        }
    }

    fn spawn(&self) -> Result<SyncSender<Job>, PoolError> {
        let (queue, jobs) = sync_channel::<Job>(1);
        let thread = std::thread::Builder::new()
            .name("code-sandbox".to_owned())
            .stack_size(self.shared.options.stack_bytes)
            .spawn(move || {
                while let Ok(job) = jobs.recv() {
                    if job().is_break() {
                        return;
                    }
                }
            });
        if thread.is_err() {
            self.shared.remove_worker();
            return Err(PoolError::Broken);
        }
        Ok(queue)
    }
}

impl Shared {
    fn remove_worker(&self) {
        self.state.lock().workers -= 1;
        self.freed.notify_one();
    }
}

/// Makes the worker idle again, or lets it end if its caller gave up on it.
fn hand_back(shared: &Weak<Shared>, queue: SyncSender<Job>, in_time: bool) -> ControlFlow<()> {
    let Some(shared) = shared.upgrade() else {
        return ControlFlow::Break(());
    };
    let mut state = shared.state.lock();
    if in_time {
        state.idle.push(queue);
    } else {
        state.lost -= 1;
    }
    drop(state);
    shared.freed.notify_one();
    if in_time {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn pool(max_workers: usize, max_lost: usize) -> Pool {
        Pool::new(PoolOptions {
            max_workers,
            max_lost,
            stack_bytes: 256 * 1024,
        })
    }

    #[test]
    fn answers_and_reuses_the_worker() {
        let pool = pool(1, 1);
        let first = pool.run(LONG, LONG, || std::thread::current().id());
        let second = pool.run(LONG, LONG, || std::thread::current().id());
        assert!(first.is_ok());
        assert_eq!(first, second);
    }

    #[test]
    fn a_panic_is_an_error_and_the_worker_survives() {
        let pool = pool(1, 1);
        // `resume_unwind` skips the hook that would print.
        let broken = pool.run(LONG, LONG, || std::panic::resume_unwind(Box::new("broken")));
        assert_eq!(broken, Err::<(), _>(PoolError::Broken));
        assert_eq!(pool.run(LONG, LONG, || 7), Ok(7));
    }

    #[test]
    fn lost_workers_are_replaced_up_to_a_bound_and_come_home() {
        let pool = pool(1, 2);
        let mut gates = Vec::new();
        for _ in 0..2 {
            let (open, gate) = sync_channel::<()>(1);
            let result = pool.run(LONG, Duration::from_millis(1), move || gate.recv().is_ok());
            assert_eq!(result, Err(PoolError::TimedOut));
            gates.push(open);
        }
        assert_eq!(
            pool.run(Duration::from_millis(1), LONG, || 1),
            Err(PoolError::Busy)
        );
        gates.clear();
        let deadline = Instant::now() + LONG;
        let mut state = pool.shared.state.lock();
        while state.lost > 0 {
            assert!(!pool.shared.freed.wait_until(&mut state, deadline).timed_out());
        }
        drop(state);
        assert_eq!(pool.run(LONG, LONG, || 2), Ok(2));
    }

    #[test]
    fn a_full_pool_makes_callers_wait() {
        let pool = Arc::new(pool(1, 1));
        let (open, gate) = sync_channel::<()>(1);
        let (started, start) = sync_channel::<()>(1);
        let other = {
            let pool = Arc::clone(&pool);
            std::thread::spawn(move || {
                pool.run(LONG, LONG, move || {
                    let _ = started.send(());
                    gate.recv().is_ok()
                })
            })
        };
        assert!(start.recv().is_ok());
        assert_eq!(
            pool.run(Duration::from_millis(1), LONG, || 1),
            Err(PoolError::Busy)
        );
        assert!(open.send(()).is_ok());
        assert_eq!(pool.run(LONG, LONG, || 2), Ok(2));
        assert_eq!(other.join().expect("no panic"), Ok(true));
    }
}
