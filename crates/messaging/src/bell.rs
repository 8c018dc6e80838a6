//! Wake-ups and urgent control messages.

use std::sync::Arc;

use ag_types::{RunKey, SessionId};
use async_trait::async_trait;

/// Something a session must do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// A held run has an unread cancel.
    Cancel(RunKey),
    /// Finish and leave.
    Drain,
}

/// A hint that a run has something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The run.
    pub key: RunKey,
    /// Trace context of whoever rang, while traces are on.
    pub trace: Option<Arc<str>>,
}

/// Hints that runs of a pool have something to do.
#[async_trait]
pub trait WakeUps: Send {
    /// Waits for hints and returns at most `max` of them; may return fewer, doubled or outdated ones, and returns an
    /// empty list when the bell was away and candidates should be looked up.
    async fn next(&mut self, max: usize) -> Vec<Hint>;
}

/// The bell.
#[async_trait]
pub trait Bell: Send + Sync {
    /// Rings for some runs of a pool; the hints carry the trace context of the current span. Errors are swallowed: a
    /// sweep finds what a lost bell announced.
    async fn ring(&self, pool: &str, runs: &[RunKey]);
    /// Listens to a pool; listeners of one pool share its hints.
    async fn listen(&self, pool: Arc<str>) -> Box<dyn WakeUps>;
    /// Tells a session something urgent.
    async fn control(&self, session: SessionId, message: Control);
    /// Control messages of a session.
    async fn controls(&self, session: SessionId) -> tokio::sync::mpsc::Receiver<Control>;
    /// False while hints are known to get lost, so that runners look for candidates more often.
    fn healthy(&self) -> bool;
}
