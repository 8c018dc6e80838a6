//! What lives as long as telemetry does.

use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use crate::{TelemetryError, metrics::Metrics, traces::Exporting};

/// How often recorded values are folded into the histograms. Without it they pile up where nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Keep it until the process ends.
#[derive(Debug)]
pub struct TelemetryGuard {
    metrics: Metrics,
    traces: Option<Exporting>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TelemetryGuard {
    pub(crate) fn start(metrics: Metrics, traces: Option<Exporting>) -> Result<Self, TelemetryError> {
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
            traces,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Sends the traces that wait. To be called at the end of the program: dropping the guard gives them up.
    pub async fn flush(&self) {
        let Some(traces) = self.traces.clone() else {
            return;
        };
        // The exporter's own thread needs this runtime, so its end is not waited for on one of its threads.
        let _ = tokio::task::spawn_blocking(move || traces.close()).await;
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
