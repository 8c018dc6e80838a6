//! A scripted HTTP server: one answer per POST, connections closed after each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// One answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Status, further headers, body.
    Json(u16, Vec<(&'static str, String)>, Value),
    /// Success with this body.
    Raw(&'static str, Vec<u8>),
    /// A body that is announced longer than it is.
    Cut(Vec<u8>),
    /// No answer, connection closed.
    Close,
    /// No answer, connection open until the client closes it.
    Hang,
}

impl Reply {
    pub(crate) fn json(value: Value) -> Self {
        Self::Json(200, Vec::new(), value)
    }

    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self::Json(status, Vec::new(), json!({ "error": { "message": message } }))
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::message(&json!({ "role": "assistant", "content": text }))
    }

    pub(crate) fn message(message: &Value) -> Self {
        Self::json(json!({
            "id": "chatcmpl-1",
            "model": "gpt-4o-mini",
            "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18 },
        }))
    }
}

/// What came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) raw: Vec<u8>,
    pub(crate) body: Value,
}

#[derive(Debug, Default)]
struct State {
    replies: VecDeque<Reply>,
    models: Option<Vec<&'static str>>,
    seen: Vec<Seen>,
}

pub(crate) struct Server {
    pub(crate) base: String,
    state: Arc<Mutex<State>>,
    hanging: Arc<Notify>,
    closed: Arc<Notify>,
}

impl Server {
    /// Starts with a script. The last reply repeats. Without `models` the list is a 404.
    pub(crate) async fn start(models: Option<Vec<&'static str>>, replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let base = format!("http://{}/v1", listener.local_addr().expect("address"));
        let state = Arc::new(Mutex::new(State {
            replies: replies.into(),
            models,
            seen: Vec::new(),
        }));
        let (hanging, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let server = Self {
            base,
            state: state.clone(),
            hanging: hanging.clone(),
            closed: closed.clone(),
        };
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, state.clone(), hanging.clone(), closed.clone()));
            }
        });
        server
    }

    pub(crate) fn posts(&self) -> Vec<Seen> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.method == "POST")
            .collect()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().expect("state").seen.clone()
    }

    /// Until a request hangs.
    pub(crate) async fn hanging(&self) {
        self.hanging.notified().await;
    }

    /// Until the client closed a hanging connection.
    pub(crate) async fn closed(&self) {
        self.closed.notified().await;
    }
}

async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>, hanging: Arc<Notify>, closed: Arc<Notify>) {
    let Some(seen) = read_request(&mut socket).await else {
        return;
    };
    let reply = {
        let mut state = state.lock().expect("state");
        let reply = if seen.method == "GET" {
            match &state.models {
                Some(models) => {
                    let data: Vec<Value> = models.iter().map(|id| json!({ "id": id })).collect();
                    Reply::json(json!({ "data": data }))
                }
                None => Reply::error(404, "unknown path"),
            }
        } else if state.replies.len() > 1 {
            state.replies.pop_front().expect("checked")
        } else {
            state.replies.front().cloned().unwrap_or(Reply::Close)
        };
        state.seen.push(seen);
        reply
    };
    match reply {
        Reply::Json(status, headers, body) => {
            let headers: String = headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}");
            answer(&mut socket, &head, body.as_bytes(), body.len()).await;
        }
        Reply::Raw(content_type, body) => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n");
            answer(&mut socket, &head, &body, body.len()).await;
        }
        Reply::Cut(body) => {
            answer(&mut socket, "HTTP/1.1 200 OK\r\n", &body, body.len() + 100).await;
        }
        Reply::Close => {}
        Reply::Hang => {
            hanging.notify_one();
            let mut byte = [0_u8; 1];
            let _ = socket.read(&mut byte).await;
            closed.notify_one();
        }
    }
}

async fn answer(socket: &mut TcpStream, head: &str, body: &[u8], length: usize) {
    let head = format!("{head}content-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = socket.write_all(head.as_bytes()).await;
    let _ = socket.write_all(body).await;
    let _ = socket.shutdown().await;
}

async fn read_request(socket: &mut TcpStream) -> Option<Seen> {
    let mut data = Vec::new();
    let mut buffer = vec![0_u8; 16 * 1024];
    let head_end = loop {
        let read = socket.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        data.extend_from_slice(&buffer[..read]);
        if let Some(end) = data.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8_lossy(&data[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut raw = data.split_off(head_end + 4);
    while raw.len() < length {
        let read = socket.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        raw.extend_from_slice(&buffer[..read]);
    }
    let body = serde_json::from_slice(&raw).unwrap_or(Value::Null);
    Some(Seen {
        method,
        path,
        headers,
        raw,
        body,
    })
}
