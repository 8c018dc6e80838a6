//! Connections whose client stops reading are cut.
//!
//! A body is only polled while its connection can be written to, so a stream cannot notice by itself that nobody
//! takes what it sends. Buffers stay bounded either way; what is cut here is the connection and its place. It is reset:
//! after an ordinary end the kernel would keep what it holds for the client, up to megabytes, for minutes more.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use ag_telemetry::metrics::STREAMS_CUT;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// What can be ended at once.
pub(super) trait Reset {
    /// Its end, when it comes, drops what was not sent.
    fn reset_at_end(&self);
}

impl Reset for TcpStream {
    fn reset_at_end(&self) {
        if let Err(error) = self.set_zero_linger() {
            tracing::debug!(error = %error, "a connection that is cut lingers");
        }
    }
}

/// A connection that fails when a write makes no progress for a while.
pub(super) struct StallGuard<T> {
    io: T,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<T: Reset> StallGuard<T> {
    pub(super) fn new(io: T, limit: Duration) -> Self {
        Self {
            io,
            limit,
            timer: None,
            waiting: false,
        }
    }

    /// Passes a finished write on; starts or looks at the timer of one that is not.
    fn judge<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.waiting = false;
            return written;
        }
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(timer.as_mut().poll(cx));
        self.io.reset_at_end();
        STREAMS_CUT.with(["slow"]).increment(1);
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client reads nothing",
        )))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for StallGuard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Reset + Unpin> AsyncWrite for StallGuard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.io).poll_shutdown(cx);
        self.judge(cx, closed)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    impl Reset for tokio::io::DuplexStream {
        fn reset_at_end(&self) {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_cut_and_a_slow_one_is_not() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut near = StallGuard::new(near, Duration::from_secs(30));
        near.write_all(b"four").await.expect("fits");
        let taking = tokio::spawn(async move {
            let mut buf = [0; 4];
            tokio::time::sleep(Duration::from_secs(29)).await;
            tokio::io::AsyncReadExt::read_exact(&mut far, &mut buf)
                .await
                .expect("read");
            far
        });
        near.write_all(b"more").await.expect("taken in time");
        let far = taking.await.expect("task");
        let error = near.write_all(b"last").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(far);
    }
}
