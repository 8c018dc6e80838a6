//! The fault matrix against a real cluster, see `ag_e2e::cluster`. Each scenario prints one JSON line.
//!
//! Scenarios share clusters, because starting one takes longer than most of them. The long forms:
//! `cargo test --release -p ag-e2e --test cluster -- --ignored --nocapture`.
//! `AG_E2E_ONLY=nats,redis` runs some of a test's scenarios.

use ag_e2e::cluster::{
    Field, Verdicts, clocks, commands, crowds, drains, fairness, faults, full, handover, points::points,
    poison, snapshot, streams, trees::growing_trees, versions, wakes,
};
use anyhow::Result;
use std::time::Duration;

/// Whether a scenario was asked for.
fn wanted(name: &str) -> bool {
    std::env::var("AG_E2E_ONLY").map_or(true, |only| only.split(',').any(|part| part == name))
}

macro_rules! scenarios {
    ($verdicts:ident: $($name:ident => $run:expr;)+) => {
        $(if wanted(stringify!($name)) {
            $verdicts.add(stringify!($name), $run.await);
        })+
    };
}

/// Something breaks under load; nothing is lost, doubled or stranded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_under_load() -> Result<()> {
    let Some(mut field) = Field::start(2, 2, &[]).await? else {
        return Ok(());
    };
    let field = &mut field;
    let mut verdicts = Verdicts::default();
    scenarios! { verdicts:
        doubled_wake_ups => faults::doubled_wake_ups(field, 40);
        nats => faults::nats(field);
        redis => faults::redis(field);
        postgres_connections => faults::postgres_connections(field, 20);
        postgres_crash => faults::postgres_crash(field, 2);
        postgres_absent => faults::postgres_absent(field);
        rolling_restart => faults::rolling_restart(field);
        overlap => drains::overlap(field);
        api_crash => faults::api_crash(field);
        runner_crash => faults::runner_crash(field);
        points => points(field, 7);
        orphans => wakes::orphans(field, 150);
        poison_run => poison::poison_run(field, 20);
    }
    verdicts.judge()
}

/// Commands race on two nodes; there is one winner, cancels arrive, and both nodes know the same bundles.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_commands() -> Result<()> {
    let Some(mut field) = Field::start(2, 3, &[]).await? else {
        return Ok(());
    };
    let field = &mut field;
    let mut verdicts = Verdicts::default();
    scenarios! { verdicts:
        same_id => commands::same_id(field, 10);
        one_winner => commands::one_winner(field, 12);
        cancels => commands::cancels(field, 4, 10);
        registry => commands::registry(field, 4);
        changed_bundles => versions::changed_bundles(field, 3);
        unknown_types => versions::unknown_types(field, 3);
        poison_commands => poison::poison_commands(field, 8);
        growing_trees => growing_trees(field, 2, 60);
        lost_event => wakes::lost_event(field, 150);
        timer_burst => wakes::timer_burst(field, 150, Duration::from_secs(4));
        hand_off => streams::hand_off(field, 36);
        held_snapshot => snapshot::held_snapshot(field, Duration::from_secs(2));
        crowd => crowds::crowd(field, 400, 40);
    }
    verdicts.judge()
}

/// Runners die, freeze and lose the database with runs in their hands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runners_lose_their_runs() -> Result<()> {
    let slots = handover::SLOTS.to_string();
    let env = [("ABSTRACTGATEWAY_RUNNER_SLOTS", slots.as_str())];
    let Some(mut field) = Field::start_on_small_disk(2, 4, &env).await? else {
        return Ok(());
    };
    let field = &mut field;
    let mut verdicts = Verdicts::default();
    scenarios! { verdicts:
        restarted => handover::restarted(field);
        lost_leases => handover::lost_leases(field);
        stale_commits => handover::stale_commits(field);
        long_calls => drains::long_calls(field, handover::SLOTS - 1);
        starvation => fairness::starvation(field, 50);
        no_room => full::no_room(field, Duration::from_secs(2));
    }
    verdicts.judge()
}

/// The same faults, for longer, with three runners.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; run by name"]
async fn faults_under_load_long() -> Result<()> {
    let Some(mut field) = Field::start(2, 3, &[]).await? else {
        return Ok(());
    };
    let field = &mut field;
    field.lengthen(3);
    let mut verdicts = Verdicts::default();
    scenarios! { verdicts:
        doubled_wake_ups => faults::doubled_wake_ups(field, 400);
        nats => faults::nats(field);
        redis => faults::redis(field);
        postgres_connections => faults::postgres_connections(field, 200);
        postgres_crash => faults::postgres_crash(field, 20);
        postgres_absent => faults::postgres_absent(field);
        rolling_restart => faults::rolling_restart(field);
        overlap => drains::overlap(field);
        api_crash => faults::api_crash(field);
        runner_crash => faults::runner_crash(field);
        points => points(field, usize::MAX);
        wrong_clocks => clocks::wrong_clocks(field);
        orphans => wakes::orphans(field, 250);
        poison_run => poison::poison_run(field, 100);
    }
    verdicts.judge()
}

/// The same races, many more of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; run by name"]
async fn racing_commands_long() -> Result<()> {
    let Some(mut field) = Field::start(2, 3, &[]).await? else {
        return Ok(());
    };
    let field = &mut field;
    let mut verdicts = Verdicts::default();
    scenarios! { verdicts:
        same_id => commands::same_id(field, 200);
        one_winner => commands::one_winner(field, 300);
        cancels => commands::cancels(field, 50, 70);
        registry => commands::registry(field, 100);
        changed_bundles => versions::changed_bundles(field, 50);
        unknown_types => versions::unknown_types(field, 20);
        poison_commands => poison::poison_commands(field, 100);
        growing_trees => growing_trees(field, 20, 200);
        lost_event => wakes::lost_event(field, 5_000);
        timer_burst => wakes::timer_burst(field, 5_000, Duration::from_secs(90));
        hand_off => streams::hand_off(field, 400);
        long_calls => drains::long_calls(field, 100);
        starvation => fairness::starvation(field, 2_000);
        held_snapshot => snapshot::held_snapshot(field, Duration::from_secs(120));
        // More descriptors than usual: `ulimit -n 25000`.
        crowd => crowds::crowd(field, 8_000, 2_000);
    }
    verdicts.judge()
}
