//! What a run costs: wall time, processor time of the thread, resident memory of the process.

use std::time::{Duration, Instant};

use crate::{permissions::Permissions, port::ExecutionStats};

const MIB: f64 = 1024.0 * 1024.0;

/// A running measurement; started and finished on the thread that executes the code.
#[derive(Debug)]
pub(crate) struct Meter {
    started: Instant,
    cpu: Option<Duration>,
    resident: Option<u64>,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            cpu: thread_cpu_time(),
            resident: resident_bytes(),
        }
    }

    pub(crate) fn finish(&self, permissions: Permissions) -> ExecutionStats {
        let duration = self.started.elapsed();
        let cpu = match (self.cpu, thread_cpu_time()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => duration,
        };
        let resident = resident_bytes();
        let delta = match (self.resident, resident) {
            (Some(before), Some(after)) => (after as f64 - before as f64) / MIB,
            _ => 0.0,
        };
        let wall_ms = duration.as_secs_f64() * 1000.0;
        let cpu_ms = cpu.as_secs_f64() * 1000.0;
        ExecutionStats {
            duration_ms: wall_ms,
            cpu_time_ms: cpu_ms,
            cpu_percent: if wall_ms > 0.0 {
                cpu_ms / wall_ms * 100.0
            } else {
                0.0
            },
            memory_rss_mb: resident.unwrap_or(0) as f64 / MIB,
            memory_rss_delta_mb: delta,
            permissions: permissions.as_str().to_owned(),
        }
    }

    /// Figures for code that never ran, or whose thread cannot be asked.
    pub(crate) fn wall_only(duration: Duration, permissions: &str) -> ExecutionStats {
        ExecutionStats {
            duration_ms: duration.as_secs_f64() * 1000.0,
            cpu_time_ms: 0.0,
            cpu_percent: 0.0,
            memory_rss_mb: resident_bytes().unwrap_or(0) as f64 / MIB,
            memory_rss_delta_mb: 0.0,
            permissions: permissions.to_owned(),
        }
    }
}

#[cfg(unix)]
fn thread_cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(
        u64::try_from(time.tv_sec).ok()?,
        u32::try_from(time.tv_nsec).ok()?,
    ))
}

#[cfg(not(unix))]
fn thread_cpu_time() -> Option<Duration> {
    None
}

/// Second field of `statm`, in pages. Page size is read once from the auxiliary vector.
#[cfg(target_os = "linux")]
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(not(target_os = "linux"))]
fn resident_bytes() -> Option<u64> {
    None
}
