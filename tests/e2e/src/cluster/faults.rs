//! What happens to a cluster under load.

use std::time::{Duration, Instant};

use ag_testkit::{Dependency, Direction, Fault, StopMode};
use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::report::Report;

use super::{Field, Storm, seconds};

/// Stream of wake-ups.
const STREAM: &str = "GATEWAY_WAKE";

/// Row P1: Postgres crashes and recovers.
///
/// # Errors
/// The scenario cannot go on.
pub async fn postgres_crash(field: &mut Field, times: u32) -> Result<Report> {
    let storm = Storm::new("P1", "p1-");
    storm
        .run(field, async move |field, report| {
            for _ in 0..times {
                field.cluster.postgres.restart(StopMode::Immediate).await;
                report.fault();
                pause(1_500).await;
            }
            Ok(())
        })
        .await
}

/// Row P3: connections to Postgres are ended around commits, by the server and by the network.
///
/// # Errors
/// The scenario cannot go on.
pub async fn postgres_connections(field: &mut Field, times: u32) -> Result<Report> {
    const END_ONE: &str = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
         WHERE application_name = 'abstractgateway' ORDER BY random() LIMIT 1) one";
    let storm = Storm::new("P3", "p3-");
    storm
        .run(field, async move |field, report| {
            let mut rng = StdRng::seed_from_u64(field.seed);
            let cluster = &field.cluster;
            let mut cut_answers = 0;
            for n in 0..times {
                if n % 2 == 1 {
                    let node = rng.random_range(0..cluster.api.len() + cluster.runners.len());
                    let link = match node.checked_sub(cluster.api.len()) {
                        None => cluster.api_link(node, Dependency::Postgres),
                        Some(runner) => cluster.runner_link(runner, Dependency::Postgres),
                    };
                    match n % 4 == 1 {
                        // In the middle of what the server answers next: it has committed, and nobody is told.
                        true => {
                            link.cut_after(Direction::ToClient, rng.random_range(0..60));
                            cut_answers += 1;
                        }
                        false => link.cut(),
                    }
                } else {
                    let ended = cluster.number(END_ONE).await?;
                    ensure!(ended == 1, "no connection to end");
                }
                report.fault();
                pause(200).await;
            }
            report.figure("cut_in_answers", cut_answers);
            Ok(())
        })
        .await
}

/// Row P2: Postgres refuses connections, then swallows them, then is slow. Whoever asks for the health of a node gets an
/// answer all the time.
///
/// # Errors
/// The scenario cannot go on.
pub async fn postgres_absent(field: &mut Field) -> Result<Report> {
    let storm = Storm::new("P2", "p2-");
    storm
        .run(field, async |field, report| {
            let nodes = field.nodes();
            let mut slowest = Duration::ZERO;
            for (fault, ms) in [
                (Fault::Refuse, 2_500),
                (Fault::Blackhole, 4_000),
                (Fault::Latency(Duration::from_millis(50)), 1_500),
            ] {
                field.cluster.set_fault(Dependency::Postgres, fault);
                report.fault();
                let end = Instant::now() + Duration::from_millis(ms);
                while Instant::now() < end {
                    for api in &nodes {
                        let asked = Instant::now();
                        let reply = api.get("/api/health").await?;
                        ensure!(reply.status == 200, "health: {} {}", reply.status, reply.text);
                        slowest = slowest.max(asked.elapsed());
                    }
                    pause(100).await;
                }
            }
            field.cluster.set_fault(Dependency::Postgres, Fault::Pass);
            report.bar("health_s_max", seconds(slowest), 0.5);
            Ok(())
        })
        .await
}

/// Rows N1 and N4: NATS crashes, forgets its stream, is out of reach.
///
/// # Errors
/// The scenario cannot go on.
pub async fn nats(field: &mut Field) -> Result<Report> {
    let storm = Storm::new("N1", "n1-");
    storm
        .run(field, async |field, report| {
            let cluster = &mut field.cluster;
            cluster.nats.kill();
            report.fault();
            pause(1_500).await;
            cluster.nats.wipe();
            cluster.nats.restart().await;
            pause(1_000).await;
            cluster.nats.delete_stream(STREAM).await;
            report.fault();
            pause(1_500).await;
            cluster.set_fault(Dependency::Nats, Fault::Blackhole);
            report.fault();
            pause(2_500).await;
            cluster.set_fault(Dependency::Nats, Fault::Pass);
            Ok(())
        })
        .await
}

/// Row S1: Redis crashes, forgets everything, loses subscribers, is out of reach.
///
/// # Errors
/// The scenario cannot go on.
pub async fn redis(field: &mut Field) -> Result<Report> {
    let storm = Storm::new("S1", "s1-");
    storm
        .run(field, async |field, report| {
            let cluster = &mut field.cluster;
            cluster.redis.kill();
            report.fault();
            pause(1_500).await;
            cluster.redis.restart().await;
            pause(1_000).await;
            for command in ["FLUSHALL", "CLIENT KILL TYPE pubsub"] {
                cluster.redis.command(command).await;
                report.fault();
                pause(700).await;
            }
            cluster.set_fault(Dependency::Redis, Fault::Blackhole);
            report.fault();
            pause(2_500).await;
            cluster.set_fault(Dependency::Redis, Fault::Pass);
            Ok(())
        })
        .await
}

/// Row S5: each API node is killed with streams open, which go on at the other one.
///
/// # Errors
/// The scenario cannot go on.
pub async fn api_crash(field: &mut Field) -> Result<Report> {
    let storm = Storm::new("S5", "s5-");
    storm
        .run(field, async |field, report| {
            for node in &mut field.cluster.api {
                node.kill9().await?;
                report.fault();
                pause(1_000).await;
                node.start().await?;
                pause(1_000).await;
            }
            Ok(())
        })
        .await
}

/// Row R5: each process is asked to leave and comes back, one after the other. Effects are shorter than the grace
/// period, so nothing is tried twice: a drain is no fault.
///
/// # Errors
/// The scenario cannot go on.
pub async fn rolling_restart(field: &mut Field) -> Result<Report> {
    let storm = Storm::new("R5", "r5-");
    storm
        .run(field, async |field, report| {
            let mut longest = Duration::ZERO;
            let cluster = &mut field.cluster;
            for node in cluster.runners.iter_mut().chain(&mut cluster.api) {
                let began = Instant::now();
                let status = node.terminate().await?;
                longest = longest.max(began.elapsed());
                if !status.success() {
                    report.violation("I7", format!("{} left with {status}", node.name()));
                }
                node.start().await?;
                pause(300).await;
            }
            report.figure("drain_s_max", seconds(longest));
            Ok(())
        })
        .await
}

/// Row R1 under load: each runner is killed and started again at once.
///
/// # Errors
/// The scenario cannot go on.
pub async fn runner_crash(field: &mut Field) -> Result<Report> {
    let storm = Storm::new("R1 under load", "r1-");
    storm
        .run(field, async |field, report| {
            for node in &mut field.cluster.runners {
                node.kill9().await?;
                report.fault();
                node.start().await?;
                pause(1_000).await;
            }
            Ok(())
        })
        .await
}

/// Rows R9 and N3: every wake-up comes many times, to runners that compete. There is no fault, so every call is made
/// exactly once.
///
/// # Errors
/// The scenario cannot go on.
pub async fn doubled_wake_ups(field: &mut Field, rounds: u32) -> Result<Report> {
    const HEADS: &str = "SELECT plane_id || ' ' || run_id FROM run_heads ORDER BY random() LIMIT 30";
    let storm = Storm::new("R9/N3", "n3-");
    storm
        .run(field, async move |field, report| {
            let cluster = &field.cluster;
            let mut sent = 0;
            for _ in 0..rounds {
                let mut message = vec![1_u8];
                for head in cluster.texts(HEADS).await? {
                    message.extend(key(&head)?);
                }
                for shard in 0..5 {
                    cluster
                        .nats
                        .publish(&format!("wake.default.{shard}"), &message)
                        .await;
                    sent += (message.len() - 1) / 20;
                }
                pause(50).await;
            }
            report.figure("doubled_wake_ups", sent);
            Ok(())
        })
        .await
}

/// A run's key as the bell carries it.
fn key(head: &str) -> Result<[u8; 20]> {
    let (plane, run) = head.split_once(' ').context("two columns")?;
    let mut key = [0; 20];
    key[..4].copy_from_slice(&plane.parse::<i32>()?.to_be_bytes());
    key[4..].copy_from_slice(run.parse::<uuid::Uuid>()?.as_bytes());
    Ok(key)
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
