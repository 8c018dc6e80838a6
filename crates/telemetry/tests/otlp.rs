//! What leaves the process, as a receiver of OTLP sees it.

use std::time::Duration;

use ag_telemetry::{Options, TraceOptions, metrics::Metrics, traces};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

struct Received {
    head: String,
    request: ExportTraceServiceRequest,
}

/// Answers every export with 200 and passes it on.
async fn receive(listener: TcpListener, out: mpsc::UnboundedSender<Received>) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let out = out.clone();
        tokio::spawn(async move {
            while let Some(received) = export(&mut socket).await {
                let _ = out.send(received);
                let answer =
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
                if socket.write_all(answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn export(socket: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head = loop {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let (_, rest) = text.split_once("content-length: ")?;
    let length: usize = rest.lines().next()?.trim().parse().ok()?;
    while bytes.len() < head + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received {
        request: ExportTraceServiceRequest::decode(&bytes[head..head + length]).ok()?,
        head: text,
    })
}

fn attribute<'s>(span: &'s Span, name: &str) -> Option<&'s AnyValue> {
    span.attributes
        .iter()
        .find(|pair| pair.key == name)?
        .value
        .as_ref()
}

fn text(value: Option<&AnyValue>) -> Option<&str> {
    match value?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_with_parents_links_and_names() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let endpoint = format!("http://{}/", listener.local_addr().expect("address"));
    let (sender, mut received) = mpsc::unbounded_channel();
    tokio::spawn(receive(listener, sender));
    let options = Options {
        filter: "off".to_owned(),
        traces: Some(TraceOptions {
            endpoint,
            headers: vec![("x-key".to_owned(), "a=b".to_owned())],
            service_name: "gateway-test".to_owned(),
            ratio: 1.0,
        }),
        ..Options::default()
    };
    assert!(!format!("{options:?}").contains("a=b"), "headers are secrets");
    let guard = ag_telemetry::init(&options, vec![]).expect("first");

    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = tracing::info_span!(target: "ag_api", "request", otel.kind = "server");
    traces::continue_from(&request, caller);
    let carried = request.in_scope(traces::traceparent).expect("traces are on");
    assert!(
        carried.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
        "{carried}"
    );
    drop(request);
    let tick = tracing::info_span!(target: "ag_runner", parent: None, "tick");
    traces::link(&tick, &carried);
    tick.in_scope(|| {
        tracing::info_span!(target: "ag_effects", "chat", gen_ai.request.model = "m", gen_ai.usage.input_tokens = 7_i64)
            .in_scope(|| {});
        tracing::debug_span!(target: "ag_store", "too fine").in_scope(|| {});
        tracing::info_span!(target: "hyper", "somebody else's").in_scope(|| {});
    });
    drop(tick);
    guard.flush().await;

    let mut spans = Vec::new();
    while spans.len() < 3 {
        let next = tokio::time::timeout(Duration::from_secs(20), received.recv()).await;
        let export = next.expect("in time").expect("an export");
        assert!(
            export.head.starts_with("post /v1/traces http/1.1"),
            "{}",
            export.head
        );
        assert!(export.head.contains("\r\nx-key: a=b\r\n"), "{}", export.head);
        for resource in export.request.resource_spans {
            let attributes = resource.resource.expect("a resource").attributes;
            let name = attributes.iter().find(|pair| pair.key == "service.name");
            assert_eq!(text(name.expect("a name").value.as_ref()), Some("gateway-test"));
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let mut names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["chat", "request", "tick"]);
    let find = |name: &str| spans.iter().find(|span| span.name == name).expect("present");
    let (request, tick, chat) = (find("request"), find("tick"), find("chat"));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&request.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex(&request.parent_span_id), "00f067aa0ba902b7");
    assert_ne!(tick.trace_id, request.trace_id, "a visit is a trace of its own");
    assert!(tick.parent_span_id.is_empty());
    let links: Vec<_> = tick
        .links
        .iter()
        .map(|link| (&link.trace_id, &link.span_id))
        .collect();
    assert_eq!(links, [(&request.trace_id, &request.span_id)]);
    assert_eq!(
        (&chat.trace_id, &chat.parent_span_id),
        (&tick.trace_id, &tick.span_id)
    );
    assert_eq!(text(attribute(chat, "gen_ai.request.model")), Some("m"));
    let tokens = attribute(chat, "gen_ai.usage.input_tokens").and_then(|value| value.value.clone());
    assert_eq!(tokens, Some(Value::IntValue(7)));
    assert_eq!(traces::traceparent(), None, "off again");
    let metrics = Metrics::install().expect("installed").render();
    assert!(
        metrics.contains("\ngateway_trace_exports_failed_total 0\n"),
        "{metrics}"
    );
}
