//! Starts of the same process hand runs over in memory.

use std::sync::Arc;

use ag_engine::{Held, LocalRunner, Slot};
use ag_kernel::EffectRequest;
use ag_types::{SessionId, Timestamp};
use tokio::sync::OwnedSemaphorePermit;

use crate::{Runner, cause::Cause, runner::Session, strays::Known};

/// The runner as starts see it.
pub struct LocalSlots(pub Arc<Runner>);

struct Reserved {
    runner: Arc<Runner>,
    session: Session,
    permit: OwnedSemaphorePermit,
}

impl LocalRunner for LocalSlots {
    fn pool(&self) -> Arc<str> {
        self.0.options.pool.clone()
    }

    fn reserve(&self) -> Option<Box<dyn Slot>> {
        let runner = &self.0;
        if runner.drain.is_cancelled() {
            return None;
        }
        let session = runner
            .session
            .read()
            .clone()
            .filter(|session| !session.abort.is_cancelled())?;
        let permit = runner.slots.clone().try_acquire_owned().ok()?;
        Some(Box::new(Reserved {
            runner: runner.clone(),
            session,
            permit,
        }))
    }
}

impl Slot for Reserved {
    fn session(&self) -> SessionId {
        self.session.id
    }

    fn timer(&self, due: Timestamp) {
        self.runner.timers.add(due);
    }

    fn adopt(self: Box<Self>, held: Box<Held>, pending: Option<EffectRequest>) {
        let Self {
            runner,
            session,
            permit,
        } = *self;
        let tasks = runner.tasks.clone();
        let known = Known::new(&runner, held.key, held.epoch);
        // A drive's future is large: in a box it is moved once and not at each hand of the scheduler's.
        tasks.spawn(Box::pin(async move {
            let _known = known;
            let cause = Cause::Found(None);
            runner.drive(&session, held, pending, permit, cause).await;
        }));
    }
}
