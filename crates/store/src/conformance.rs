//! What every store must do, as cases that run against any adapter.
//!
//! Each case gets a fresh store and a clock that only the case moves. A failed expectation panics with the name of
//! the case. An adapter's test is one call:
//!
//! ```ignore
//! ag_store::conformance::run_all(|clock| async move { Arc::new(FakeStore::new(clock)) }).await;
//! ```

mod artifacts;
mod bench;
mod commands;
mod commits;
mod documents;
mod imports;
mod leases;
mod ledger;
mod mail;
mod memory;
mod owners;
mod purge;
mod races;
mod reads;
mod starts;

use std::{pin::Pin, sync::Arc, time::Duration};

pub use bench::Bench;

use crate::{ImportStore, Store, fake::MovableClock};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
/// A named case.
type Case = (&'static str, fn(Bench) -> Running);

macro_rules! cases {
    ($($module:ident: $($name:ident),+ $(,)?;)+) => {
        const CASES: &[Case] = &[$($((
            concat!(stringify!($module), "::", stringify!($name)),
            |bench| Box::pin($module::$name(bench)),
        ),)+)+];
    };
}

cases! {
    starts: created_runs_are_read_back, placements_decide_who_may_claim, a_key_repeats_the_answer,
        an_expired_key_is_forgotten, a_changed_registry_is_noticed, a_repeated_start_changes_nothing,
        mail_of_the_first_tick, rows_beside_the_runs;
    leases: pools_say_who_works_and_what_waits, a_claim_takes_a_ready_run_once, epochs_rise_with_each_change_of_hands, known_state_is_not_sent,
        dead_sessions_claim_nothing, expired_sessions_lose_their_runs, a_clean_close_counts_no_crash,
        further_crashes_count_against_what_was_driven,
        a_release_gives_back_unchanged, candidates_are_fair, timers_fire_once, the_beat_reports,
        overdue_cancels_are_taken_over, a_poster_takes_over_what_is_ignored, a_session_lists_what_it_holds,
        ready_runs_are_named_with_their_pools;
    commits: state_and_revision_advance, rests_and_wakes, the_fence_holds, a_repeated_commit_is_recognised,
        a_terminal_run_has_no_head, children_enter_with_the_commit, a_pool_change_moves_the_run,
        crashes_are_cleared_by_progress, rows_beside_the_commit;
    mail: numbers_are_dense_and_ordered, mail_wakes_a_resting_run, read_mail_is_removed,
        tree_mail_to_an_ended_run_is_stale, other_mail_to_an_ended_run_is_dropped, unread_mail_stops_the_end,
        mail_to_itself_and_to_another;
    commands: accepted_once, numbers_are_dense_per_plane, outcomes_and_pending, stale_tree_targets,
        a_cancel_names_the_holder, lost_targets_are_told;
    ledger: pages_cut_segments, an_absent_run_has_no_page, tails_of_many, appends_only_to_ended_runs;
    reads: lists_filter_and_order, trees, listeners_are_those_who_can_take_an_event, planes_are_separate;
    documents: modes_and_generations, what_changed_meanwhile_is_not_replaced, kinds_and_planes_are_separate;
    artifacts: rows_are_kept_and_filtered, blobs_in_use_are_not_reported, blobs_in_use_are_found;
    memory: span_entries_keep_their_order, a_refused_commit_adds_nothing, rows_of_a_first_tick,
        statements_are_filtered_and_ordered, vectors_are_paged_by_model, texts_of_any_kind,
        planes_are_separate_and_purged_runs_forgotten;
    owners: the_first_one_stays;
    imports: rows_arrive_once, what_is_there_stays, a_ledger_begins_again, nothing_moves_without_a_head,
        wakes_reach_only_runs_at_rest, numbers_of_commands_only_rise, spans_of_known_owners_are_completed,
        statements_are_told_apart_by_id, planes_import_apart;
    purge: nothing_is_left, holders_are_fenced;
    races: mail_and_rest_never_leave_a_sleeper, posters_get_dense_numbers, many_runs_commit_together,
        one_claimer_wins, parents_and_children_write_to_each_other, a_zombie_writes_nothing,
        ledgers_only_grow_at_the_end, a_terminal_page_is_complete;
}

/// Real time that a case may take.
const CASE_LIMIT: Duration = Duration::from_secs(60);
/// Cases at a time: opening a store mostly waits for the disk.
const AT_ONCE: usize = 8;

/// Runs every case.
///
/// # Panics
/// When a case fails.
pub async fn run_all<F, O, S>(factory: F)
where
    F: Fn(Arc<MovableClock>) -> O,
    O: Future<Output = Arc<S>> + Send + 'static,
    S: Store + ImportStore + 'static,
{
    for group in CASES.chunks(AT_ONCE) {
        let running: Vec<_> = group.iter().map(|(_, case)| start(&factory, *case)).collect();
        for ((name, _), running) in group.iter().zip(running) {
            let done = tokio::time::timeout(CASE_LIMIT, running).await;
            assert!(
                matches!(done, Ok(Ok(()))),
                "conformance case {name} failed or did not end"
            );
        }
    }
}

fn start<F, O, S>(factory: &F, case: fn(Bench) -> Running) -> tokio::task::JoinHandle<()>
where
    F: Fn(Arc<MovableClock>) -> O,
    O: Future<Output = Arc<S>> + Send + 'static,
    S: Store + ImportStore + 'static,
{
    let clock = Arc::new(MovableClock::default());
    let store = factory(clock.clone());
    tokio::spawn(async move {
        let store = store.await;
        case(Bench::new(store.clone(), store, clock)).await;
    })
}
