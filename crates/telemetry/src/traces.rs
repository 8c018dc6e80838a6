//! Traces over OTLP (HTTP, protobuf). Off unless an endpoint is configured; then what is created with `tracing` at
//! `INFO` and above leaves the process in batches, through a bounded queue that drops rather than waits.
//!
//! A trace is what a request causes: the request, the claim of the run that it wakes, the visit to it, effects, commits,
//! and whatever those wake in turn. A run lives longer: what a timer or a sweep finds is a trace of its own, linked to
//! the start of the run. What crosses a process is W3C trace context as text, carried in wake-ups, the run and its mail;
//! carrying it is free while traces are off, because [`traceparent`] is `None` then.

mod export;

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use opentelemetry::{
    Context,
    trace::{
        SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
    },
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer as _, filter::Targets};

use crate::{ExtraLayer, TelemetryError};

/// Whether spans leave this process.
static ON: AtomicBool = AtomicBool::new(false);

/// Where traces go.
#[derive(Clone)]
pub struct TraceOptions {
    /// Base address of the receiver; `/v1/traces` is appended.
    pub endpoint: String,
    /// Headers of each request; they may hold a credential.
    pub headers: Vec<(String, String)>,
    /// `service.name`.
    pub service_name: String,
    /// Share of the traces that begin here and are kept.
    pub ratio: f64,
}

impl fmt::Debug for TraceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceOptions")
            .field("endpoint", &self.endpoint)
            .field("service_name", &self.service_name)
            .field("ratio", &self.ratio)
            .finish_non_exhaustive()
    }
}

/// Sends what is waiting when it is closed.
#[derive(Debug, Clone)]
pub(crate) struct Exporting(SdkTracerProvider);

impl Exporting {
    /// Sends what is waiting; blocks for seconds at most.
    pub(crate) fn close(&self) {
        ON.store(false, Ordering::Relaxed);
        if let Err(error) = self.0.shutdown() {
            tracing::debug!(%error, "the last traces could not be sent");
        }
    }
}

/// The layer that exports, to be given to [`crate::init`]. Needs a running tokio runtime.
pub(crate) fn layer(options: &TraceOptions) -> Result<(ExtraLayer, Exporting), TelemetryError> {
    let exporter = export::exporter(options)?;
    let resource = Resource::builder()
        .with_service_name(options.service_name.clone())
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    let ratio = options.ratio.clamp(0.0, 1.0);
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
        .with_resource(resource)
        .build();
    // Ours only: what libraries trace says nothing about runs, and the exporter must not trace itself.
    let ours = Targets::new()
        .with_target("ag_", tracing::Level::INFO)
        .with_target("abstractgateway", tracing::Level::INFO);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("abstractgateway"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(ours)
        .boxed();
    ON.store(true, Ordering::Relaxed);
    Ok((layer, Exporting(provider)))
}

/// Trace context of the current span, to be carried elsewhere; `None` while traces are off.
#[must_use]
pub fn traceparent() -> Option<String> {
    if !ON.load(Ordering::Relaxed) {
        return None;
    }
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| write(&span))
}

/// Trace and span of the thread's innermost traced span, in hex; `None` outside and while traces are off. Does not
/// depend on what is logged.
pub(crate) fn current_ids() -> Option<(String, String)> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid()
            .then(|| (span.trace_id().to_string(), span.span_id().to_string()))
    })
}

/// Makes a span the child of a carried context: for requests, whose trace began at the caller, and for what a wake-up
/// leads to.
pub fn continue_from(span: &Span, traceparent: &str) {
    if let Some(remote) = ON.load(Ordering::Relaxed).then(|| read(traceparent)).flatten() {
        // Fails only for spans that nobody exports.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    }
}

/// Ties a span to a carried context: for visits to a run that began in another trace.
pub fn link(span: &Span, traceparent: &str) {
    if let Some(remote) = ON.load(Ordering::Relaxed).then(|| read(traceparent)).flatten() {
        span.add_link(remote);
    }
}

fn write(span: &SpanContext) -> String {
    let (trace, id) = (span.trace_id(), span.span_id());
    format!("00-{trace}-{id}-{:02x}", span.trace_flags().to_u8())
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; later versions may append fields.
fn read(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length: usize| {
        text.len() == length
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    if !hex(version, 2) || version == "ff" || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
        return None;
    }
    if version == "00" && parts.next().is_some() {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_read_and_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = read(text).expect("valid");
        assert!(context.is_remote() && context.is_sampled());
        assert_eq!(write(&context), text);
        assert!(read("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more").is_some());
        for bad in [
            "",
            "00",
            "00-0-0-0",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-é-00f067aa0ba902b7-01",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_carried_while_traces_are_off() {
        assert_eq!(traceparent(), None);
    }
}
