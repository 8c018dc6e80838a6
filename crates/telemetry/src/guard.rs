//! What lives as long as telemetry does.

use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use crate::{TelemetryError, metrics::Metrics};

/// How often recorded values are folded into the histograms. Without it they pile up where nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Keep it until the process ends.
#[derive(Debug)]
pub struct TelemetryGuard {
    metrics: Metrics,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TelemetryGuard {
    pub(crate) fn start(metrics: Metrics) -> Result<Self, TelemetryError> {
        let (stop, stopped) = channel::<()>();
        let upkeep = metrics.clone();
        let thread = std::thread::Builder::new()
            .name("metrics-upkeep".to_owned())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(UPKEEP) {
                    upkeep.upkeep();
                }
            })
            .map_err(TelemetryError::Thread)?;
        Ok(Self {
            metrics,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The recorded metrics, for the `/metrics` endpoint.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
