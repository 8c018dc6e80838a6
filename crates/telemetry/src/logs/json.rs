//! Log lines as JSON: `{"ts", "level", "target", "msg", …}`, then the fields of the spans from the outside in,
//! then those of the event; the inner one wins where names meet. Inside a span that is traced, `trace_id` and `span_id`
//! follow `msg`.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber, field::Field};
use tracing_subscriber::{
    Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{JsonFields, Writer},
        writer::BoxMakeWriter,
    },
    registry::LookupSpan,
};

use crate::{ExtraLayer, traces};

/// A layer that writes JSON lines.
pub(crate) fn json_layer(writer: BoxMakeWriter) -> ExtraLayer {
    tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine { now: Timestamp::now })
        .with_writer(writer)
        .boxed()
}

struct JsonLine {
    now: fn() -> Timestamp,
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        if let Some(scope) = context.event_scope() {
            for span in scope.from_root() {
                let extensions = span.extensions();
                let Some(formatted) = extensions.get::<FormattedFields<N>>() else {
                    continue;
                };
                if let Ok(Value::Object(own)) = serde_json::from_str(formatted.as_str()) {
                    fields.values.extend(own);
                }
            }
        }
        event.record(&mut fields);

        let mut line = Map::new();
        let ts = (self.now)().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        line.insert("ts".to_owned(), ts.into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        line.insert("target".to_owned(), metadata.target().into());
        line.insert("msg".to_owned(), fields.message.into());
        if let Some((trace, span)) = traces::current_ids() {
            line.insert("trace_id".to_owned(), trace.into());
            line.insert("span_id".to_owned(), span.into());
        }
        for (name, value) in fields.values {
            line.entry(name).or_insert(value);
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Collects the fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    values: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.values.insert(field.name().to_owned(), value.into());
    }
}

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{Registry, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic in tests").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(work: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let sink = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine {
                now: || Timestamp::UNIX_EPOCH,
            })
            .with_writer(move || sink.clone());
        tracing::subscriber::with_default(Registry::default().with(layer), work);
        let bytes = lines.0.lock().expect("no panic in tests").clone();
        let text = String::from_utf8(bytes).expect("UTF-8");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON line"))
            .collect()
    }

    #[test]
    fn fields_of_spans_and_events() {
        let found = lines(|| {
            let outer = tracing::info_span!("request", request_id = "r1", tenant = "a");
            let _outer = outer.enter();
            let inner = tracing::info_span!("claim", run.id = "run-1", tenant = "b");
            let _inner = inner.enter();
            tracing::warn!(n = 3, effect.kind = "llm_call", ok = true, "effect {} failed", 7);
        });
        assert_eq!(
            found[0].to_string(),
            r#"{"ts":"1970-01-01T00:00:00.000000Z","level":"WARN","target":"ag_telemetry::logs::json::tests","msg":"effect 7 failed","request_id":"r1","tenant":"b","run.id":"run-1","n":3,"effect.kind":"llm_call","ok":true}"#
        );
    }

    #[test]
    fn lines_inside_a_traced_span_name_it() {
        use opentelemetry::trace::TracerProvider as _;
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
        let sink = Lines::default();
        let written = sink.clone();
        let logs = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine {
                now: || Timestamp::UNIX_EPOCH,
            })
            .with_writer(move || sink.clone())
            // Spans that are not logged name their lines all the same.
            .with_filter(tracing_subscriber::EnvFilter::new("warn"));
        let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(Registry::default().with(traces).with(logs), || {
            tracing::warn!("outside");
            let outer = tracing::info_span!("request");
            outer.in_scope(|| {
                tracing::warn!(trace_id = "fake", "first");
                tracing::info_span!("commit").in_scope(|| tracing::warn!("second"));
            });
            tracing::warn!("outside again");
        });
        let bytes = written.0.lock().expect("no panic in tests").clone();
        let text = String::from_utf8(bytes).expect("UTF-8");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON line"))
            .collect();
        let [before, first, second, after] = &lines[..] else {
            panic!("{text}")
        };
        assert!(
            before.get("trace_id").is_none() && after.get("trace_id").is_none(),
            "{text}"
        );
        assert_eq!(first["trace_id"].as_str().map(str::len), Some(32), "{text}");
        assert_eq!(first["span_id"].as_str().map(str::len), Some(16), "{text}");
        assert_eq!(first["trace_id"], second["trace_id"], "one trace");
        assert_ne!(first["span_id"], second["span_id"]);
    }

    #[test]
    fn one_line_per_event_whatever_it_says() {
        let found = lines(|| {
            tracing::error!(error = %"two\nlines", level = "fake", ts = "fake", "a \"quoted\"\nmessage");
            tracing::error!(value = f64::NAN, "second");
        });
        assert_eq!(found.len(), 2);
        assert_eq!(found[0]["msg"], "a \"quoted\"\nmessage");
        assert_eq!(found[0]["error"], "two\nlines");
        // Fields cannot take the place of the line's own keys.
        assert_eq!(found[0]["level"], "ERROR");
        assert_eq!(found[0]["ts"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(found[1]["value"], Value::Null);
    }
}
