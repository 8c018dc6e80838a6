//! Listeners, time-outs, drain.

mod ops;
mod stall;

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, body::Body};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::Service;

pub use ops::{Ops, Probe, Readiness, serve_ops};

use crate::{AppState, router};
use stall::StallGuard;

/// Time a client has for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that the kernel takes for a client beyond what is on its way to it. Without a bound it takes megabytes for each
/// that reads nothing; with less, large answers would wait for each other's turns.
const UNSENT: u32 = 128 * 1024;
/// Time that requests have to finish after the listener closed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The other end of the connection; a request extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Serves until `shutdown` fires, then: stop accepting, end streams so that clients reconnect elsewhere, finish
/// requests and tracked work.
///
/// # Errors
/// None at present: failed accepts are retried.
pub async fn serve(state: AppState, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
    let app = router(state.clone());
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(20)));
    // Checked with the configuration; as long as ever where it is no duration.
    let stall = Duration::try_from_secs_f64(state.config().server.stall_s).unwrap_or(Duration::MAX);
    let graceful = GracefulShutdown::new();
    let sweeper = tokio::spawn(state.streams().clone().sweep_quiet());
    let roll = tokio::spawn({
        let state = state.clone();
        async move { state.guards().planes.call_roll().await }
    });
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => connection(&http, &graceful, &app, (socket, Peer(peer)), stall),
            Err(error) => {
                tracing::warn!(error = %error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    state.draining().cancel();
    let finished = async {
        graceful.shutdown().await;
        state.tasks().close();
        state.tasks().wait().await;
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, finished).await.is_err() {
        tracing::warn!("requests did not finish in time and are abandoned");
    }
    sweeper.abort();
    roll.abort();
    Ok(())
}

fn connection(
    http: &auto::Builder<TokioExecutor>,
    graceful: &GracefulShutdown,
    app: &Router,
    (socket, peer): (TcpStream, Peer),
    stall: Duration,
) {
    // Small answers must not wait for the acknowledgement of earlier ones.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(error = %error, "TCP_NODELAY was refused");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(error = %error, "TCP_NOTSENT_LOWAT was refused");
    }
    let app = app.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        app.clone().call(request)
    });
    let io = TokioIo::new(StallGuard::new(socket, stall));
    let connection = http.serve_connection(io, service).into_owned();
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = %error, "connection ended early");
        }
    });
}

#[cfg(test)]
mod tests;
