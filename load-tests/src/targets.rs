//! The figures aimed for, embedded mode, on the two-core reference machine.

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

/// A figure: its name in results, its title and its limit.
pub(crate) struct Target {
    pub figure: &'static str,
    pub title: &'static str,
    pub bound: Bound,
}

const fn target(figure: &'static str, title: &'static str, bound: Bound) -> Target {
    Target { figure, title, bound }
}

/// All figures with a target, in the order of the table. Figures that are not listed follow without one.
pub(crate) const TARGETS: &[Target] = &[
    target(
        "w1.c1.p50_ms",
        "W1 c=1, start to completion seen, p50 ms",
        Bound::AtMostPlusProbes(0.6, 2.0),
    ),
    target("w1.c16.runs_per_s", "W1 c=16, runs/s", Bound::None),
    target("w1.c64.runs_per_s", "W1 c=64, runs/s", Bound::AtLeast(6000.0)),
    target("w1.c64.p99_ms", "W1 c=64, p99 ms", Bound::AtMost(25.0)),
    target(
        "w1.c64.cpu_ms_per_run",
        "W1 c=64, server CPU ms per run",
        Bound::AtMost(0.2),
    ),
    target(
        "w1.c64.pss_mib",
        "memory under W1 c=64, MiB",
        Bound::AtMost(100.0),
    ),
    target(
        "w2.c16.runs_per_s",
        "W2 c=16, runs/s of 20 steps",
        Bound::AtLeast(2500.0),
    ),
    target(
        "w3.c1.p50_ms",
        "W3 resume c=1, p50 ms",
        Bound::AtMostPlusProbes(1.0, 2.0),
    ),
    target(
        "w3.burst.per_s",
        "W3 burst of 1,000 resumes, per s",
        Bound::AtLeast(3000.0),
    ),
    target(
        "w4.page200.records_per_s",
        "W4 pages of 200, records/s",
        Bound::AtLeast(400_000.0),
    ),
    target(
        "w4.page1000.p50_ms",
        "W4 page of 1,000, p50 ms",
        Bound::AtMost(1.5),
    ),
    target(
        "w5.200.p50_ms",
        "W5 200 streams, commit to last, p50 ms",
        Bound::AtMost(3.0),
    ),
    target(
        "w5.5000.p50_ms",
        "W5 5,000 streams, commit to last, p50 ms",
        Bound::AtMost(110.0),
    ),
    target(
        "w5.5000.kib_per_stream",
        "memory per idle stream, KiB",
        Bound::AtMost(16.0),
    ),
    target(
        "w6.10000.added_mib",
        "W6 10,000 waiting runs, added MiB",
        Bound::AtMost(10.0),
    ),
    target("w6.10000.idle_cpu_percent", "W6 idle CPU, %", Bound::AtMost(0.5)),
    target(
        "w6.10000.w1_cpu_ratio",
        "W6 W1 CPU per run beside them, ratio",
        Bound::AtMost(1.1),
    ),
    target(
        "w7.healthy_ms",
        "W7 cold start to healthy, ms",
        Bound::AtMost(50.0),
    ),
    target(
        "w7.first_run_ms",
        "W7 cold start to first completed run, ms",
        Bound::AtMost(100.0),
    ),
    target("w7.pss_mib", "W7 memory after start, MiB", Bound::AtMost(40.0)),
    target(
        "w8.all_done_ms",
        "W8 kill -9 with 100 runs, all complete after ms",
        Bound::AtMost(1300.0),
    ),
    target(
        "w8.repeated_per_run",
        "W8 repeated effects per run, most",
        Bound::AtMost(1.0),
    ),
    target(
        "w9.c1.added_ms",
        "W9 20 steps c=1, added ms per step",
        Bound::AtMostPlusProbes(0.4, 1.0),
    ),
    target(
        "w9.c64.steps_per_s",
        "W9 20 steps c=64, steps/s",
        Bound::AtLeast(6000.0),
    ),
    target(
        "w9.c64.cpu_ms_per_step",
        "W9 c=64, server CPU ms per step",
        Bound::AtMost(0.2),
    ),
    target("fsyncs.c1.per_run", "fsyncs per W1 run, c=1", Bound::AtMost(2.0)),
    target(
        "fsyncs.c64.per_run",
        "fsyncs per W1 run, c=64",
        Bound::AtMost(0.15),
    ),
    target(
        "bytes.stored_kb_per_run",
        "stored KB per W1 run",
        Bound::AtMost(8.0),
    ),
];
