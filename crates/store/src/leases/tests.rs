use ag_types::RunId;
use uuid::Uuid;

use super::*;

const A: SessionId = SessionId(1);
const B: SessionId = SessionId(2);

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn key(run: u128, plane: i32) -> RunKey {
    RunKey {
        run: RunId(Uuid::from_u128(run)),
        plane: PlaneId(plane),
    }
}

fn session(id: SessionId) -> NewSession {
    NewSession {
        id,
        pool: "default".into(),
        node: "test".into(),
    }
}

fn ready(table: &mut LeaseTable, run: u128, plane: i32, since: i64) {
    table.set_ready(key(run, plane), &"default".into(), at(since));
}

fn ask(table: &LeaseTable, limit: usize, after: i32) -> Vec<(u128, i32)> {
    let query = CandidateQuery {
        pool: "default".into(),
        limit,
        after_plane: PlaneId(after),
    };
    table
        .candidates(&query)
        .into_iter()
        .map(|key| (key.run.0.as_u128(), key.plane.0))
        .collect()
}

#[test]
fn candidates_take_the_first_of_each_plane_then_the_second() {
    let mut table = LeaseTable::default();
    for (run, plane, since) in [
        (1, 1, 10),
        (2, 1, 11),
        (3, 1, 12),
        (4, 2, 20),
        (5, 2, 21),
        (6, 3, 5),
    ] {
        ready(&mut table, run, plane, since);
    }
    assert_eq!(ask(&table, 4, 0), [(6, 3), (1, 1), (4, 2), (2, 1)]);
    assert_eq!(table.oldest_ready("default"), Some(at(5)));
    assert_eq!(table.oldest_ready("gpu"), None);
}

#[test]
fn more_planes_than_one_query_sees_are_reached_by_rotation() {
    let mut table = LeaseTable::default();
    for plane in 1..=100 {
        ready(&mut table, plane as u128, plane, 1);
    }
    let first = ask(&table, 200, 0);
    assert_eq!(first.len(), CANDIDATE_PLANES);
    let second = ask(&table, 200, 64);
    assert!(second.contains(&(100, 100)) && second.contains(&(28, 28)) && !second.contains(&(29, 29)));
}

#[test]
fn a_run_is_owned_or_ready_never_both() {
    let mut table = LeaseTable::default();
    table.open_session(&session(A), at(0));
    ready(&mut table, 1, 1, 5);
    assert!(table.take_ready(&key(1, 1), A).is_some());
    assert!(table.take_ready(&key(1, 1), B).is_none());
    ready(&mut table, 1, 1, 6);
    assert_eq!(ask(&table, 9, 0), []);
    table.release(&key(1, 1));
    assert!(
        table.take_ready(&key(1, 1), B).is_none(),
        "released without becoming ready is at rest"
    );
    ready(&mut table, 1, 1, 7);
    assert_eq!(ask(&table, 9, 0), [(1, 1)]);
}

#[test]
fn epochs_rise_over_stored_and_given_ones() {
    let mut table = LeaseTable::default();
    for (run, stored, expected) in [(1, 0, 1), (2, 7, 8), (3, 0, 9)] {
        ready(&mut table, run, 1, 0);
        table.take_ready(&key(run, 1), A);
        assert_eq!(table.set_epoch(&key(run, 1), A, stored), Some(expected));
    }
    assert_eq!(table.set_epoch(&key(1, 1), B, 0), None);
    table.own(key(4, 1), A, 40);
    ready(&mut table, 5, 1, 0);
    table.take_ready(&key(5, 1), A);
    assert_eq!(table.set_epoch(&key(5, 1), A, 0), Some(41));
}

#[test]
fn sessions_expire_and_leave_orphans() {
    let mut table = LeaseTable::default();
    table.open_session(&session(A), at(0));
    table.open_session(&session(B), at(0));
    table.own(key(1, 1), A, 1);
    assert!(table.renew_session(B, at(10_000_000)));
    let later = at(SESSION_TTL_MICROS);
    assert!(!table.is_alive(A, later) && table.is_alive(B, later));
    assert!(table.any_expired(later));
    assert_eq!(table.orphans(9), []);
    table.expire_sessions(later);
    assert!(!table.any_expired(later) && !table.renew_session(A, later));
    assert_eq!(table.orphans(9), [key(1, 1)]);
    assert_eq!(table.held_by(A), [key(1, 1)]);
}

#[test]
fn cancels_are_due_once_and_only_for_owned_runs() {
    let mut table = LeaseTable::default();
    table.set_preempt(key(1, 1), at(5));
    assert_eq!(table.overdue(at(100), 9), []);
    table.own(key(1, 1), A, 1);
    table.set_preempt(key(1, 1), at(5));
    table.set_preempt(key(1, 1), at(50));
    assert_eq!(table.cancels_of(A), [key(1, 1)]);
    assert_eq!(table.overdue(at(5), 9), []);
    assert_eq!(table.overdue(at(6), 9), [key(1, 1)]);
    table.forget(&key(1, 1));
    assert_eq!(table.overdue(at(6), 9), []);
    assert_eq!(table.held_by(A), []);
}
