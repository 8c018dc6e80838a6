//! Sessions, claims, sweeps.

use ag_types::{PlaneId, RunKey, SessionId, TenantScope};

use super::bench::{Bench, POOL, SECOND, SYSTEM};
use crate::{
    CandidateQuery, CommitOutcome, MailKind, Placement, PoolLoad, PostOutcome, Rest, StoreError, Sweep, Woken,
};

pub(super) async fn a_claim_takes_a_ready_run_once(b: Bench) {
    let (first, second) = (b.session().await, b.session().await);
    let key = b.started(Placement::Ready).await;
    let run = b.claimed(first, key).await;
    assert_eq!(
        (run.key, run.rev, run.mail_in, run.crashes, run.last_seq),
        (key, 0, 0, 0, 0)
    );
    assert_eq!(&*run.pool, POOL);
    assert!(run.epoch >= 1 && run.columns.is_some() && run.bundle_sha256.is_some());
    for session in [first, second] {
        assert!(b.claim(session, &[key]).await.expect("claim").runs.is_empty());
    }
    assert!(!b.is_ready(key).await);
}

pub(super) async fn epochs_rise_with_each_change_of_hands(b: Bench) {
    let session = b.session().await;
    let key = b.started(Placement::Ready).await;
    let mut last = 0;
    for _ in 0..3 {
        let run = b.claimed(session, key).await;
        assert!(run.epoch > last, "{} after {last}", run.epoch);
        last = run.epoch;
        b.rest(session, &run, Rest::Again).await;
    }
}

pub(super) async fn known_state_is_not_sent(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    b.rest(session, &run, Rest::Again).await;
    for (rev, sent) in [(1, false), (0, true)] {
        let claim = b
            .store
            .claim(&SYSTEM, session, &[run.key], &[(run.key, rev)])
            .await
            .expect("claim");
        assert_eq!(claim.runs[0].columns.is_some(), sent);
        assert!(
            b.store
                .release(&SYSTEM, session, run.key, claim.runs[0].epoch)
                .await
                .expect("release")
        );
    }
}

pub(super) async fn dead_sessions_claim_nothing(b: Bench) {
    let (closed, expired, living) = (b.session().await, b.session().await, b.session().await);
    let key = b.started(Placement::Ready).await;
    b.store.close_session(&SYSTEM, closed, true).await.expect("close");
    b.clock.advance(10 * SECOND);
    assert!(b.store.renew_session(&SYSTEM, living).await.expect("renew"));
    b.clock.advance(6 * SECOND);
    for session in [closed, expired, SessionId(7)] {
        assert!(matches!(
            b.claim(session, &[key]).await,
            Err(StoreError::SessionLost)
        ));
    }
    assert!(!b.store.renew_session(&SYSTEM, closed).await.expect("renew"));
    b.claimed(living, key).await;
}

pub(super) async fn expired_sessions_lose_their_runs(b: Bench) {
    let (old, new) = (b.session().await, b.session().await);
    let run = b.held(old).await;
    b.clock.advance(14 * SECOND);
    assert_eq!(b.sweep(Sweep::Sessions).await, []);
    assert!(b.store.renew_session(&SYSTEM, new).await.expect("renew"));
    b.clock.advance(2 * SECOND);
    assert_eq!(b.sweep(Sweep::Sessions).await, [run.key]);
    assert_eq!(b.sweep(Sweep::Sessions).await, []);
    assert!(!b.store.renew_session(&SYSTEM, old).await.expect("renew"));
    let again = b.claimed(new, run.key).await;
    assert_eq!(again.crashes, 1);
    assert_eq!(
        b.commit(b.commit_of(old, &run, Rest::Keep)).await,
        CommitOutcome::Lost
    );
}

pub(super) async fn a_clean_close_counts_no_crash(b: Bench) {
    let next = b.session().await;
    for (clean, crashes) in [(true, 0), (false, 1)] {
        let session = b.session().await;
        let run = b.held(session).await;
        let woken = b
            .store
            .close_session(&SYSTEM, session, clean)
            .await
            .expect("close");
        assert_eq!(
            woken
                .iter()
                .map(|woken| (woken.key, &*woken.pool))
                .collect::<Vec<_>>(),
            [(run.key, POOL)]
        );
        assert_eq!(b.claimed(next, run.key).await.crashes, crashes);
        assert!(
            b.store
                .close_session(&SYSTEM, session, clean)
                .await
                .expect("close")
                .is_empty()
        );
    }
}

/// Architecture D20: the first crash counts against all that a holder had, a further one against what it was driving.
pub(super) async fn further_crashes_count_against_what_was_driven(b: Bench) {
    let (first, stranger) = (b.session().await, b.session().await);
    let keys = [
        b.held(first).await.key,
        b.held(first).await.key,
        b.held(first).await.key,
    ];
    b.store.close_session(&SYSTEM, first, false).await.expect("close");

    // A swept session and one that is closed count alike.
    for (swept, crashes) in [(true, 2), (false, 3)] {
        let session = b.session().await;
        let mut held = Vec::new();
        for key in keys {
            held.push(b.claimed(session, key).await);
        }
        assert_eq!([held[1].crashes, held[2].crashes], [1, 1]);
        let runs: Vec<_> = held.iter().map(|run| (run.key, run.epoch)).collect();
        let note = async |session, runs: &[_]| {
            let noted = b.store.note_driven(&SYSTEM, session, runs).await;
            noted.expect("note");
        };
        note(session, &[runs[0], runs[2]]).await;
        // Notes of those who do not hold the run.
        note(stranger, &[runs[1]]).await;
        note(session, &[(keys[1], runs[1].1 + 1)]).await;
        // A note is good for one claim.
        b.store
            .release(&SYSTEM, session, keys[2], runs[2].1)
            .await
            .expect("release");
        b.claimed(session, keys[2]).await;
        if swept {
            b.clock.advance(16 * SECOND);
            assert_eq!(b.sweep(Sweep::Sessions).await.len(), keys.len());
        } else {
            b.store
                .close_session(&SYSTEM, session, false)
                .await
                .expect("close");
        }
        let next = b.session().await;
        let counted = b.claim(next, &keys).await.expect("claim").runs;
        let of = |key| counted.iter().find(|run| run.key == key).map(|run| run.crashes);
        assert_eq!(keys.map(of), [Some(crashes), Some(1), Some(1)]);
        b.store.close_session(&SYSTEM, next, true).await.expect("close");
    }
}

pub(super) async fn a_release_gives_back_unchanged(b: Bench) {
    let (mine, other) = (b.session().await, b.session().await);
    let run = b.held(mine).await;
    assert!(
        !b.store
            .release(&SYSTEM, other, run.key, run.epoch)
            .await
            .expect("release")
    );
    assert!(
        !b.store
            .release(&SYSTEM, mine, run.key, run.epoch + 1)
            .await
            .expect("release")
    );
    b.clock.advance(SECOND);
    let younger = b.started(Placement::Ready).await;
    b.clock.advance(SECOND);
    assert!(
        b.store
            .release(&SYSTEM, mine, run.key, run.epoch)
            .await
            .expect("release")
    );
    assert_eq!(
        b.candidates(9).await,
        [younger, run.key],
        "it queues again at the end"
    );
    assert!(
        !b.store
            .release(&SYSTEM, mine, run.key, run.epoch)
            .await
            .expect("release")
    );
    assert_eq!(
        b.commit(b.commit_of(mine, &run, Rest::Keep)).await,
        CommitOutcome::Lost
    );
    let again = b.claimed(other, run.key).await;
    assert_eq!((again.rev, again.crashes), (0, 0));
    assert!(again.epoch > run.epoch);
}

pub(super) async fn candidates_are_fair(b: Bench) {
    let other = b.other_plane().await;
    let mut busy = Vec::new();
    for _ in 0..3 {
        busy.push(b.started(Placement::Ready).await);
        b.clock.advance(10);
    }
    let quiet = b.started_in(&other, b.new_run(Placement::Ready)).await;
    let mut elsewhere = b.new_run(Placement::Ready);
    elsewhere.pool = "gpu".into();
    let elsewhere = b.started_in(&other, elsewhere).await;
    assert_eq!(b.candidates(3).await, [busy[0], quiet, busy[1]]);
    assert_eq!(b.candidates(9).await, [busy[0], quiet, busy[1], busy[2]]);
    let gpu = CandidateQuery {
        pool: "gpu".into(),
        limit: 9,
        after_plane: PlaneId(0),
    };
    assert_eq!(
        b.store.candidates(&SYSTEM, gpu).await.expect("candidates"),
        [elsewhere]
    );
}

pub(super) async fn timers_fire_once(b: Bench) {
    let session = b.session().await;
    let due = b.now().plus_micros(SECOND);
    let born = b.started(Placement::Rest { wake_at: Some(due) }).await;
    let run = b.held(session).await;
    b.rest(
        session,
        &run,
        Rest::Wait {
            wake_at: Some(due.plus_micros(SECOND)),
        },
    )
    .await;
    assert_eq!(b.sweep(Sweep::Timers).await, []);
    let beat = b.store.beat(&SYSTEM, session, POOL).await.expect("beat");
    assert_eq!(beat.next_wake, Some(due));
    b.clock.advance(SECOND);
    assert_eq!(b.sweep(Sweep::Timers).await, [born]);
    b.clock.advance(5 * SECOND);
    assert_eq!(b.sweep(Sweep::Timers).await, [run.key]);
    assert_eq!(b.sweep(Sweep::Timers).await, []);
    let mut ready = b.candidates(9).await;
    ready.sort_unstable();
    let mut expected = [born, run.key];
    expected.sort_unstable();
    assert_eq!(ready, expected);
    assert_eq!(
        b.store
            .beat(&SYSTEM, session, POOL)
            .await
            .expect("beat")
            .next_wake,
        None
    );
}

pub(super) async fn the_beat_reports(b: Bench) {
    let (mine, other) = (b.session().await, b.session().await);
    let since = b.now();
    b.started(Placement::Ready).await;
    let run = b.held(mine).await;
    let beat = b.store.beat(&SYSTEM, mine, POOL).await.expect("beat");
    assert_eq!(
        (
            beat.cancels.len(),
            beat.next_wake,
            beat.session_expired,
            beat.preempt_due
        ),
        (0, None, false, false)
    );
    assert_eq!((beat.oldest_ready, beat.now), (Some(since), Some(since)));
    assert_eq!(
        b.store
            .beat(&SYSTEM, mine, "gpu")
            .await
            .expect("beat")
            .oldest_ready,
        None
    );
    b.post("c1", run.key.run, MailKind::Cancel).await;
    assert_eq!(
        b.store.beat(&SYSTEM, mine, POOL).await.expect("beat").cancels,
        [run.key]
    );
    assert_eq!(
        b.store.beat(&SYSTEM, other, POOL).await.expect("beat").cancels,
        []
    );
    b.clock.advance(16 * SECOND);
    let beat = b.store.beat(&SYSTEM, mine, POOL).await.expect("beat");
    assert!(beat.session_expired && beat.preempt_due);
    b.sweep(Sweep::Sessions).await;
    assert!(
        !b.store
            .beat(&SYSTEM, mine, POOL)
            .await
            .expect("beat")
            .session_expired
    );
}

pub(super) async fn overdue_cancels_are_taken_over(b: Bench) {
    let (slow, next) = (b.session().await, b.session().await);
    let (obeys, ignores) = (b.held(slow).await, b.held(slow).await);
    for (id, run) in [("c1", &obeys), ("c2", &ignores)] {
        let posted = b.post(id, run.key.run, MailKind::Cancel).await;
        let PostOutcome::Accepted { preempt, woken, .. } = posted else {
            panic!("{posted:?}")
        };
        assert_eq!((preempt, woken.len()), (vec![(slow, run.key.run)], 0));
    }
    let mut end = b.commit_of(slow, &obeys, Rest::Terminal);
    end.seen = 1;
    assert_eq!(b.commit(end).await, CommitOutcome::Committed { mail_in: 1 });
    b.clock.advance(SECOND);
    assert_eq!(b.sweep(Sweep::Cancels).await, []);
    b.clock.advance(SECOND);
    assert_eq!(b.sweep(Sweep::Cancels).await, [ignores.key]);
    assert_eq!(
        b.commit(b.commit_of(slow, &ignores, Rest::Keep)).await,
        CommitOutcome::Lost
    );
    let taken = b.claimed(next, ignores.key).await;
    assert_eq!((taken.mail_in, taken.crashes), (1, 0));
    assert_eq!(b.sweep(Sweep::Cancels).await, Vec::<RunKey>::new());
}

pub(super) async fn a_poster_takes_over_what_is_ignored(b: Bench) {
    let slow = b.session().await;
    let (obeys, ignores, other) = (b.held(slow).await, b.held(slow).await, b.held(slow).await);
    for (id, run) in [("c1", &obeys), ("c2", &ignores), ("c3", &other)] {
        b.post(id, run.key.run, MailKind::Cancel).await;
    }
    let (root, foreign) = (b.root(), b.other_plane().await);
    let mine = [obeys.key.run, ignores.key.run];
    let take = async |scope: &TenantScope| b.store.take_over(scope, &mine).await.expect("answered");
    b.clock.advance(SECOND);
    assert_eq!(take(&root).await, [], "there is time left");
    let mut end = b.commit_of(slow, &obeys, Rest::Terminal);
    end.seen = 1;
    assert_eq!(b.commit(end).await, CommitOutcome::Committed { mail_in: 1 });
    b.clock.advance(SECOND);
    assert_eq!(take(&foreign).await, [], "a foreign run is an absent one");
    let woken = Woken {
        key: ignores.key,
        pool: POOL.into(),
    };
    assert_eq!(take(&root).await, [woken]);
    assert_eq!(take(&root).await, []);
    assert_eq!(
        b.commit(b.commit_of(slow, &ignores, Rest::Keep)).await,
        CommitOutcome::Lost
    );
    assert!(b.is_ready(ignores.key).await);
    assert_eq!(
        b.sweep(Sweep::Cancels).await,
        [other.key],
        "those of others are left alone"
    );
}

pub(super) async fn a_session_lists_what_it_holds(b: Bench) {
    let (mine, other) = (b.session().await, b.session().await);
    let (one, two) = (b.held(mine).await, b.held(mine).await);
    b.held(other).await;
    b.started(Placement::Ready).await;
    let mut held = vec![(one.key, one.epoch), (two.key, two.epoch)];
    held.sort_unstable();
    let list = async || b.store.held_runs(&SYSTEM, mine).await.expect("read");
    assert_eq!(list().await, held);
    b.rest(mine, &one, Rest::Wait { wake_at: None }).await;
    assert_eq!(list().await, [(two.key, two.epoch)]);
    b.rest(mine, &two, Rest::Terminal).await;
    assert_eq!(list().await, []);
}

pub(super) async fn ready_runs_are_named_with_their_pools(b: Bench) {
    let session = b.session().await;
    let held = b.held(session).await;
    let resting = b.started(Placement::Rest { wake_at: None }).await;
    let mut gpu = b.new_run(Placement::Ready);
    gpu.pool = "gpu".into();
    let gpu = b.started_in(&b.root(), gpu).await;
    let ready = b.started(Placement::Ready).await;
    let absent = RunKey {
        run: b.run_id(),
        plane: ready.plane,
    };
    let asked = [held.key, gpu, resting, ready, absent];
    let woken = |key, pool: &str| Woken {
        key,
        pool: pool.into(),
    };
    let named = b.store.ready_among(&SYSTEM, &asked).await.expect("read");
    assert_eq!(named, [woken(gpu, "gpu"), woken(ready, POOL)]);
    assert_eq!(b.store.ready_among(&SYSTEM, &[]).await.expect("read"), []);
}

pub(super) async fn pools_say_who_works_and_what_waits(b: Bench) {
    assert_eq!(b.store.pools(&SYSTEM).await.expect("pools"), []);
    let session = b.session().await;
    b.held(session).await;
    let since = b.now();
    let mut gpu = b.new_run(Placement::Ready);
    gpu.pool = "gpu".into();
    b.started_in(&b.root(), gpu).await;
    b.clock.advance(SECOND);
    b.started(Placement::Ready).await;
    b.started(Placement::Ready).await;
    let load = |pool: &str, runners, ready, leased, oldest_ready| PoolLoad {
        pool: pool.into(),
        runners,
        ready,
        leased,
        oldest_ready,
    };
    let later = b.now();
    let pools = b.store.pools(&SYSTEM).await.expect("pools");
    assert_eq!(
        pools,
        [
            load(POOL, 1, 2, 1, Some(later)),
            load("gpu", 0, 1, 0, Some(since)),
        ]
    );
    b.store
        .close_session(&SYSTEM, session, true)
        .await
        .expect("close");
    let pools = b.store.pools(&SYSTEM).await.expect("pools");
    assert_eq!((pools[0].runners, pools[0].ready, pools[0].leased), (0, 3, 0));
}
