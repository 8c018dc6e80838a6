//! A receiver of traces.

use anyhow::Result;
use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// A receiver of OTLP: every span that arrives.
pub(crate) async fn receiver() -> Result<(String, mpsc::UnboundedReceiver<Span>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let (out, spans) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let out = out.clone();
            tokio::spawn(async move {
                while let Some(export) = export(&mut socket).await {
                    for scope in export
                        .resource_spans
                        .into_iter()
                        .flat_map(|resource| resource.scope_spans)
                    {
                        for span in scope.spans {
                            let _ = out.send(span);
                        }
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    if socket.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok((address, spans))
}

async fn export(socket: &mut TcpStream) -> Option<ExportTraceServiceRequest> {
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
    let length: usize = text
        .split_once("content-length: ")?
        .1
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()?;
    while bytes.len() < head + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    ExportTraceServiceRequest::decode(&bytes[head..head + length]).ok()
}
