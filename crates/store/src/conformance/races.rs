//! Interleavings of tasks that look harmless (section "Races" of the store protocol).

use ag_types::{RunKey, RunStatus};
use tokio::task::JoinSet;

use super::bench::{Bench, SECOND, SYSTEM, mail_to, segment};
use crate::{ClaimedRun, CommitOutcome, MailKind, Placement, PostOutcome, Rest, Sweep};

/// A run rests while others write to it: it never sleeps with unread mail.
pub(super) async fn mail_and_rest_never_leave_a_sleeper(b: Bench) {
    const MAIL: i64 = 200;
    let session = b.session().await;
    let key = b.started(Placement::Rest { wake_at: None }).await;
    let mut tasks = JoinSet::new();
    for poster in 0..4 {
        let b = b.clone();
        tasks.spawn(async move {
            for n in 0..MAIL / 4 {
                b.post(&format!("{poster}-{n}"), key.run, MailKind::Event).await;
            }
        });
    }
    let mut seen = 0;
    while seen < MAIL {
        let claim = b.claim(session, &[key]).await.expect("claim");
        let Some(run) = claim.runs.into_iter().next() else {
            tokio::task::yield_now().await;
            continue;
        };
        seen = b.mail_numbers(key, seen).await.last().copied().unwrap_or(seen);
        let mut commit = b.commit_of(session, &run, Rest::Wait { wake_at: None });
        commit.seen = seen;
        match b.commit(commit).await {
            CommitOutcome::Committed { mail_in } => assert!(mail_in >= seen),
            other => panic!("{other:?}"),
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("poster");
    }
    assert!(!b.is_ready(key).await, "all mail is read");
}

pub(super) async fn posters_get_dense_numbers(b: Bench) {
    const POSTERS: i64 = 64;
    let session = b.session().await;
    let held = b.held(session).await;
    let free = b.started(Placement::Rest { wake_at: None }).await;
    let mut tasks = JoinSet::new();
    for poster in 0..POSTERS {
        let b = b.clone();
        tasks.spawn(async move {
            let targets = [(held.key.run, MailKind::Event), (free.run, MailKind::Event)];
            let command = b.command_to(&format!("c{poster}"), &targets);
            match b.store.post_command(&b.root(), command).await.expect("post") {
                PostOutcome::Accepted { seq, .. } => seq,
                other => panic!("{other:?}"),
            }
        });
    }
    let mut seqs = tasks.join_all().await;
    seqs.sort_unstable();
    let dense: Vec<i64> = (1..=POSTERS).collect();
    assert_eq!(seqs, dense);
    assert_eq!(b.mail_numbers(held.key, 0).await, dense);
    assert_eq!(b.mail_numbers(free, 0).await, dense);
}

pub(super) async fn many_runs_commit_together(b: Bench) {
    let session = b.session().await;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let b = b.clone();
        tasks.spawn(async move {
            let mut run = b.held(session).await;
            for rev in 0..5 {
                let mut commit =
                    b.commit_of(session, &run, if rev == 4 { Rest::Terminal } else { Rest::Keep });
                commit.segments = vec![segment(i64::from(rev) + 1, i64::from(rev) + 1)];
                commit.last_seq = i64::from(rev) + 1;
                assert_eq!(b.commit(commit).await, CommitOutcome::Committed { mail_in: 0 });
                run.rev += 1;
            }
            run.key
        });
    }
    let keys = tasks.join_all().await;
    let tails = b.store.tails(&SYSTEM, &keys).await.expect("tails");
    assert_eq!(tails.len(), 100);
    assert!(
        tails
            .iter()
            .all(|tail| tail.last_seq == 5 && tail.status == RunStatus::Completed)
    );
}

pub(super) async fn one_claimer_wins(b: Bench) {
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(b.started(Placement::Ready).await);
    }
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (b, keys) = (b.clone(), keys.clone());
        tasks.spawn(async move {
            let session = b.session().await;
            b.claim(session, &keys).await.expect("claim").runs
        });
    }
    let mut claimed: Vec<RunKey> = tasks
        .join_all()
        .await
        .into_iter()
        .flatten()
        .map(|run| run.key)
        .collect();
    claimed.sort_unstable();
    assert_eq!(claimed, keys);
}

/// Mail both ways in simultaneous commits: neither a deadlock nor a lost number.
pub(super) async fn parents_and_children_write_to_each_other(b: Bench) {
    const ROUNDS: i32 = 50;
    let session = b.session().await;
    let (left, right) = (b.held(session).await, b.held(session).await);
    let exchange = |b: Bench, mut mine: ClaimedRun, other: RunKey| async move {
        for _ in 0..ROUNDS {
            let mut commit = b.commit_of(session, &mine, Rest::Keep);
            commit.mail = vec![
                mail_to(other.run, MailKind::Event),
                mail_to(mine.key.run, MailKind::Event),
            ];
            assert!(matches!(b.commit(commit).await, CommitOutcome::Committed { .. }));
            mine.rev += 1;
        }
    };
    let (a, c) = (left.key, right.key);
    tokio::join!(exchange(b.clone(), left, c), exchange(b.clone(), right, a));
    let dense: Vec<i64> = (1..=i64::from(ROUNDS) * 2).collect();
    assert_eq!(b.mail_numbers(a, 0).await, dense);
    assert_eq!(b.mail_numbers(c, 0).await, dense);
}

/// A holder that was declared dead goes on writing after somebody else has taken the run.
pub(super) async fn a_zombie_writes_nothing(b: Bench) {
    let zombie = b.session().await;
    let old = b.held(zombie).await;
    b.clock.advance(20 * SECOND);
    assert_eq!(b.sweep(Sweep::Sessions).await, [old.key]);
    let heir = b.session().await;
    let new = b.claimed(heir, old.key).await;
    let other = b.started(Placement::Rest { wake_at: None }).await;
    let mut late = b.commit_of(zombie, &old, Rest::Terminal);
    late.mail = vec![mail_to(other.run, MailKind::Event)];
    let mut good = b.commit_of(heir, &new, Rest::Keep);
    good.segments = vec![segment(1, 1)];
    good.last_seq = 1;
    let (late, good) = tokio::join!(b.commit(late), b.commit(good));
    assert_eq!(
        (late, good),
        (CommitOutcome::Lost, CommitOutcome::Committed { mail_in: 0 })
    );
    assert_eq!(b.mail_numbers(other, 0).await, [0; 0]);
    let row = b
        .store
        .run(&b.root(), old.key.run)
        .await
        .expect("read")
        .expect("present");
    assert_eq!((row.rev, row.columns.status), (1, RunStatus::Running));
}

/// A reader beside the writer sees a prefix of the final ledger, without gaps.
pub(super) async fn ledgers_only_grow_at_the_end(b: Bench) {
    const COMMITS: i64 = 100;
    let session = b.session().await;
    let mut run = b.held(session).await;
    let key = run.key;
    let reader = tokio::spawn({
        let b = b.clone();
        async move {
            let mut last = 0;
            while last < COMMITS * 2 {
                let page = b
                    .store
                    .ledger(&b.root(), key.run, 0, 1_000)
                    .await
                    .expect("read")
                    .expect("present");
                let seqs: Vec<_> = page.records().map(|(seq, _)| seq).collect();
                assert_eq!(seqs, (1..=page.last_seq).collect::<Vec<_>>());
                assert!(page.last_seq >= last);
                last = page.last_seq;
                tokio::task::yield_now().await;
            }
        }
    });
    for n in 0..COMMITS {
        let mut commit = b.commit_of(session, &run, Rest::Keep);
        commit.segments = vec![segment(n * 2 + 1, n * 2 + 2)];
        commit.last_seq = n * 2 + 2;
        assert_eq!(b.commit(commit).await, CommitOutcome::Committed { mail_in: 0 });
        run.rev += 1;
        run.last_seq = n * 2 + 2;
    }
    reader.await.expect("reader");
}

/// Who sees a terminal status sees all records.
pub(super) async fn a_terminal_page_is_complete(b: Bench) {
    let session = b.session().await;
    let mut tasks = JoinSet::new();
    for _ in 0..30 {
        let run = b.held(session).await;
        let (writer, reader, key) = (b.clone(), b.clone(), run.key);
        tasks.spawn(async move {
            let mut commit = writer.commit_of(session, &run, Rest::Terminal);
            commit.segments = vec![segment(1, 2), segment(3, 3)];
            commit.last_seq = 3;
            assert_eq!(
                writer.commit(commit).await,
                CommitOutcome::Committed { mail_in: 0 }
            );
        });
        tasks.spawn(async move {
            loop {
                let page = reader
                    .store
                    .ledger(&reader.root(), key.run, 0, 9)
                    .await
                    .expect("read")
                    .expect("present");
                let complete = page.records().count() == 3 && page.last_seq == 3;
                assert_eq!(page.status.is_terminal(), complete);
                if complete {
                    break;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    tasks.join_all().await;
}
