//! Row S3: clients that open a long stream and hardly read it, among many that do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::Notify,
    task::JoinSet,
};

use crate::{
    Api, Bundle, Flow, Gateway, Options, delivery,
    follow::{Reader, Resume},
    process,
    report::Report,
    sse, until,
};

/// How many of both, and when slow ones are cut.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Clients that read one byte a second.
    pub slow: usize,
    /// Clients that read what comes.
    pub normal: usize,
    /// How long a client may take nothing.
    pub stall: Duration,
}

const BUNDLE: &str = "slow";
/// Messages of the long run, and their size: several times what a connection of the loopback interface can hold.
const MESSAGES: usize = 150;
const MESSAGE_BYTES: usize = 24_000;
/// Runs that are written while slow clients hold their connections.
const WRITTEN: usize = 4;
const LIMIT: Duration = Duration::from_secs(60);
/// What a slow client's kernel takes for it.
const RECEIVE_BYTES: u32 = 4_096;
/// What a node may hold of a slow stream in its own memory.
const MEMORY_KIB: f64 = 1_024.0;
/// What the kernel may hold of it for the node.
const QUEUE_KIB: f64 = 1_024.0;
/// Slow streams that are read to their end afterwards.
const RESUMED: usize = 8;

fn bundle() -> Bundle {
    let mut long = Flow::new("long", &["text"]);
    let mut last = "start".to_owned();
    for n in 0..MESSAGES {
        let say = format!("a{n}");
        long = long
            .node(&say, "answer_user", json!({}))
            .then(&last, &say)
            .data("start.text", &format!("{say}.message"));
        last = say;
    }
    let long = long.step(&last, "end", "on_flow_end", json!({}));
    let mut written = Flow::new("written", &[]);
    let mut last = "start".to_owned();
    for n in 0..20 {
        let (say, wait) = (format!("a{n}"), format!("w{n}"));
        written = written
            .step(&last, &say, "answer_user", json!({"message": "news"}))
            .step(&say, &wait, "wait_until", json!({"duration": 0.05}));
        last = wait;
    }
    let written = written.step(&last, "end", "on_flow_end", json!({}));
    Bundle::new(BUNDLE, [long, written])
}

/// Clients that read a byte a second of a stream of many megabytes. Each is cut, holds little until then, costs the
/// other clients nothing, and goes on later where it was.
///
/// # Errors
/// The scenario cannot go on.
pub async fn slow_readers(plan: Plan) -> Result<Report> {
    let began = Instant::now();
    let mut report = Report::new("S3", 0, "embedded", &["I10", "I13"]);
    report.node("gateway", 1);
    report.load("slow", plan.slow);
    report.load("normal", plan.normal);
    let stall = plan.stall.as_secs_f64().to_string();
    let gateway = Gateway::start(Options::default().env("ABSTRACTGATEWAY_STALL_S", stall)).await?;
    let pid = gateway.pid().context("a process")?;
    let api = gateway.api();
    api.install(&bundle()).await?;
    let text = "x".repeat(MESSAGE_BYTES);
    let run = api.start(BUNDLE, "long", json!({"text": text})).await?;
    api.until_status(&run, &["completed"], LIMIT).await?;
    let ledger = api.ledger(&run).await?;
    report.figure(
        "stream_kib",
        ledger
            .iter()
            .map(|record| record.to_string().len())
            .sum::<usize>()
            / 1_024,
    );

    // Alone, and what the first streams of a process pay for all of them.
    let alone = normal(&api, plan.normal).await?;
    let before = process::resident(pid)?;

    let drain = Arc::new(Notify::new());
    let mut slow = JoinSet::new();
    for _ in 0..plan.slow {
        let socket = open(&gateway, &run).await?;
        report.fault();
        slow.spawn(sip(socket, drain.clone()));
    }
    let opened = Instant::now();
    let port = gateway
        .base_url()
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    let port: u16 = port.context("an address without a port")?;
    let mut most = Held::default();
    let watch = async {
        // As long as the last one may take nothing.
        while opened.elapsed() < plan.stall {
            most.look(pid, port)?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    let (beside, watched) = tokio::join!(normal(&api, plan.normal), watch);
    watched?;
    let beside = beside?;
    let kib = |bytes: u64, streams: usize| (bytes as f64 / streams as f64 / 1_024.0).round();
    report.bar(
        "memory_kib_per_slow_stream",
        kib(most.resident.saturating_sub(before), plan.slow),
        MEMORY_KIB,
    );
    report.bar("kernel_kib_per_slow_stream_max", kib(most.queue, 1), QUEUE_KIB);
    report.figure("delivery_s_p99_alone", alone.percentile(0.99));
    report.figure("delivery_s_p50_beside", beside.percentile(0.5));
    // A tenth more where nobody else wants the machine.
    let bar = alone.percentile(0.99) * 3.0 + 0.25;
    report.bar("delivery_s_p99_beside", beside.percentile(0.99), bar);

    // Whoever takes nothing is cut, and the kernel keeps nothing for them either.
    let cut = until("the slow streams to be cut", plan.stall + LIMIT, || async {
        Ok(process::send_queues(port)?.iter().sum::<u64>() == 0)
    });
    if let Err(error) = cut.await {
        report.violation("I13", format!("{error:#}"));
    }
    report.figure(
        "cut_after_s",
        (opened.elapsed().as_secs_f64() * 10.0).round() / 10.0,
    );
    drain.notify_waiters();
    let mut received = Vec::new();
    while let Some(bytes) = slow.join_next().await {
        received.push(bytes?);
    }
    let not_cut = received
        .iter()
        .filter(|bytes| events(bytes).iter().any(|event| event.name == "done"));
    report.bar("slow_streams_not_cut", not_cut.count() as f64, 0.0);
    for bytes in received.iter().take(RESUMED) {
        resume(&api, &run, &ledger, bytes, &mut report).await?;
    }
    report.figure("resumed", RESUMED.min(received.len()));
    report.emit(began.elapsed());
    Ok(report)
}

/// What is held for clients, at most.
#[derive(Debug, Default)]
struct Held {
    resident: u64,
    /// Of one connection.
    queue: u64,
}

impl Held {
    fn look(&mut self, pid: u32, port: u16) -> Result<()> {
        self.resident = self.resident.max(process::resident(pid)?);
        let queues = process::send_queues(port)?;
        self.queue = self.queue.max(queues.into_iter().max().unwrap_or(0));
        Ok(())
    }
}

/// Readers of runs that are being written.
async fn normal(api: &Api, readers: usize) -> Result<delivery::Delivered> {
    let starts = (0..WRITTEN).map(|_| api.start(BUNDLE, "written", json!({})));
    let runs: Vec<String> = join_all(starts).await.into_iter().collect::<Result<_>>()?;
    let delivered = delivery::follow(std::slice::from_ref(api), &runs, readers, LIMIT).await?;
    ensure!(
        delivered.count() > readers,
        "nothing was written while somebody followed"
    );
    Ok(delivered)
}

/// A connection with a stream of the run and next to no room on the client's side.
async fn open(gateway: &Gateway, run: &str) -> Result<TcpStream> {
    let address = gateway.base_url().trim_start_matches("http://").to_owned();
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    let mut stream = socket.connect(address.parse()?).await?;
    let request = format!(
        "GET /api/gateway/runs/{run}/ledger/stream?after=0 HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\r\n",
        gateway.token()
    );
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// Reads one byte a second until it is told to take what is left.
async fn sip(mut socket: TcpStream, drain: Arc<Notify>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let drained = drain.notified();
    tokio::pin!(drained);
    loop {
        tokio::select! {
            () = &mut drained => break,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        let mut byte = [0];
        if !matches!(socket.read(&mut byte).await, Ok(1)) {
            // Cut; it hears of it late.
            drained.await;
            return bytes;
        }
        bytes.push(byte[0]);
    }
    // A connection that was cut ends in an error, after what had arrived.
    let _ = socket.read_to_end(&mut bytes).await;
    bytes
}

/// The whole events in what a connection has received.
fn events(bytes: &[u8]) -> Vec<sse::Event> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let mut parser = sse::Parser::default();
    let mut rest = head.map_or(&[][..], |at| &bytes[at + 4..]);
    // Pieces, each after a line with its length in hexadecimal digits; the last one may be cut.
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&rest[..end]).ok();
        let Some(length) = length.and_then(|text| usize::from_str_radix(text, 16).ok()) else {
            break;
        };
        let piece = &rest[end + 2..];
        parser.push(&piece[..length.min(piece.len())]);
        rest = piece.get(length + 2..).unwrap_or_default();
    }
    std::iter::from_fn(|| parser.pop()).collect()
}

/// What a cut stream had received and what follows its last cursor is the ledger.
async fn resume(api: &Api, run: &str, ledger: &[Value], bytes: &[u8], report: &mut Report) -> Result<()> {
    let mut records = Vec::new();
    for event in events(bytes).iter().filter(|event| event.name == "step") {
        let data: Value = serde_json::from_str(&event.data)?;
        records.push(data["record"].clone());
    }
    let had = records.len();
    let reader = Reader {
        resume: Resume::LastEventId,
        burst: usize::MAX,
        patient: false,
        limit: LIMIT,
    };
    match reader.go_on(std::slice::from_ref(api), run, records).await {
        Ok(followed) if followed.records == ledger => {}
        Ok(followed) => {
            let text = format!(
                "{had} records and {} after them are not the ledger",
                followed.records.len() - had
            );
            report.violation("I10", text);
        }
        Err(error) => report.violation("I10", format!("{error:#}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_answer_holds_whole_events() {
        let whole =
            b"HTTP/1.1 200 OK\r\n\r\n12\r\nid: 1\nevent: step\n\r\ne\r\ndata: 7\n\nid: 2\r\n5\r\ncut o";
        let found = events(whole);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].name.as_str(), found[0].data.as_str()), ("step", "7"));
        assert_eq!(events(b"HTTP/1.1 200 OK\r\n"), []);
    }
}
