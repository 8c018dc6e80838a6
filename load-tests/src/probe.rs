//! What the machine could do while a round ran: a fixed piece of work for the CPU and one for the disk.

use std::{
    fs::File,
    hint::black_box,
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// One look at the machine.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Probe {
    /// A loop of fixed length.
    pub cpu_ms: f64,
    /// `fdatasync` of 600 bytes, median of several.
    pub sync_ms: f64,
}

const LOOP: u64 = 20_000_000;
const SYNCS: usize = 25;

impl Probe {
    /// Takes both measures; the file goes to `dir`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        let began = Instant::now();
        let mut state = 1_u64;
        for _ in 0..LOOP {
            state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
        let cpu = began.elapsed();

        let mut file = File::create(dir.join("probe"))?;
        let mut times = Vec::new();
        for _ in 0..SYNCS {
            let began = Instant::now();
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&[7; 600])?;
            file.sync_data()?;
            times.push(began.elapsed());
        }
        times.sort();
        Ok(Self {
            cpu_ms: ms(cpu),
            sync_ms: ms(times[SYNCS / 2]),
        })
    }

    /// The mean of the looks before and after a round.
    pub(crate) fn between(self, other: Self) -> Self {
        Self {
            cpu_ms: f64::midpoint(self.cpu_ms, other.cpu_ms),
            sync_ms: f64::midpoint(self.sync_ms, other.sync_ms),
        }
    }
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
