//! Row P6, embedded: the disk of a gateway is full for a while.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ag_testkit::{Node, SmallDisk};
use anyhow::{Context as _, Result, ensure};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::json;

use crate::{
    Api, FakeUpstream, Gateway, Options,
    crash::integrity,
    load::{
        INVARIANTS, check, flows, tend,
        workload::{self, Workload},
    },
    report::{Report, seconds},
};

/// Size of the disk: the data directory of an embedded gateway.
const DISK: u64 = 32 << 20;
/// Callers at a time.
const WORKERS: usize = 6;
/// Load before the disk is full and after there is room again.
const AROUND: Duration = Duration::from_millis(800);
/// Everything has ended by then, counted from when there was room again.
const RECOVERY: Duration = Duration::from_secs(20);

/// A disk, or why there is none.
pub(crate) fn small(bytes: u64) -> Result<Arc<SmallDisk>, String> {
    let disk = SmallDisk::mount(bytes).map(Arc::new);
    disk.map_err(|error| format!("no file system can be mounted here: {error}"))
}

/// What callers were told while nothing could be written.
#[derive(Debug, Default)]
pub(crate) struct WhileFull {
    reads: u64,
    refused_reads: u64,
    refused_starts: u64,
    accepted_starts: usize,
    odd: Vec<String>,
}

impl WhileFull {
    /// Reads a run that has ended and asks for new ones, for so long.
    pub(crate) async fn probe(nodes: &[Api], ended: &str, time: Duration) -> Result<Self> {
        let mut seen = Self::default();
        let end = Instant::now() + time;
        let mut turns = nodes.iter().cycle();
        while Instant::now() < end {
            let api = turns.next().context("a node")?;
            for path in [
                format!("/api/gateway/runs/{ended}"),
                format!("/api/gateway/runs/{ended}/ledger?after=0&limit=50"),
                "/api/gateway/runs".to_owned(),
            ] {
                let reply = api.get(&path).await?;
                seen.reads += 1;
                if reply.status != 200 {
                    seen.refused_reads += 1;
                    seen.odd.push(format!("{path}: {} {}", reply.status, reply.text));
                }
            }
            let body = json!({"bundle_id": flows::BUNDLE, "flow_id": "chain", "input_data": {}});
            let reply = api.post("/api/gateway/runs/start", &body).await?;
            match reply.status {
                200 => seen.accepted_starts += 1,
                503 => seen.refused_starts += 1,
                status => seen.odd.push(format!("a start: {status} {}", reply.text)),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(seen)
    }

    pub(crate) fn judge(self, report: &mut Report) -> Result<()> {
        report.figure("reads_while_full", self.reads);
        report.bar("reads_refused_while_full", self.refused_reads as f64, 0.0);
        report.figure("starts_refused_while_full", self.refused_starts);
        report.figure("starts_accepted_while_full", self.accepted_starts);
        for odd in self.odd {
            report.violation("I13", odd);
        }
        ensure!(
            self.refused_starts > 0,
            "nothing was refused: the disk was not full"
        );
        Ok(())
    }

    /// Runs that were accepted beside the workload.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted_starts
    }
}

/// Starts a run and waits for its end: something to read later.
pub(crate) async fn ended_run(api: &Api) -> Result<String> {
    let run = api.start(flows::BUNDLE, "chain", json!({})).await?;
    api.until_status(&run, &["completed"], RECOVERY).await?;
    Ok(run)
}

/// The data directory of a gateway under load lies on a disk that fills up, and has room again later: what was accepted
/// is not lost, everything can be read meanwhile, and nobody has to help.
///
/// # Errors
/// The scenario cannot go on.
pub async fn embedded(full_for: Duration, seed: u64) -> Result<Report> {
    let began = Instant::now();
    let mut report = Report::new("P6", seed, "embedded", &[&INVARIANTS[..], &["I13"]].concat());
    report.node("gateway", 1);
    let disk = match small(DISK) {
        Ok(disk) => disk,
        Err(reason) => {
            report.skip(reason);
            report.emit(began.elapsed());
            return Ok(report);
        }
    };
    let upstream = FakeUpstream::start().await?;
    upstream.script(&flows::upstream_script(40)).await?;
    let data = disk.path().join("data");
    let options = Options::default()
        .upstream(upstream.base_url())
        .env("ABSTRACTGATEWAY_DATA_DIR", data.display().to_string())
        .program(disk.wrap(&Node::binary()?)?);
    let mut gateway = Gateway::start(options).await?;
    let api = gateway.api();
    api.install(&flows::bundle()).await?;
    let golden = flows::golden(&api).await.context("undisturbed runs")?;
    let ended = ended_run(&api).await?;

    let workload = Arc::new(Workload::new(workload::Plan {
        prefix: "p6-",
        in_flight: 40,
        starts_per_s: 60.0,
        kinds: &flows::Kind::ALL,
        patient: true,
    }));
    let mut rng = StdRng::seed_from_u64(seed);
    workload.begin();
    let workers = tend::workers(
        WORKERS,
        &workload,
        std::slice::from_ref(&api),
        &upstream,
        &mut rng,
    );
    tokio::time::sleep(AROUND).await;
    report.figure("filled_kib", disk.fill()? / 1_024);
    report.fault();
    let nodes = [api.clone()];
    let seen = WhileFull::probe(&nodes, &ended, full_for).await?;
    disk.free()?;
    let freed = Instant::now();
    seen.judge(&mut report)?;
    ended_run(&api)
        .await
        .context("a run after there was room again")?;
    report.bar("first_run_s", seconds(freed.elapsed()), RECOVERY.as_secs_f64());
    tokio::time::sleep(AROUND).await;
    workload.halt();
    workers.join_all().await;
    tend::until_all_ended(&workload, &nodes, &upstream, RECOVERY).await;
    report.figure("recovery_s", seconds(freed.elapsed()));
    check::everything(&workload, &nodes, &upstream, &golden, &mut report).await?;
    // A process that ends orderly has nothing left to say about it.
    let status = gateway.terminate().await?;
    ensure!(status.success(), "the gateway left with {status}");
    match integrity::check(&disk.outside(&data)).await? {
        integrity::Verdict::Sound => {}
        integrity::Verdict::Corrupt(what) => report.violation("I5", what),
        integrity::Verdict::Skipped(why) => report.figure("integrity_skipped", why),
    }
    report.load("in_flight", 40);
    report.load("accepted", workload.accepted());
    ensure!(workload.accepted() >= 40, "too little load to mean anything");
    report.emit(began.elapsed());
    Ok(report)
}
