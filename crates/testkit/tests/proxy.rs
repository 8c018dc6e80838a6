//! Each fault does what it says, and ends when it is taken back.

use std::{io::ErrorKind, time::Duration};

use ag_testkit::{Direction, Fault, FaultProxy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

const SOON: Duration = Duration::from_secs(5);
/// Long enough for a byte to cross the loopback interface many times.
const NEVER: Duration = Duration::from_millis(150);

/// A server that sends back what it gets.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                // A reset connection is one of the cases.
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    port
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", proxy.port())).await;
    stream.expect("a connection")
}

async fn say(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
    stream.write_all(text).await?;
    hear(stream, text).await
}

async fn hear(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, text);
    Ok(())
}

#[tokio::test]
async fn bytes_pass_and_wait_out_a_partition() {
    let proxy = FaultProxy::start(echo().await).await.expect("a proxy");
    for fault in [
        Fault::Blackhole,
        Fault::HalfOpen(Direction::ToServer),
        Fault::HalfOpen(Direction::ToClient),
    ] {
        let mut open = connect(&proxy).await;
        say(&mut open, b"one").await.expect("an answer");
        proxy.set(fault);
        let silent = timeout(NEVER, say(&mut open, b"two")).await;
        assert!(silent.is_err(), "{fault:?} let something pass");
        // Connections are still made; they are as silent.
        let mut new = connect(&proxy).await;
        let silent = timeout(NEVER, say(&mut new, b"new")).await;
        assert!(silent.is_err(), "{fault:?} let something pass");
        proxy.set(Fault::Pass);
        timeout(SOON, hear(&mut open, b"two"))
            .await
            .expect("in time")
            .expect("the held bytes");
        timeout(SOON, hear(&mut new, b"new"))
            .await
            .expect("in time")
            .expect("the held bytes");
    }
}

#[tokio::test]
async fn latency_delays_both_directions() {
    let proxy = FaultProxy::start(echo().await).await.expect("a proxy");
    let mut stream = connect(&proxy).await;
    say(&mut stream, b"fast").await.expect("an answer");
    proxy.set(Fault::Latency(Duration::from_millis(60)));
    let began = Instant::now();
    say(&mut stream, b"slow").await.expect("an answer");
    assert!(
        began.elapsed() >= Duration::from_millis(120),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn connections_are_reset_and_refused() {
    let proxy = FaultProxy::start(echo().await).await.expect("a proxy");
    let mut open = connect(&proxy).await;
    say(&mut open, b"one").await.expect("an answer");
    proxy.cut();
    let error = timeout(SOON, open.read_u8()).await.expect("in time");
    assert_eq!(error.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    let mut open = connect(&proxy).await;
    say(&mut open, b"a cut is over at once").await.expect("an answer");

    proxy.set(Fault::Reset);
    let error = timeout(SOON, open.read_u8()).await.expect("in time");
    assert_eq!(error.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    let mut new = connect(&proxy).await;
    let new = timeout(SOON, say(&mut new, b"new")).await.expect("in time");
    assert!(new.is_err(), "a new connection lives");

    proxy.set(Fault::Refuse);
    let refused = async {
        // The listener goes a moment after the change.
        while TcpStream::connect(("127.0.0.1", proxy.port())).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, refused).await.expect("refused in time");
    proxy.set(Fault::Pass);
    let back = async {
        loop {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", proxy.port())).await {
                break say(&mut stream, b"back").await;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, back)
        .await
        .expect("back in time")
        .expect("an answer");
}

#[tokio::test]
async fn a_connection_is_cut_in_the_middle_of_an_answer() {
    let proxy = FaultProxy::start(echo().await).await.expect("a proxy");
    let mut open = connect(&proxy).await;
    say(&mut open, b"one").await.expect("an answer");
    proxy.cut_after(Direction::ToClient, 5);
    let mut new = connect(&proxy).await;
    say(&mut open, b"two").await.expect("still an answer");
    open.write_all(b"three").await.expect("the way there");
    let mut answer = Vec::new();
    let error = timeout(SOON, open.read_to_end(&mut answer))
        .await
        .expect("in time");
    assert_eq!(error.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    assert!(b"th".starts_with(&answer), "{answer:?} passed");
    say(&mut new, b"new ones are as before").await.expect("an answer");

    proxy.cut_after(Direction::ToServer, 0);
    new.write_all(b"lost").await.expect("sent");
    let error = timeout(SOON, new.read_u8()).await.expect("in time");
    assert_eq!(error.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_door_leads_elsewhere_and_who_is_inside_stays() {
    let (old, new) = (echo().await, silent().await);
    let proxy = FaultProxy::start(old).await.expect("a proxy");
    let mut inside = connect(&proxy).await;
    say(&mut inside, b"one").await.expect("an answer");
    proxy.lead_to(new);
    let mut later = connect(&proxy).await;
    assert!(
        timeout(NEVER, say(&mut later, b"two")).await.is_err(),
        "not the new one"
    );
    say(&mut inside, b"three").await.expect("the old one's answer");
}

/// A server that says nothing.
async fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    port
}
