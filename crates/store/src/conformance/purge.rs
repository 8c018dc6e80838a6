//! Purging.

use super::bench::{Bench, SYSTEM, segment};
use crate::{CommitOutcome, MailKind, Placement, Rest, StartKey, StartOutcome};

pub(super) async fn nothing_is_left(b: Bench) {
    let key = StartKey {
        key: "k".to_owned(),
        body_sha256: [1; 32],
        expires_before: b.now().plus_micros(-1),
    };
    let mut start = b.start_of(vec![b.new_run(Placement::Rest {
        wake_at: Some(b.now()),
    })]);
    start.key = Some(key.clone());
    start.runs[0].segments = vec![segment(1, 3), segment(4, 4)];
    start.runs[0].last_seq = 4;
    let run = start.runs[0].head.run_id;
    b.store.start(&b.root(), start).await.expect("start");
    let kept = b.started(Placement::Rest { wake_at: None }).await;
    b.post("c1", run, MailKind::Resume).await;
    b.post("c2", kept.run, MailKind::Resume).await;
    let purged = b
        .store
        .purge_runs(&b.root(), &[run, b.run_id()])
        .await
        .expect("purge");
    assert_eq!(purged, (1, 4, 1));
    assert!(b.store.run(&b.root(), run).await.expect("read").is_none());
    assert!(
        b.store
            .ledger(&b.root(), run, 0, 9)
            .await
            .expect("read")
            .is_none()
    );
    assert!(b.store.command(&b.root(), "c1").await.expect("read").is_none());
    assert!(b.store.command(&b.root(), "c2").await.expect("read").is_some());
    assert_eq!(b.candidates(9).await, [kept]);
    assert!(b.sweep(crate::Sweep::Timers).await.is_empty());
    let mut again = b.start_of(vec![b.new_run(Placement::Ready)]);
    again.key = Some(key);
    assert_eq!(
        b.store.start(&b.root(), again).await.expect("start"),
        StartOutcome::Created
    );
    // Numbers are not used again.
    assert!(matches!(
        b.post("c3", kept.run, MailKind::Resume).await,
        crate::PostOutcome::Accepted { seq: 3, .. }
    ));
}

pub(super) async fn holders_are_fenced(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    assert_eq!(
        b.store
            .purge_runs(&b.root(), &[run.key.run])
            .await
            .expect("purge")
            .0,
        1
    );
    assert_eq!(
        b.commit(b.commit_of(session, &run, Rest::Keep)).await,
        CommitOutcome::Lost
    );
    assert!(
        b.store
            .close_session(&SYSTEM, session, false)
            .await
            .expect("close")
            .is_empty()
    );
}
