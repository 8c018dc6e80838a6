//! Sick model servers (fault matrix, row O2): each wire against each sickness, over real sockets. Every case prints its
//! figures as one JSON line.

mod sick;

use std::io::Write as _;
use std::time::{Duration, Instant};

use ag_providers::{ChatRequest, FailureClass, ProviderError};
use ag_providers_http::testkit::{Reply, Server};
use serde_json::{Value, json};
use sick::{Rig, WIRES, Wire};
use tokio_util::sync::CancellationToken;

/// A cancelled call must be gone from the wire by then.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

fn report(case: &str, wire: Wire, faults: usize, figures: &Value, bars: &Value, pass: bool) {
    let line = json!({
        "row": "O2", "case": case, "mode": "wire", "wire": wire.name, "faults": faults,
        "violations": {"I7": usize::from(!pass)}, "figures": figures, "bars": bars, "pass": pass,
    });
    writeln!(std::io::stdout(), "{line}").expect("stdout");
    assert!(pass, "{line}");
}

fn request(wire: Wire) -> ChatRequest {
    ChatRequest {
        idempotency_key: Some("r/n/1".to_owned()),
        ..ChatRequest::prompt(wire.model, "hello")
    }
}

/// Keys of the requests that a server saw.
fn keys(server: &Server) -> Vec<String> {
    let seen = server.posts().into_iter();
    seen.map(|seen| seen.headers["idempotency-key"].clone()).collect()
}

async fn ask(rig: &Rig, wire: Wire) -> Result<String, ProviderError> {
    let reply = rig
        .client
        .chat
        .chat(request(wire), CancellationToken::new())
        .await;
    reply.map(|reply| reply.content.unwrap_or_default())
}

async fn ask_streaming(rig: &Rig, wire: Wire) -> Result<String, ProviderError> {
    let cancel = CancellationToken::new();
    let reply = rig
        .client
        .chat
        .chat_streaming(request(wire), cancel, &|_| {})
        .await;
    reply.map(|reply| reply.content.unwrap_or_default())
}

/// Cancels a call that is in flight; until the server has seen it go.
async fn cancelled(rig: &Rig, wire: Wire, streaming: bool) -> Duration {
    let cancel = CancellationToken::new();
    let chat = rig.client.chat.clone();
    let call = tokio::spawn({
        let cancel = cancel.clone();
        async move {
            match streaming {
                true => chat.chat_streaming(request(wire), cancel, &|_| {}).await,
                false => chat.chat(request(wire), cancel).await,
            }
        }
    });
    rig.server.hanging().await;
    let started = Instant::now();
    cancel.cancel();
    let error = call.await.expect("task").expect_err("cancelled");
    assert_eq!(error, ProviderError::Cancelled);
    tokio::time::timeout(CLOSED_WITHIN * 5, rig.server.closed())
        .await
        .expect("the connection is closed");
    started.elapsed()
}

fn slowest(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.last().map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

#[tokio::test]
async fn hang() {
    for wire in WIRES {
        let rig = Rig::new(wire, vec![Reply::Hang]).await;
        let mut times = Vec::new();
        for _ in 0..10 {
            times.push(cancelled(&rig, wire, false).await);
        }
        // And without anybody who cancels: the limit ends each try, and the tries are limited.
        let limited = Rig::with(wire, vec![Reply::Hang], |settings| {
            settings.timeout = Duration::from_millis(250);
        })
        .await;
        let error = ask(&limited, wire).await.expect_err("late");
        let tries = limited.server.posts().len();
        let close_ms = slowest(times);
        let pass = close_ms <= 1000.0 && tries == 3 && error.class() == FailureClass::Timeout;
        report(
            "hang",
            wire,
            11,
            &json!({"cancel_to_close_ms_p99": close_ms, "tries": tries}),
            &json!({"cancel_to_close_ms_p99": 1000, "tries": 3}),
            pass,
        );
    }
}

#[tokio::test]
async fn one_token_per_second() {
    let cases = WIRES.map(|wire| async move {
        let slow = Reply::Slow(wire.stream_type, wire.pieces(), Duration::from_secs(1));
        let rig = Rig::new(wire, vec![slow.clone()]).await;
        let close_ms = cancelled(&rig, wire, true).await.as_secs_f64() * 1000.0;
        // Pieces that come keep no call alive beyond its limit.
        let limited = Rig::with(wire, vec![slow], |settings| {
            settings.timeout = Duration::from_millis(300);
        })
        .await;
        let started = Instant::now();
        let error = ask_streaming(&limited, wire).await.expect_err("late");
        let took = started.elapsed();
        let pass =
            close_ms <= 1000.0 && error.class() == FailureClass::Timeout && took < Duration::from_secs(3);
        report(
            "one_token_per_second",
            wire,
            2,
            &json!({"cancel_to_close_ms": close_ms, "limit_ms": took.as_secs_f64() * 1000.0}),
            &json!({"cancel_to_close_ms": 1000, "limit_ms": 3000}),
            pass,
        );
    });
    for case in cases.map(tokio::spawn) {
        case.await.expect("case");
    }
}

#[tokio::test]
async fn too_many_requests() {
    for wire in WIRES {
        let limited = |after: Option<&str>| {
            let headers = after.map(|after| ("retry-after", after.to_owned()));
            Reply::Json(
                429,
                headers.into_iter().collect(),
                json!({"error": {"message": "slow down"}}),
            )
        };
        let rig = Rig::new(wire, vec![limited(Some("7")), limited(None), limited(Some("7"))]).await;
        let error = ask(&rig, wire).await.expect_err("limited");
        let tries = rig.server.posts().len();
        let waited: Vec<Option<u64>> = rig
            .pauses()
            .iter()
            .map(|wait| wait.map(|wait| wait.as_secs()))
            .collect();
        let patient = Rig::new(wire, vec![limited(Some("3600"))]).await;
        assert!(ask(&patient, wire).await.is_err());
        let after_an_hour = patient.server.posts().len();
        // Later tries are other requests and carry other keys.
        let pass = tries == 3
            && waited == [Some(7), None]
            && keys(&rig.server) == ["r/n/1", "r/n/1/2", "r/n/1/3"]
            && after_an_hour == 1
            && error.class() == FailureClass::Retryable;
        report(
            "429",
            wire,
            4,
            &json!({"tries": tries, "waits_s": waited, "tries_when_asked_to_wait_an_hour": after_an_hour}),
            &json!({"tries": 3, "tries_when_asked_to_wait_an_hour": 1}),
            pass,
        );
    }
}

#[tokio::test]
async fn bursts_of_500_open_and_close_the_breaker() {
    for wire in WIRES {
        let mut replies = vec![Reply::error(500, "boom"); 10];
        replies.push(wire.answer("well again"));
        let rig = Rig::with(wire, replies, |settings| {
            settings.open_for = Duration::from_millis(100);
        })
        .await;
        let mut tries = Vec::new();
        for _ in 0..5 {
            let before = rig.server.posts().len();
            assert!(ask(&rig, wire).await.is_err());
            tries.push(rig.server.posts().len() - before);
        }
        let at_opening = rig.server.posts().len();
        let refused = ask(&rig, wire).await.expect_err("open");
        let asked_while_open = rig.server.posts().len() - at_opening;
        let opened = matches!(refused, ProviderError::CircuitOpen { .. });
        let started = Instant::now();
        let text = loop {
            match ask(&rig, wire).await {
                Err(ProviderError::CircuitOpen { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
                other => break other.expect("well again"),
            }
        };
        let closed_after = started.elapsed();
        let most = tries.iter().max().copied().unwrap_or(0);
        let pass = opened && asked_while_open == 0 && most == 2 && text == "well again";
        report(
            "500_burst",
            wire,
            10,
            &json!({"tries_per_call": most, "asked_while_open": asked_while_open,
                "breaker_opened": opened, "breaker_closed_after_ms": closed_after.as_secs_f64() * 1000.0}),
            &json!({"tries_per_call": 2, "asked_while_open": 0}),
            pass,
        );
    }
}

#[tokio::test]
async fn truncated_replies() {
    for wire in WIRES {
        let whole = Rig::new(wire, vec![Reply::Cut(b"{\"mod".to_vec()), wire.answer("whole")]).await;
        let recovered = ask(&whole, wire).await.expect("second try");
        let cut = wire.pieces().concat();
        let cut = Reply::Raw(wire.stream_type, cut[..cut.len() / 2].to_vec());
        let stream = Rig::new(wire, vec![cut]).await;
        let error = ask_streaming(&stream, wire).await.expect_err("cut");
        let tries = stream.server.posts().len();
        // Nobody knows what the server did: the key stays.
        let pass = recovered == "whole"
            && tries == 2
            && keys(&stream.server) == ["r/n/1", "r/n/1"]
            && error.class() != FailureClass::Permanent;
        report(
            "truncated",
            wire,
            3,
            &json!({"tries": tries}),
            &json!({"tries": 2}),
            pass,
        );
    }
}

#[tokio::test]
async fn a_hundred_megabytes() {
    const LIMIT: usize = 4 * 1024 * 1024;
    for wire in WIRES {
        let piece = vec![b' '; 1024 * 1024];
        let started = Instant::now();
        let flood = |content_type| Reply::Flood(content_type, piece.clone(), 100);
        let whole = Rig::with(wire, vec![flood("application/json")], |settings| {
            settings.limit = LIMIT;
        })
        .await;
        let error = ask(&whole, wire).await.expect_err("too large");
        let stream = Rig::with(wire, vec![flood(wire.stream_type)], |settings| {
            settings.limit = LIMIT;
        })
        .await;
        let streamed = ask_streaming(&stream, wire).await.expect_err("too large");
        // One that says so beforehand is not read at all.
        let announced = Rig::with(
            wire,
            vec![Reply::Raw("application/json", piece.repeat(8))],
            |settings| settings.limit = LIMIT,
        )
        .await;
        let told = ask(&announced, wire).await.expect_err("too large");
        let tries = [&whole, &stream, &announced].map(|rig| rig.server.posts().len());
        let all = [error, streamed, told];
        let refused = all.iter().all(|error| {
            matches!(
                error,
                ProviderError::TooLarge {
                    limit_bytes: LIMIT,
                    ..
                }
            )
        });
        report(
            "100_mb",
            wire,
            3,
            &json!({"read_at_most_bytes": LIMIT, "tries": tries, "ms": started.elapsed().as_secs_f64() * 1000.0}),
            &json!({"tries": [1, 1, 1]}),
            refused && tries == [1, 1, 1],
        );
    }
}

#[tokio::test]
async fn reset_in_the_middle() {
    for wire in WIRES {
        let begun = wire.pieces().concat();
        let reset = Reply::Reset(wire.stream_type, begun[..begun.len() / 2].to_vec());
        let rig = Rig::new(wire, vec![reset.clone()]).await;
        let error = ask_streaming(&rig, wire).await.expect_err("reset");
        let tries = rig.server.posts().len();
        let healed = Rig::new(
            wire,
            vec![reset, Reply::Raw(wire.stream_type, wire.pieces().concat())],
        )
        .await;
        let text = ask_streaming(&healed, wire).await.expect("second try");
        let pass = tries == 2 && error.class() == FailureClass::Ambiguous && text == "abc";
        report(
            "reset",
            wire,
            2,
            &json!({"tries": tries}),
            &json!({"tries": 2}),
            pass,
        );
    }
}

#[tokio::test]
async fn cancel_in_every_phase() {
    for wire in WIRES {
        let begun = wire.pieces()[0].clone();
        let phases = [
            ("before the head", Reply::Hang, false),
            (
                "in the body",
                Reply::Stall("application/json", b"{\"mod".to_vec()),
                false,
            ),
            ("in the stream", Reply::Stall(wire.stream_type, begun), true),
        ];
        let mut times = Vec::new();
        for (_, reply, streaming) in phases {
            let rig = Rig::new(wire, vec![reply]).await;
            times.push(cancelled(&rig, wire, streaming).await);
            wait_until_closed(&rig.server).await;
        }
        let close_ms = slowest(times);
        report(
            "cancel",
            wire,
            3,
            &json!({"cancel_to_close_ms_p99": close_ms, "connections_left": 0}),
            &json!({"cancel_to_close_ms_p99": 1000, "connections_left": 0}),
            close_ms <= 1000.0,
        );
    }
}

async fn wait_until_closed(server: &Server) {
    let closed = async {
        while server.open() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(CLOSED_WITHIN, closed)
        .await
        .expect("no connection is left");
}
