//! Ledgers.

use ag_types::{RunKey, RunStatus};

use super::bench::{Bench, SYSTEM, segment};
use crate::Placement;

async fn eleven_records(b: &Bench) -> RunKey {
    let mut run = b.new_run(Placement::Terminal);
    run.segments = vec![segment(1, 3), segment(4, 4), segment(5, 10), segment(11, 11)];
    run.last_seq = 11;
    b.started_in(&b.root(), run).await
}

pub(super) async fn pages_cut_segments(b: Bench) {
    let key = eleven_records(&b).await;
    for (after, limit, first, count) in [
        (0, 100, 1, 11),
        (0, 3, 1, 3),
        (0, 4, 1, 4),
        (1, 2, 2, 2),
        (2, 5, 3, 5),
        (10, 9, 11, 1),
        (11, 9, 0, 0),
    ] {
        let page = b
            .store
            .ledger(&b.root(), key.run, after, limit)
            .await
            .expect("read")
            .expect("present");
        assert_eq!((page.status, page.last_seq), (RunStatus::Completed, 11));
        let expected: Vec<_> = (first..first + count)
            .map(|n| (n, format!("{{\"n\":{n}}}")))
            .collect();
        let read: Vec<_> = page.records().map(|(seq, line)| (seq, line.to_owned())).collect();
        assert_eq!(read, expected, "after {after} limit {limit}");
    }
    let page = b
        .store
        .ledger(&b.root(), key.run, 4, 2)
        .await
        .expect("read")
        .expect("present");
    assert_eq!(page.segments.len(), 1, "a page reads no more than it needs");
}

pub(super) async fn an_absent_run_has_no_page(b: Bench) {
    let key = eleven_records(&b).await;
    assert!(
        b.store
            .ledger(&b.root(), b.run_id(), 0, 9)
            .await
            .expect("read")
            .is_none()
    );
    assert!(
        b.store
            .ledger(&b.other_plane().await, key.run, 0, 9)
            .await
            .expect("read")
            .is_none()
    );
}

pub(super) async fn tails_of_many(b: Bench) {
    let mut keys = vec![
        RunKey {
            run: b.run_id(),
            plane: b.root().plane,
        },
        eleven_records(&b).await,
    ];
    for _ in 0..50 {
        keys.push(b.started(Placement::Ready).await);
    }
    let mut tails = b.store.tails(&SYSTEM, &keys).await.expect("tails");
    tails.sort_unstable_by_key(|tail| tail.key);
    let read: Vec<_> = tails
        .iter()
        .map(|tail| (tail.key, tail.last_seq, tail.status))
        .collect();
    let first = [(keys[1], 11, RunStatus::Completed)].into_iter();
    let expected: Vec<_> = first
        .chain(keys[2..].iter().map(|key| (*key, 0, RunStatus::Running)))
        .collect();
    assert_eq!(read, expected);
    assert!(b.store.tails(&SYSTEM, &[]).await.expect("tails").is_empty());
}

pub(super) async fn appends_only_to_ended_runs(b: Bench) {
    let ended = eleven_records(&b).await;
    let live = b.started(Placement::Ready).await;
    let lines: Vec<String> = (12..=90).map(|n| format!("{{\"n\":{n}}}")).collect();
    for run in [live.run, b.run_id()] {
        assert_eq!(
            b.store
                .append_to_terminal(&b.root(), run, &lines)
                .await
                .expect("append"),
            None
        );
    }
    assert_eq!(
        b.store
            .append_to_terminal(&b.root(), ended.run, &lines)
            .await
            .expect("append"),
        Some(12)
    );
    let page = b
        .store
        .ledger(&b.root(), ended.run, 10, 1_000)
        .await
        .expect("read")
        .expect("present");
    assert_eq!(page.last_seq, 90);
    let read: Vec<_> = page.records().map(|(seq, line)| (seq, line.to_owned())).collect();
    assert_eq!(
        read,
        (11..=90)
            .map(|n| (n, format!("{{\"n\":{n}}}")))
            .collect::<Vec<_>>()
    );
}
