//! The figures aimed for on the two-core reference machine, for the embedded gateway and for a cluster.

use Bound::{AtLeast, AtMost, AtMostPlusProbes as Plus, None as Free};

use crate::rounds::Column;

/// A limit of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// A latency: so much plus this many disk probes.
    AtMostPlusProbes(f64, f64),
    /// Reported without a target.
    None,
}

impl Bound {
    /// The limit as a person reads it.
    pub(crate) fn text(self, probe_ms: f64) -> String {
        match self {
            Self::AtMost(limit) => format!("≤ {limit}"),
            Self::AtLeast(limit) => format!("≥ {limit}"),
            Self::AtMostPlusProbes(base, probes) => {
                format!("≤ {base} + {probes} × probe = {:.2}", base + probes * probe_ms)
            }
            Self::None => String::new(),
        }
    }

    /// Whether a value keeps it.
    pub(crate) fn holds(self, value: f64, probe_ms: f64) -> Option<bool> {
        match self {
            Self::AtMost(limit) => Some(value <= limit),
            Self::AtLeast(limit) => Some(value >= limit),
            Self::AtMostPlusProbes(base, probes) => Some(value <= base + probes * probe_ms),
            Self::None => None,
        }
    }
}

/// A figure: its name in results, its title and its limits.
pub(crate) struct Target {
    pub figure: &'static str,
    pub title: &'static str,
    embedded: Bound,
    cluster: Bound,
}

impl Target {
    pub(crate) fn bound(&self, column: Column) -> Bound {
        match column {
            Column::Embedded => self.embedded,
            Column::Cluster => self.cluster,
        }
    }
}

const fn target(figure: &'static str, title: &'static str, embedded: Bound, cluster: Bound) -> Target {
    Target {
        figure,
        title,
        embedded,
        cluster,
    }
}

/// All figures with a target, in the order of the table. Figures that are not listed follow without one.
#[rustfmt::skip]
pub(crate) const TARGETS: &[Target] = &[
    target("w1.c1.p50_ms", "W1 c=1, start to completion seen, p50 ms", Plus(0.6, 2.0), Plus(1.3, 3.0)),
    target("w1.c16.runs_per_s", "W1 c=16, runs/s", Free, Free),
    target("w1.c64.runs_per_s", "W1 c=64, runs/s", AtLeast(6000.0), AtLeast(2500.0)),
    target("w1.c64.p99_ms", "W1 c=64, p99 ms", AtMost(25.0), AtMost(50.0)),
    target("w1.c64.cpu_ms_per_run", "W1 c=64, CPU ms per run, all servers", AtMost(0.2), AtMost(0.6)),
    target("w1.c64.own_cpu_ms_per_run", "W1 c=64, CPU ms per run, our processes", Free, AtMost(0.25)),
    target("w1.c64.pss_mib", "memory under W1 c=64, our processes, MiB", AtMost(100.0), AtMost(120.0)),
    target("w2.c16.runs_per_s", "W2 c=16, runs/s of 20 steps", AtLeast(2500.0), AtLeast(1200.0)),
    target("w3.c1.p50_ms", "W3 resume c=1, p50 ms", Plus(1.0, 2.0), Plus(2.0, 3.0)),
    target("w3.burst.per_s", "W3 burst of 1,000 resumes, per s", AtLeast(3000.0), AtLeast(2000.0)),
    target("w4.page200.records_per_s", "W4 pages of 200, records/s", AtLeast(400_000.0), AtLeast(250_000.0)),
    target("w4.page1000.p50_ms", "W4 page of 1,000, p50 ms", AtMost(1.5), Free),
    target("w5.200.p50_ms", "W5 200 streams, commit to last, p50 ms", AtMost(3.0), AtMost(4.0)),
    target("w5.5000.p50_ms", "W5 5,000 streams, commit to last, p50 ms", AtMost(110.0), AtMost(110.0)),
    target("w5.5000.kib_per_stream", "memory per idle stream, KiB", AtMost(16.0), AtMost(16.0)),
    target("w6.10000.added_mib", "W6 10,000 waiting runs, added MiB per process", AtMost(10.0), AtMost(10.0)),
    target("w6.10000.idle_cpu_percent", "W6 idle CPU per process, %", AtMost(0.5), AtMost(0.5)),
    target("w6.10000.w1_cpu_ratio", "W6 W1 CPU per run beside them, ratio", AtMost(1.1), AtMost(1.1)),
    target("w6.1000000.added_mib", "W6 1,000,000 waiting runs, added MiB per process", AtMost(20.0), AtMost(20.0)),
    target("w6.1000000.idle_cpu_percent", "W6 1,000,000, idle CPU per process, %", AtMost(0.5), AtMost(0.5)),
    target("w6.1000000.w1_cpu_ratio", "W6 1,000,000, W1 CPU per run beside them, ratio", AtMost(1.1), AtMost(1.1)),
    target("w7.healthy_ms", "W7 cold start to healthy, ms", AtMost(50.0), AtMost(150.0)),
    target("w7.first_run_ms", "W7 cold start to first completed run, ms", AtMost(100.0), Free),
    target("w7.pss_mib", "W7 memory after start, MiB", AtMost(40.0), Free),
    target("w7.stored_runs", "W7 runs stored", Free, Free),
    target("w8.all_done_ms", "W8 kill -9 with 100 runs at timers, restarted: all complete after ms", AtMost(1300.0), AtMost(3000.0)),
    target("w8.repeated_per_run", "W8 repeated effects per run, most", AtMost(1.0), AtMost(1.0)),
    target("w8.calls.all_done_ms", "W8 kill -9 with 100 runs in model calls, restarted: all complete after ms", Free, AtMost(3000.0)),
    target("w8.calls.repeated_per_run", "W8 the same, repeated effects per run, most", Free, AtMost(1.0)),
    target("w8.away.all_done_ms", "W8 the same, runner stays away (lease of 15 s): all complete after ms", Free, AtMost(17_000.0)),
    target("w8.away.repeated_per_run", "W8 the same, repeated effects per run, most", Free, AtMost(1.0)),
    target("w9.c1.added_ms", "W9 20 steps c=1, added ms per step", Plus(0.4, 1.0), Plus(0.7, 1.0)),
    target("w9.c64.steps_per_s", "W9 20 steps c=64, steps/s", AtLeast(6000.0), AtLeast(4000.0)),
    target("w9.c64.cpu_ms_per_step", "W9 c=64, CPU ms per step, all servers", AtMost(0.2), AtMost(0.35)),
    target("tail.p99_ms", "tail at half of the peak, p99 ms", AtMost(10.0), AtMost(15.0)),
    target("tail.p999_ms", "tail at half of the peak, p99.9 ms", AtMost(30.0), AtMost(40.0)),
    target("calls.10000.kib_each", "10,000 model calls in flight, KiB each, our processes", AtMost(20.0), AtMost(20.0)),
    target("fsyncs.c1.per_run", "fsyncs per W1 run, c=1", AtMost(2.0), AtMost(3.0)),
    target("fsyncs.c64.per_run", "fsyncs per W1 run, c=64", AtMost(0.15), AtMost(0.15)),
    target("bytes.wal_kb_per_run", "WAL without page images, KB per W1 run", Free, AtMost(6.0)),
    target("bytes.stored_kb_per_run", "stored KB per W1 run", AtMost(8.0), AtMost(8.0)),
    target("growth.1000000.w1_cpu_ratio", "W1 CPU per run beside 1,000,000 stored runs, ratio", AtMost(1.1), AtMost(1.1)),
    target("queue.100000.cpu_ratio", "CPU per run from a queue of 100,000 against 20,000, ratio", Free, AtMost(1.1)),
    target("queue.1000000.cpu_ratio", "CPU per run from a queue of 1,000,000 against 20,000, ratio", Free, AtMost(1.1)),
    target("runners.4.of_linear", "four runners against one, part of linear", Free, AtLeast(0.85)),
    target("idle.statements_per_s", "idle statements per s and process", Free, AtMost(2.0)),
    target("degraded.no_nats.p50_ms", "no NATS: start to completion seen, p50 ms", Free, AtMost(250.0)),
    target("degraded.no_nats.completed", "no NATS: starts at half rate that complete", Free, AtLeast(1.0)),
    target("degraded.no_nats.drift", "no NATS: latency of the last quarter to the first", Free, AtMost(1.5)),
    target("degraded.no_redis.p50_ms", "no Redis: record to stream, p50 ms", Free, AtMost(600.0)),
    target("degraded.no_redis.completed", "no Redis: starts at half rate that complete", Free, AtLeast(1.0)),
    target("degraded.no_redis.drift", "no Redis: latency of the last quarter to the first", Free, AtMost(1.5)),
];
