//! Lists, trees, listeners.

use ag_types::{RunId, RunStatus};

use super::bench::{Bench, SECOND, SYSTEM};
use crate::{MailKind, NewRun, Placement, RunFilter};

async fn start(b: &Bench, change: impl FnOnce(&mut NewRun)) -> RunId {
    let mut run = b.new_run(Placement::Rest { wake_at: None });
    change(&mut run);
    b.clock.advance(SECOND);
    b.started_in(&b.root(), run).await.run
}

async fn list(b: &Bench, filter: RunFilter) -> Vec<RunId> {
    let rows = b
        .store
        .runs(&b.root(), RunFilter { limit: 100, ..filter })
        .await
        .expect("list");
    rows.into_iter().map(|row| row.head.run_id).collect()
}

pub(super) async fn lists_filter_and_order(b: Bench) {
    let plain = start(&b, |_| {}).await;
    let child = start(&b, |run| run.head.parent_run_id = Some(plain)).await;
    let hidden = start(&b, |run| run.head.workflow_id = "__global_memory__".into()).await;
    let session = start(&b, |run| run.head.session_id = Some("other".into())).await;
    let draft = start(&b, |run| {
        run.columns.lifecycle = Some(r#"{"purpose":"draft_test"}"#.into());
    })
    .await;
    let ended = start(&b, |run| {
        run.placement = Placement::Terminal;
        run.columns.status = RunStatus::Failed;
        run.columns.lifecycle = Some(r#"{"purpose":"run"}"#.into());
        run.head.session_id = None;
    })
    .await;
    let until = b.now();
    let newest = start(&b, |_| {}).await;

    let all = RunFilter::default;
    assert_eq!(list(&b, all()).await, [newest, ended, session, child, plain]);
    assert_eq!(
        list(
            &b,
            RunFilter {
                include_drafts: true,
                ..all()
            }
        )
        .await,
        [newest, ended, draft, session, child, plain]
    );
    assert_eq!(
        list(
            &b,
            RunFilter {
                root_only: true,
                ..all()
            }
        )
        .await,
        [newest, ended, session, plain]
    );
    assert_eq!(
        list(
            &b,
            RunFilter {
                status: Some(RunStatus::Failed),
                ..all()
            }
        )
        .await,
        [ended]
    );
    assert_eq!(
        list(
            &b,
            RunFilter {
                session_id: Some("other".to_owned()),
                ..all()
            }
        )
        .await,
        [session]
    );
    let workflow = Some("__global_memory__".to_owned());
    assert_eq!(
        list(
            &b,
            RunFilter {
                workflow_id: workflow,
                ..all()
            }
        )
        .await,
        [hidden]
    );
    let earlier = RunFilter {
        created_until: Some(until.plus_micros(-SECOND)),
        ..all()
    };
    assert_eq!(list(&b, earlier).await, [ended, session, child, plain]);
    let rows = b
        .store
        .runs(&b.root(), RunFilter { limit: 2, ..all() })
        .await
        .expect("list");
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[1].status, rows[1].lifecycle.as_deref()),
        (RunStatus::Failed, Some(r#"{"purpose":"run"}"#))
    );
    assert_eq!(rows[1].counters.tokens_total, 5_000_000_000);
}

pub(super) async fn trees(b: Bench) {
    let below = |parent: RunId| move |run: &mut NewRun| run.head.parent_run_id = Some(parent);
    let root = start(&b, |_| {}).await;
    let first = start(&b, below(root)).await;
    let ended = start(&b, |run| {
        below(root)(run);
        run.placement = Placement::Terminal;
        run.columns.status = RunStatus::Completed;
    })
    .await;
    let under_ended = start(&b, below(ended)).await;
    let under_first = start(&b, below(first)).await;
    let deep = start(&b, below(under_ended)).await;
    let read = |rows: Vec<crate::RelatedRun>| rows.into_iter().map(|row| row.head.run_id).collect::<Vec<_>>();
    assert_eq!(
        read(b.store.children(&b.root(), root).await.expect("read")),
        [first, ended]
    );
    let all = [first, ended, under_ended, under_first, deep];
    for limit in [0, 1, 3, 100] {
        let rows = b.store.descendants(&b.root(), root, limit).await.expect("read");
        assert_eq!(read(rows), all[..limit.min(5)]);
    }
    assert_eq!(
        b.store.live_below(&b.root(), root).await.expect("read"),
        [first, under_ended]
    );
    assert_eq!(
        b.store.live_below(&b.root(), ended).await.expect("read"),
        [under_ended]
    );
    assert_eq!(b.store.live_below(&b.root(), deep).await.expect("read"), []);
}

pub(super) async fn listeners_are_those_who_can_take_an_event(b: Bench) {
    let waits = |key: &str| {
        let columns = b.waiting(key);
        move |run: &mut NewRun| run.columns = columns
    };
    let free = start(&b, waits("k")).await;
    let second = start(&b, waits("k")).await;
    start(&b, waits("other")).await;
    start(&b, |_| {}).await;
    let paused = start(&b, |run| {
        waits("k")(run);
        run.columns.paused = true;
    })
    .await;
    for (index, (kind, listens)) in [
        (MailKind::Event, false),
        (MailKind::Resume, false),
        (MailKind::Pause, true),
    ]
    .into_iter()
    .enumerate()
    {
        let run = start(&b, waits("mail")).await;
        b.post(&format!("c{index}"), run, kind).await;
        let found = b.store.listeners(&b.root(), "mail").await.expect("read");
        assert_eq!(
            found.iter().any(|listener| listener.run_id == run),
            listens,
            "{kind:?}"
        );
    }
    let found = b.store.listeners(&b.root(), "k").await.expect("read");
    assert_eq!(
        found.iter().map(|listener| listener.run_id).collect::<Vec<_>>(),
        [free, second]
    );
    assert_eq!(
        (&*found[0].wait_key, &*found[0].workflow_id),
        ("k", "bundle@1:main")
    );
    let of_session = b
        .store
        .session_listeners(&b.root(), "session-1", 4)
        .await
        .expect("read");
    assert_eq!(of_session.len(), 4);
    assert!(of_session.iter().any(|listener| listener.run_id == paused));
    assert!(
        b.store
            .session_listeners(&b.root(), "none", 4)
            .await
            .expect("read")
            .is_empty()
    );
}

pub(super) async fn planes_are_separate(b: Bench) {
    let other = b.other_plane().await;
    assert_eq!(b.other_plane().await, other);
    assert_ne!(other.plane, b.root().plane);
    assert_eq!(
        b.store.plane_by_id(&SYSTEM, other.plane).await.expect("read"),
        Some(other.clone())
    );
    assert_eq!(
        b.store
            .plane_by_id(&SYSTEM, ag_types::PlaneId(99))
            .await
            .expect("read"),
        None
    );
    assert_eq!(
        b.store.planes(&SYSTEM).await.expect("read"),
        [b.root(), other.clone()]
    );
    // The same id may exist in both planes.
    let run = b.new_run(Placement::Rest { wake_at: None });
    let mut twin = run.clone();
    twin.columns = b.waiting("k");
    b.started_in(&b.root(), run.clone()).await;
    b.started_in(&other, twin).await;
    let id = run.head.run_id;
    assert_eq!(
        b.store
            .run(&b.root(), id)
            .await
            .expect("read")
            .expect("present")
            .columns
            .wait_key,
        None
    );
    assert!(b.store.listeners(&b.root(), "k").await.expect("read").is_empty());
    assert_eq!(b.store.listeners(&other, "k").await.expect("read").len(), 1);
    b.store.purge_runs(&other, &[id]).await.expect("purge");
    assert!(b.store.run(&b.root(), id).await.expect("read").is_some());
    assert!(b.store.run(&other, id).await.expect("read").is_none());
    let foreign = start(&b, |run| run.head.parent_run_id = Some(id)).await;
    assert_eq!(
        b.store.children(&b.root(), id).await.expect("read")[0]
            .head
            .run_id,
        foreign
    );
    assert!(b.store.children(&other, id).await.expect("read").is_empty());
}
