//! Setting telemetry up.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Layer, Registry, fmt::writer::BoxMakeWriter, layer::SubscriberExt};

use crate::{
    TelemetryError, TelemetryGuard, logs,
    metrics::Metrics,
    traces::{self, TraceOptions},
};

/// Shape of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text if the output is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// Where log lines go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error: safe for commands whose result is on standard output.
    #[default]
    Stderr,
    /// Standard output: for services whose only output is the log.
    Stdout,
}

/// What to set up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Filter in the notation of tracing, see [`crate::filter_text`].
    pub filter: String,
    /// Shape of log lines.
    pub format: LogFormat,
    /// Where they go.
    pub output: LogOutput,
    /// Where traces go; `None` = nowhere.
    pub traces: Option<TraceOptions>,
}

/// A further consumer of spans and events, with a filter of its own; the place for an exporter of traces.
pub type ExtraLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Installs the log subscriber, the exporter of traces and the metrics recorder of this process.
///
/// # Errors
/// [`TelemetryError`]; with traces also outside of a tokio runtime.
pub fn init(options: &Options, extra: Vec<ExtraLayer>) -> Result<TelemetryGuard, TelemetryError> {
    let filter = EnvFilter::builder()
        .parse(&options.filter)
        .map_err(|error| TelemetryError::Filter {
            filter: options.filter.clone(),
            reason: error.to_string(),
        })?;
    let mut layers = extra;
    let mut exporting = None;
    if let Some(options) = &options.traces {
        let (layer, started) = traces::layer(options)?;
        layers.push(layer);
        exporting = Some(started);
    }
    layers.push(log_layer(options).with_filter(filter).boxed());
    tracing::subscriber::set_global_default(Registry::default().with(layers))
        .map_err(|_| TelemetryError::LogsInstalled)?;
    TelemetryGuard::start(Metrics::install()?, exporting)
}

fn log_layer(options: &Options) -> ExtraLayer {
    let (terminal, writer) = match options.output {
        LogOutput::Stderr => (
            std::io::stderr().is_terminal(),
            BoxMakeWriter::new(std::io::stderr),
        ),
        LogOutput::Stdout => (
            std::io::stdout().is_terminal(),
            BoxMakeWriter::new(std::io::stdout),
        ),
    };
    if is_text(options.format, terminal) {
        tracing_subscriber::fmt::layer()
            .with_ansi(terminal)
            .with_writer(writer)
            .boxed()
    } else {
        logs::json_layer(writer)
    }
}

fn is_text(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        for (format, terminal, text) in [
            (LogFormat::Auto, true, true),
            (LogFormat::Auto, false, false),
            (LogFormat::Text, false, true),
            (LogFormat::Json, true, false),
        ] {
            assert_eq!(is_text(format, terminal), text, "{format:?} {terminal}");
        }
    }

    // The only test that touches the process-wide state.
    #[test]
    fn set_up_once() {
        let bad = Options {
            filter: "ag_engine=loud".to_owned(),
            ..Options::default()
        };
        let error = init(&bad, Vec::new()).expect_err("not a level").to_string();
        assert!(
            error.starts_with("log filter `ag_engine=loud` is not valid: "),
            "{error}"
        );

        let options = Options {
            filter: "off".to_owned(),
            ..Options::default()
        };
        let guard = init(&options, Vec::new()).expect("first");
        crate::metrics::RUNS_STARTED.with([]).increment(2);
        assert!(
            guard
                .metrics()
                .render()
                .contains("\ngateway_runs_started_total 2\n")
        );
        assert!(matches!(
            init(&options, Vec::new()),
            Err(TelemetryError::LogsInstalled)
        ));
        drop(guard);
    }
}
