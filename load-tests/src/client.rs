//! One kept connection to the gateway.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::sse::{Scanner, Seen};

/// Where and as whom to call.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `127.0.0.1:port`.
    pub address: Arc<str>,
    /// Value of the authorization header.
    pub authorization: Arc<str>,
}

/// A connection; opened again when the server closes it.
#[derive(Debug)]
pub(crate) struct Conn {
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Conn {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
            sender: None,
        }
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        let usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let stream = TcpStream::connect(&*self.target.address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // Ends with the connection; its errors show at the sender.
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        self.sender.as_mut().context("a connection was just made")
    }

    /// Sends a request and returns the answer's head.
    ///
    /// # Errors
    /// No answer.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &*self.target.address)
            .header(header::AUTHORIZATION, &*self.target.authorization);
        let request = if body.is_empty() {
            request
        } else {
            request.header(header::CONTENT_TYPE, kind)
        };
        let request = request.body(Full::new(body))?;
        Ok(self.sender().await?.send_request(request).await?)
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// No answer.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: Bytes) -> Result<(u16, Bytes)> {
        let response = self.send(method, path, "application/json", body).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok((status, bytes))
    }

    /// The JSON body of a 200.
    ///
    /// # Errors
    /// No answer or another status.
    pub(crate) async fn json(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let (status, bytes) = self.call(method, path, body).await?;
        ensure!(
            status == 200,
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(&bytes)
        );
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Starts a run from a prepared body.
    ///
    /// # Errors
    /// No answer or a refusal.
    pub(crate) async fn start(&mut self, body: &Bytes) -> Result<String> {
        let (status, bytes) = self.call("POST", "/api/gateway/runs/start", body.clone()).await?;
        // By hand: the generator must stay cheap. The answer is {"run_id":"..."}.
        let id = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.split('"').nth(3))
            .filter(|_| status == 200);
        match id {
            Some(id) => Ok(id.to_owned()),
            None => bail!("start: {status} {}", String::from_utf8_lossy(&bytes)),
        }
    }

    /// Sends a command.
    ///
    /// # Errors
    /// No answer or a refusal.
    pub(crate) async fn command(&mut self, id: &str, run: &str, kind: &str, payload: Value) -> Result<()> {
        let body = json!({"command_id": id, "run_id": run, "type": kind, "payload": payload});
        let answer = self.json("POST", "/api/gateway/commands", Some(&body)).await?;
        ensure!(answer["accepted"] == true, "command {id}: {answer}");
        Ok(())
    }

    /// Opens the stream of a run.
    ///
    /// # Errors
    /// It is refused.
    pub(crate) async fn stream(&mut self, run: &str, after: u64) -> Result<Incoming> {
        let path = format!("/api/gateway/runs/{run}/ledger/stream?after={after}&heartbeat_s=60");
        let response = self.send("GET", &path, "", Bytes::new()).await?;
        ensure!(response.status() == 200, "stream of {run}: {}", response.status());
        Ok(response.into_body())
    }

    /// Reads the stream of a run to its `done`; returns the last cursor.
    ///
    /// # Errors
    /// The stream ends without.
    pub(crate) async fn follow(&mut self, run: &str, after: u64) -> Result<u64> {
        let body = self.stream(run, after).await?;
        drain(body).await
    }
}

/// Reads an open stream to its `done`, and to the end of the answer so that the connection can be used again.
///
/// # Errors
/// The stream ends without.
pub(crate) async fn drain(mut body: Incoming) -> Result<u64> {
    let mut scanner = Scanner::default();
    let mut seen = Seen::default();
    while let Some(frame) = body.frame().await {
        if let Some(bytes) = frame?.data_ref() {
            seen = scanner.push(bytes);
        }
    }
    ensure!(seen.done, "a stream ended without done");
    Ok(seen.cursor)
}

/// Body of a start.
pub(crate) fn start_body(flow: &str, input: &Value) -> Bytes {
    json!({"bundle_id": "load", "flow_id": flow, "input_data": input})
        .to_string()
        .into()
}
