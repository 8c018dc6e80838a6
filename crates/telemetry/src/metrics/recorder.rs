//! Keeping what is recorded, and showing it.

use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError},
};

use metrics::Recorder;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{
    definition::{Definition, Kind},
    definitions::ALL,
    series::keep_handles,
};
use crate::TelemetryError;

/// What was recorded in this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder of this process; a second call gets the first one's.
    pub fn install() -> Result<Self, TelemetryError> {
        static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
        static INSTALLING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = INSTALLED.get() {
            return Ok(Self(handle.clone()));
        }
        let recorder = recorder()?;
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::MetricsInstalled)?;
        keep_handles();
        // Shown as 0 from the start; with labels it is not known yet which series there will be.
        ALL.iter()
            .filter(|metric| metric.info().labels.is_empty())
            .for_each(|metric| metric.touch());
        Ok(Self(INSTALLED.get_or_init(|| handle).clone()))
    }

    /// The text of the `/metrics` endpoint, `text/plain; version=0.0.4`.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds recorded values into the histograms; to be called every few seconds.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// A recorder that knows every declared metric.
fn recorder() -> Result<PrometheusRecorder, TelemetryError> {
    let mut builder = PrometheusBuilder::new();
    for metric in ALL {
        let info = metric.info();
        if let Kind::Histogram(buckets) = info.kind {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(info.name.to_owned()), buckets)
                .map_err(|error| TelemetryError::Metric {
                    name: info.name,
                    reason: error.to_string(),
                })?;
        }
    }
    let recorder = builder.build_recorder();
    for metric in ALL {
        describe(&recorder, *metric);
    }
    Ok(recorder)
}

fn describe(recorder: &PrometheusRecorder, metric: &'static dyn Definition) {
    let info = metric.info();
    let (name, unit, help) = (info.name.into(), Some(info.unit), info.help.into());
    match info.kind {
        Kind::Counter => recorder.describe_counter(name, unit, help),
        Kind::Gauge => recorder.describe_gauge(name, unit, help),
        Kind::Histogram(_) => recorder.describe_histogram(name, unit, help),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use metrics::Unit;

    use super::*;
    use crate::metrics::{
        HTTP_DURATION, HTTP_REQUESTS, REQUESTS_REFUSED, STALE_WRITES, STREAMS_OPEN, status_class,
    };

    fn render(work: impl FnOnce()) -> String {
        let recorder = recorder().expect("declarations are valid");
        metrics::with_local_recorder(&recorder, work);
        let metrics = Metrics(recorder.handle());
        metrics.upkeep();
        metrics.render()
    }

    #[test]
    fn declarations_follow_the_rules() {
        let mut names = HashSet::new();
        for metric in ALL {
            let info = metric.info();
            let name = info.name;
            assert!(names.insert(name), "{name} twice");
            assert!(name.starts_with("gateway_"), "{name}");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{name}"
            );
            assert!(info.help.ends_with('.') && info.help.len() > 5, "{name}");
            assert_eq!(name.ends_with("_total"), info.kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), info.unit == Unit::Seconds, "{name}");
            for label in info.labels {
                assert!(!label.ends_with("id") && *label != "le", "{name}: {label}");
            }
            if let Kind::Histogram(buckets) = info.kind {
                assert!(buckets.is_sorted_by(|a, b| a < b), "{name}");
            }
        }
    }

    #[test]
    fn rendering() {
        let text = render(|| {
            HTTP_REQUESTS
                .with(["/api/gateway/runs", "GET", status_class(204)])
                .increment(2);
            HTTP_DURATION
                .with(["/api/gateway/runs", "GET"])
                .record(Duration::from_millis(3));
            STREAMS_OPEN.with([]).increment(1.0);
            REQUESTS_REFUSED.with(["a \"quoted\"\nreason"]).increment(1);
            STALE_WRITES.touch();
        });
        for line in [
            "# HELP gateway_http_requests_total Answered HTTP requests.",
            "# TYPE gateway_http_requests_total counter",
            r#"gateway_http_requests_total{route="/api/gateway/runs",method="GET",status_class="2xx"} 2"#,
            "# TYPE gateway_http_request_duration_seconds histogram",
            r#"gateway_http_request_duration_seconds_bucket{route="/api/gateway/runs",method="GET",le="0.0025"} 0"#,
            r#"gateway_http_request_duration_seconds_bucket{route="/api/gateway/runs",method="GET",le="0.005"} 1"#,
            r#"gateway_http_request_duration_seconds_count{route="/api/gateway/runs",method="GET"} 1"#,
            "gateway_streams_open 1",
            r#"gateway_requests_refused_total{reason="a \"quoted\"\nreason"} 1"#,
            "gateway_stale_writes_refused_total 0",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "no line {line} in\n{text}"
            );
        }
    }

    #[test]
    fn status_classes() {
        for (status, class) in [
            (101, "1xx"),
            (200, "2xx"),
            (307, "3xx"),
            (499, "4xx"),
            (503, "5xx"),
            (0, "other"),
            (999, "other"),
        ] {
            assert_eq!(status_class(status), class, "{status}");
        }
    }

    /// Generated from the definitions; the file says how operators use it.
    #[test]
    fn the_document_lists_every_metric() {
        let mut table = String::from("| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n");
        for metric in ALL {
            let info = metric.info();
            let kind = match info.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            let labels: Vec<String> = info.labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = labels.join(", ");
            table += &format!("| `{}` | {kind} | {labels} | {} |\n", info.name, info.help);
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md");
        let document = std::fs::read_to_string(path).expect("docs/METRICS.md");
        assert!(document.contains(&table), "docs/METRICS.md should hold:\n{table}");
    }

    /// A metric that nobody records is a promise that nobody keeps.
    #[test]
    fn every_metric_is_recorded_somewhere() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut sources = String::new();
        let mut folders = vec![root.join("crates"), root.join("services")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    let skip = ["telemetry", "tests", "target"];
                    let name = entry.file_name();
                    if !skip.iter().any(|skipped| name == *skipped) {
                        folders.push(path);
                    }
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    sources += &std::fs::read_to_string(path).unwrap_or_default();
                }
            }
        }
        // Recorded by this crate itself.
        let own = ["STORE_DURATION", "STORE_ERRORS", "TRACE_EXPORTS_FAILED"];
        for name in super::super::definitions::NAMES {
            let squeezed =
                sources.contains(&format!("{name}.with(")) || sources.contains(&format!("{name}\n"));
            assert!(
                own.contains(name) || squeezed,
                "{name} is declared and never recorded"
            );
        }
    }
}
