//! Lets the watching thread push a stuck worker to the lowest scheduling priority.

#[cfg(target_os = "linux")]
mod imp {
    use std::sync::OnceLock;

    use rustix::{process, thread};

    /// The lowest priority `setpriority` knows.
    const LOWEST: i32 = 19;

    #[derive(Debug, Default)]
    pub(in crate::pool) struct ThreadHandle(OnceLock<process::Pid>);

    impl ThreadHandle {
        /// Called first on the thread the handle is for.
        pub(in crate::pool) fn enter(&self) {
            // A handle belongs to one job, so it is set once.
            let _ = self.0.set(thread::gettid());
        }

        /// The thread must not have ended. On Linux a "process" id of `setpriority` is a thread's.
        pub(in crate::pool) fn yield_processor(&self) {
            if let Some(id) = self.0.get() {
                // A refusal only leaves the thread where it was.
                let _ = process::setpriority_process(Some(*id), LOWEST);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    #[derive(Debug, Default)]
    pub(in crate::pool) struct ThreadHandle;

    impl ThreadHandle {
        pub(in crate::pool) fn enter(&self) {}

        pub(in crate::pool) fn yield_processor(&self) {}
    }
}

pub(super) use imp::ThreadHandle;
