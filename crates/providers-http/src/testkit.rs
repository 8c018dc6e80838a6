//! A scripted model server for tests: one answer per POST, connections closed after each, every fault that a real one
//! shows.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// One answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Status, further headers, body.
    Json(u16, Vec<(&'static str, String)>, Value),
    /// Success with this body.
    Raw(&'static str, Vec<u8>),
    /// A body that is announced longer than it is.
    Cut(Vec<u8>),
    /// No answer, connection closed.
    Close,
    /// The beginning of an answer, then the connection is reset.
    Reset(&'static str, Vec<u8>),
    /// No answer, connection open until the client closes it.
    Hang,
    /// The beginning of an answer, then silence until the client closes the connection.
    Stall(&'static str, Vec<u8>),
    /// Pieces of a body, one after each pause.
    Slow(&'static str, Vec<Vec<u8>>, Duration),
    /// The same piece, as often as given, as fast as the client reads, without an announced length.
    Flood(&'static str, Vec<u8>, usize),
}

impl Reply {
    /// A success.
    #[must_use]
    pub fn json(value: Value) -> Self {
        Self::Json(200, Vec::new(), value)
    }

    /// An error in OpenAI's form.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        Self::Json(status, Vec::new(), json!({ "error": { "message": message } }))
    }

    /// A chat completion.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::message(&json!({ "role": "assistant", "content": text }))
    }

    /// A chat completion with this message.
    #[must_use]
    pub fn message(message: &Value) -> Self {
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
pub struct Seen {
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: HashMap<String, String>,
    /// Body.
    pub raw: Vec<u8>,
    /// Body, where it is JSON.
    pub body: Value,
}

#[derive(Debug, Default)]
struct State {
    replies: VecDeque<Reply>,
    gets: HashMap<String, Value>,
    seen: Vec<Seen>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    held: Notify,
    closed: Notify,
    open: AtomicUsize,
}

/// The server. It lives as long as the test's runtime.
#[derive(Debug)]
pub struct Server {
    /// `http://<address>/v1`.
    pub base: String,
    /// `http://<address>`.
    pub root: String,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts with a script; its last reply repeats. `models` is OpenAI's list; without, the list is a 404.
    ///
    /// # Panics
    /// Without a free port.
    pub async fn start(models: Option<Vec<&'static str>>, replies: Vec<Reply>) -> Self {
        let gets = models.map(|models| {
            let data: Vec<Value> = models.iter().map(|id| json!({ "id": id })).collect();
            ("/v1/models".to_owned(), json!({ "data": data }))
        });
        Self::with_gets(gets.into_iter().collect(), replies).await
    }

    /// Starts with answers to GETs by path; others are 404.
    ///
    /// # Panics
    /// Without a free port.
    pub async fn with_gets(gets: HashMap<String, Value>, replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let root = format!("http://{}", listener.local_addr().expect("address"));
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                replies: replies.into(),
                gets,
                seen: Vec::new(),
            }),
            ..Shared::default()
        });
        let server = Self {
            base: format!("{root}/v1"),
            root,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    shared.open.fetch_add(1, Ordering::SeqCst);
                    serve(socket, &shared).await;
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    /// The POSTs so far.
    #[must_use]
    pub fn posts(&self) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|seen| seen.method == "POST");
        seen
    }

    /// All requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state.lock().seen.clone()
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Until a request is held open: hanging, stalled, or sent slowly.
    pub async fn hanging(&self) {
        self.shared.held.notified().await;
    }

    /// Until the client left a held connection.
    pub async fn closed(&self) {
        self.shared.closed.notified().await;
    }
}

async fn serve(mut socket: TcpStream, shared: &Shared) {
    let Some(seen) = read_request(&mut socket).await else {
        return;
    };
    let reply = {
        let mut state = shared.state.lock();
        let path = seen.path.split('?').next().unwrap_or_default();
        let reply = if seen.method == "GET" {
            match state.gets.get(path) {
                Some(value) => Reply::json(value.clone()),
                None => Reply::error(404, "unknown path"),
            }
        } else if state.replies.len() > 1 {
            state.replies.pop_front().unwrap_or(Reply::Close)
        } else {
            state.replies.front().cloned().unwrap_or(Reply::Close)
        };
        state.seen.push(seen);
        reply
    };
    answer(socket, reply, shared).await;
}

async fn answer(mut socket: TcpStream, reply: Reply, shared: &Shared) {
    match reply {
        Reply::Json(status, headers, body) => {
            let headers: String = headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}");
            whole(&mut socket, &head, body.as_bytes(), body.len()).await;
        }
        Reply::Raw(content_type, body) => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n");
            whole(&mut socket, &head, &body, body.len()).await;
        }
        Reply::Cut(body) => whole(&mut socket, "HTTP/1.1 200 OK\r\n", &body, body.len() + 100).await,
        Reply::Close => {}
        Reply::Reset(content_type, body) => {
            let _ = begin(&mut socket, content_type).await;
            let _ = socket.write_all(&body).await;
            let _ = socket.set_zero_linger();
        }
        Reply::Hang => held(socket, shared).await,
        Reply::Stall(content_type, body) => {
            let _ = begin(&mut socket, content_type).await;
            let _ = socket.write_all(&body).await;
            held(socket, shared).await;
        }
        Reply::Slow(content_type, pieces, pause) => {
            let _ = begin(&mut socket, content_type).await;
            shared.held.notify_one();
            for piece in pieces {
                let mut byte = [0_u8; 1];
                // Clients send nothing more, so whatever can be read is their leaving.
                let left = tokio::select! {
                    () = tokio::time::sleep(pause) => false,
                    _ = socket.peek(&mut byte) => true,
                };
                if left || socket.write_all(&piece).await.is_err() {
                    shared.closed.notify_one();
                    return;
                }
            }
        }
        Reply::Flood(content_type, piece, times) => {
            let _ = begin(&mut socket, content_type).await;
            for _ in 0..times {
                if socket.write_all(&piece).await.is_err() {
                    break;
                }
            }
        }
    }
}

async fn held(mut socket: TcpStream, shared: &Shared) {
    shared.held.notify_one();
    let mut byte = [0_u8; 1];
    let _ = socket.read(&mut byte).await;
    shared.closed.notify_one();
}

/// A head without a length: the body ends with the connection.
async fn begin(socket: &mut TcpStream, content_type: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await
}

async fn whole(socket: &mut TcpStream, head: &str, body: &[u8], length: usize) {
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
