//! A real listener: serving, draining, probes.

use std::time::Duration;

use http::{Request, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceExt;

use super::*;
use crate::testkit::{Node, Seed, TOKEN};

const PATIENCE: Duration = Duration::from_secs(20);

async fn started(
    node: &Node,
) -> (
    std::net::SocketAddr,
    CancellationToken,
    tokio::task::JoinHandle<io::Result<()>>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("address");
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(serve(node.state.clone(), listener, shutdown.clone()));
    (address, shutdown, server)
}

async fn read_until(socket: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buf = [0; 4096];
    while !text.contains(wanted) {
        let n = tokio::time::timeout(PATIENCE, socket.read(&mut buf))
            .await
            .expect("in time")
            .expect("read");
        assert!(n > 0, "closed before {wanted:?}: {text}");
        text.push_str(&String::from_utf8_lossy(&buf[..n]));
    }
    text
}

#[tokio::test]
async fn a_drain_ends_streams_and_then_the_server() {
    let node = Node::new();
    let run = node
        .store_run(Seed {
            records: 2,
            ..Seed::default()
        })
        .await;
    let (address, shutdown, server) = started(&node).await;
    let mut socket = TcpStream::connect(address).await.expect("connect");
    let request = format!(
        "GET /api/gateway/runs/{run}/ledger/stream HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.expect("sent");
    let head = read_until(&mut socket, "id: 2\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let mut idle = TcpStream::connect(address).await.expect("connect");
    idle.write_all(b"GET /api/health HTTP/1.1\r\nhost: h\r\n\r\n")
        .await
        .expect("sent");
    read_until(&mut idle, "healthy").await;

    shutdown.cancel();
    let mut rest = String::new();
    tokio::time::timeout(PATIENCE, socket.read_to_string(&mut rest))
        .await
        .expect("in time")
        .expect("read");
    assert!(rest.contains("retry: "), "{rest}");
    tokio::time::timeout(PATIENCE, server)
        .await
        .expect("in time")
        .expect("task")
        .expect("served");
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn probes() {
    let node = Node::new();
    let app = ops::ops_router(node.state.ops());
    let probe = async |path: &str| {
        let request = Request::builder().uri(path).body(Body::empty()).expect("request");
        app.clone().oneshot(request).await.expect("infallible").status()
    };
    assert_eq!(probe("/health/live").await, StatusCode::OK);
    assert_eq!(probe("/health/ready").await, StatusCode::OK);
    assert_eq!(
        probe("/metrics").await,
        StatusCode::NOT_FOUND,
        "nothing is recorded in this process"
    );
    node.fit.set(false);
    assert_eq!(
        probe("/health/ready").await,
        StatusCode::SERVICE_UNAVAILABLE,
        "foreign workspaces"
    );
    node.fit.set(true);
    assert_eq!(probe("/health/ready").await, StatusCode::OK);
    node.state.draining().cancel();
    assert_eq!(probe("/health/ready").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(probe("/health/live").await, StatusCode::OK);
}
