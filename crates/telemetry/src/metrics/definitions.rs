//! Every metric, with description, unit and labels.
//!
//! Prefix `gateway_`; counters end with `_total`, durations are seconds. The last group must stay 0 or be
//! explained.

use metrics::Unit::{Bytes, Count, Seconds};

use super::definition::{Counter, Definition, Gauge, Histogram};

/// From one embedded commit to a slow model call.
const LATENCY: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0, 60.0, 300.0,
];

/// Sizes of shared commits and messages.
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

macro_rules! metrics {
    ($($(#[$doc:meta])+ $name:ident: $type:ty = $value:expr;)+) => {
        $($(#[$doc])+ pub static $name: $type = $value;)+

        /// All of them, for descriptions, buckets and tests.
        pub(super) static ALL: &[&dyn Definition] = &[$(&$name),+];

        /// Their names in code.
        #[cfg(test)]
        pub(super) static NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

metrics! {
    // API

    /// Answered requests.
    HTTP_REQUESTS: Counter<3> = Counter::new(
        "gateway_http_requests_total", "Answered HTTP requests.", Count, ["route", "method", "status_class"]);
    /// Time from request to answer; of a stream, to its first byte.
    HTTP_DURATION: Histogram<2> = Histogram::new(
        "gateway_http_request_duration_seconds", "Time from request to answer, of a stream to its first byte.",
        Seconds, LATENCY, ["route", "method"]);
    /// Requests in flight.
    HTTP_IN_FLIGHT: Gauge<0> = Gauge::new("gateway_http_in_flight", "Requests in flight.", Count, []);
    /// Requests refused by the security layer: `origin`, `lockout`, `auth`, `csrf`, `admin`, `body`, `concurrency`,
    /// `rate`.
    REQUESTS_REFUSED: Counter<1> = Counter::new(
        "gateway_requests_refused_total", "Requests refused by the security layer.", Count, ["reason"]);
    /// Keys remembered by the lockout.
    LOCKOUT_KEYS: Gauge<0> = Gauge::new(
        "gateway_lockout_keys", "Addresses and identities with remembered failures.", Count, []);
    /// Audit records that did not reach the file.
    AUDIT_LOST: Counter<0> = Counter::new(
        "gateway_audit_records_lost_total", "Audit records that did not reach the log.", Count, []);

    // Streams

    /// Open ledger streams.
    STREAMS_OPEN: Gauge<0> = Gauge::new("gateway_streams_open", "Open ledger streams.", Count, []);
    /// Opened ledger streams.
    STREAMS_OPENED: Counter<0> = Counter::new("gateway_streams_opened_total", "Opened ledger streams.", Count, []);
    /// Streams cut by the server: `slow`, `drain`, `error`.
    STREAMS_CUT: Counter<1> = Counter::new(
        "gateway_streams_cut_total", "Ledger streams ended by the server.", Count, ["reason"]);

    // Runs

    /// Started root runs.
    RUNS_STARTED: Counter<0> = Counter::new("gateway_runs_started_total", "Started root runs.", Count, []);
    /// Ended runs by status.
    RUNS_ENDED: Counter<1> = Counter::new("gateway_runs_ended_total", "Ended runs.", Count, ["status"]);
    /// Time from the request to the first record.
    RUN_START: Histogram<0> = Histogram::new(
        "gateway_run_start_seconds", "Time from start request to first ledger record.", Seconds, LATENCY, []);
    /// Runs at work or about to be, by state: `ready`, `leased`. Their sum per slot is what an autoscaler wants.
    HEADS: Gauge<2> = Gauge::new(
        "gateway_run_heads", "Runs that are ready or owned by a runner.", Count, ["pool", "state"]);
    /// Living runners of a pool; 0 for a pool that has runs and nobody to execute them.
    POOL_RUNNERS: Gauge<1> = Gauge::new("gateway_pool_runners", "Living runners of a pool.", Count, ["pool"]);
    /// Age of the oldest run that is ready and owned by nobody.
    OLDEST_READY: Gauge<1> = Gauge::new(
        "gateway_oldest_ready_seconds", "Age of the oldest ready run without a holder.", Seconds, ["pool"]);
    /// Commands by type and outcome: `accepted`, `refused` with a reason, `duplicate`.
    COMMANDS: Counter<2> = Counter::new("gateway_commands_total", "Commands.", Count, ["type", "outcome"]);

    // Runners

    /// Slots of this runner: `used`, `free`.
    RUNNER_SLOTS: Gauge<2> = Gauge::new("gateway_runner_slots", "Slots of the runner.", Count, ["pool", "state"]);
    /// Ticks by how they ended: `waiting`, `terminal`, `again`, `handed_back`, `lost`, `failed`, `panicked`.
    TICKS: Counter<1> = Counter::new("gateway_ticks_total", "Visits of a runner to a run.", Count, ["end"]);
    /// Time of a tick, its effects included.
    TICK_DURATION: Histogram<0> = Histogram::new(
        "gateway_tick_duration_seconds", "Time of a tick, its effects included.", Seconds, LATENCY, []);
    /// Kernel steps.
    STEPS: Counter<0> = Counter::new("gateway_steps_total", "Steps of the kernel.", Count, []);
    /// How late timers fire.
    TIMER_LATENESS: Histogram<0> = Histogram::new(
        "gateway_timer_lateness_seconds", "Time from due to fired.", Seconds, LATENCY, []);
    /// Runs asked for by outcome: `claimed`; `taken`, because somebody was faster or the hint was old.
    CLAIMS: Counter<1> = Counter::new("gateway_claims_total", "Runs asked for by claims.", Count, ["outcome"]);

    // Effects and providers

    /// Effect attempts by kind and outcome: `done`, `waiting`, `failed`, `cancelled`.
    EFFECTS: Counter<2> = Counter::new("gateway_effects_total", "Effect attempts.", Count, ["kind", "outcome"]);
    /// Time of effect attempts.
    EFFECT_DURATION: Histogram<1> = Histogram::new(
        "gateway_effect_duration_seconds", "Time of an effect attempt.", Seconds, LATENCY, ["kind"]);
    /// Model calls by provider family and outcome.
    MODEL_CALLS: Counter<2> = Counter::new("gateway_model_calls_total", "Model calls.", Count, ["family", "outcome"]);
    /// Tokens by provider family and direction: `input`, `output`.
    MODEL_TOKENS: Counter<2> = Counter::new(
        "gateway_model_tokens_total", "Tokens of model calls.", Count, ["family", "direction"]);

    // Store and messaging

    /// Time of store operations by name.
    STORE_DURATION: Histogram<1> = Histogram::new(
        "gateway_store_operation_seconds", "Time of a store operation.", Seconds, LATENCY, ["operation"]);
    /// Failed store operations.
    STORE_ERRORS: Counter<1> = Counter::new(
        "gateway_store_errors_total", "Failed store operations.", Count, ["operation"]);
    /// Write sets that shared a transaction.
    COMMIT_BATCH: Histogram<0> = Histogram::new(
        "gateway_commit_batch_size", "Write sets in one transaction.", Count, SIZES, []);
    /// Size of the database on disk.
    DB_SIZE: Gauge<0> = Gauge::new("gateway_db_size_bytes", "Size of the database files.", Bytes, []);
    /// Wake-ups: `sent`, `received`, `lost`.
    WAKEUPS: Counter<1> = Counter::new("gateway_wakeups_total", "Wake-ups of runs.", Count, ["event"]);
    /// 1 while a broker is away and its node falls back: `nats`, `redis`.
    DEGRADED: Gauge<1> = Gauge::new(
        "gateway_degraded", "1 while a broker is away and the node falls back to its own means.", Count, ["broker"]);

    // Collection of blobs

    /// What collections of blobs did: `retired`, `restored`, `removed`; `leftover` for remains of broken writes.
    BLOBS_COLLECTED: Counter<1> = Counter::new(
        "gateway_blobs_collected_total", "Blobs that collections changed.", Count, ["step"]);
    /// Bytes of those `retired` and `removed`.
    BLOB_BYTES_COLLECTED: Counter<1> = Counter::new(
        "gateway_blob_bytes_collected_total", "Bytes of the blobs that collections changed.", Bytes, ["step"]);
    /// Retired copies that the last collection of this process left for their second look.
    BLOBS_RETIRED: Gauge<0> = Gauge::new(
        "gateway_blobs_retired", "Retired blobs that wait for their removal.", Count, []);
    /// What collections could not do.
    BLOB_COLLECTION_FAILURES: Counter<0> = Counter::new(
        "gateway_blob_collection_failures_total", "Failures of collections of blobs.", Count, []);
    /// End of the last collection of this process without a failure, in seconds since 1970.
    BLOB_COLLECTION_LAST: Gauge<0> = Gauge::new(
        "gateway_blob_collection_last_success_seconds", "Time of the last collection of blobs without a failure.",
        Seconds, []);

    // Correctness

    /// Writes refused because the run changed hands.
    STALE_WRITES: Counter<0> = Counter::new(
        "gateway_stale_writes_refused_total", "Writes refused because the run had changed hands.", Count, []);
    /// Work that only a sweep found: `ready` without a wake-up, runs of a dead `session`, a `cancel` that its holder
    /// did not obey, runs of a `claim` whose answer was lost.
    FOUND_BY_SWEEP: Counter<1> = Counter::new(
        "gateway_found_by_sweep_total", "Work that no wake-up had announced.", Count, ["kind"]);
    /// Feed messages that were not the next one and caused a read.
    FEED_GAPS: Counter<0> = Counter::new(
        "gateway_feed_gaps_filled_total", "Feed gaps filled from the database.", Count, []);
    /// Runs that a runner left to others: `workspace`, `node_type`.
    HANDED_BACK: Counter<2> = Counter::new(
        "gateway_runs_handed_back_total", "Runs that a runner could not execute and left to others.", Count,
        ["pool", "reason"]);
    /// Exports of traces that did not reach their receiver.
    TRACE_EXPORTS_FAILED: Counter<0> = Counter::new(
        "gateway_trace_exports_failed_total", "Exports of traces that failed.", Count, []);
    /// Runs parked after crashes of their holders.
    RUNS_PARKED: Counter<0> = Counter::new(
        "gateway_runs_parked_total", "Runs parked after repeated runner crashes.", Count, []);
}
