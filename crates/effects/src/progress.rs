//! What a long effect tells while it runs.

use ag_types::Object;
use tokio::sync::mpsc;

/// Reports that wait to be written down; more are dropped, the newest state comes with the next one.
const WAITING: usize = 16;

/// Where an effect reports to; by default nobody listens.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<mpsc::Sender<Object>>);

impl Progress {
    /// A place to report to, and its reports.
    pub fn channel() -> (Self, mpsc::Receiver<Object>) {
        let (sender, reports) = mpsc::channel(WAITING);
        (Self(Some(sender)), reports)
    }

    /// Reports. Never waits: whoever works should go on.
    pub fn report(&self, report: Object) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(report);
        }
    }
}
