//! Progress of an import on standard error: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ag_importer::Progress;

/// Cells of the bar.
const WIDTH: u64 = 30;
/// Between two redraws of the bar, and between two lines.
const REDRAW: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Phase {
    name: String,
    unit: &'static str,
    total: u64,
    done: u64,
    since: Instant,
    shown: Instant,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    phase: Mutex<Option<Phase>>,
}

impl Terminal {
    fn with(&self, change: impl FnOnce(&mut Option<Phase>)) {
        change(&mut self.phase.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What is drawn for a phase.
fn text(phase: &Phase, bar: bool) -> String {
    let seconds = phase.since.elapsed().as_secs_f64().max(0.001);
    let rate = (phase.done as f64 / seconds) as u64;
    let (done, unit) = (phase.done, phase.unit);
    let mut text = format!("{:<12}", phase.name);
    if let Some(percent) = (done.min(phase.total) * 100).checked_div(phase.total) {
        if bar {
            let full = (percent * WIDTH / 100) as usize;
            let empty = WIDTH as usize - full;
            text.push_str(&format!(" [{}{}]", "#".repeat(full), ".".repeat(empty)));
        }
        text.push_str(&format!(" {percent:>3} %"));
    }
    text.push_str(&format!("  {done} {unit}, {rate}/s"));
    text
}

fn draw(phase: &Phase, ended: bool) {
    let mut out = std::io::stderr().lock();
    // Nobody is told when standard error is gone.
    let _ = if out.is_terminal() {
        let end = if ended { "\n" } else { "" };
        write!(out, "\r\x1b[K{}{end}", text(phase, true))
    } else {
        writeln!(out, "{}", text(phase, false))
    };
    let _ = out.flush();
}

impl Progress for Terminal {
    fn begin(&self, phase: &str, total: u64, unit: &'static str) {
        let now = Instant::now();
        self.with(|current| {
            *current = Some(Phase {
                name: phase.to_owned(),
                unit,
                total,
                done: 0,
                since: now,
                shown: now,
            });
        });
    }

    fn advance(&self, done: u64) {
        self.with(|current| {
            let Some(phase) = current else { return };
            phase.done = done;
            let pause = if std::io::stderr().is_terminal() {
                REDRAW
            } else {
                LINE
            };
            if phase.shown.elapsed() >= pause {
                phase.shown = Instant::now();
                draw(phase, false);
            }
        });
    }

    fn end(&self) {
        self.with(|current| {
            if let Some(mut phase) = current.take().filter(|phase| phase.done > 0) {
                phase.done = phase.done.max(phase.total);
                draw(&phase, true);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_follows_the_share_and_an_unknown_total_has_none() {
        let now = Instant::now();
        let mut phase = Phase {
            name: "ledgers".to_owned(),
            unit: "records",
            total: 200,
            done: 50,
            since: now,
            shown: now,
        };
        let drawn = text(&phase, true);
        assert!(
            drawn.contains("[#######.......................]") && drawn.contains("25 %"),
            "{drawn}"
        );
        phase.total = 0;
        assert!(!text(&phase, true).contains('%'));
        phase.total = 10;
        assert!(text(&phase, false).contains("100 %"));
    }
}
