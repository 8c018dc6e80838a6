//! Results: one JSON file per call, and a table of the newest figures of each scenario.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    cli::Options,
    rounds::{Column, Scenario},
    stats,
    targets::{Bound, TARGETS},
};

/// One call of the program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub at: String,
    pub commit: Option<String>,
    pub machine: String,
    pub settings: String,
    pub scenarios: Vec<Scenario>,
}

impl Run {
    pub(crate) fn new(options: &Options, scenarios: Vec<Scenario>) -> Self {
        Self {
            at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            commit: commit(),
            machine: machine(),
            settings: format!(
                "{} build, {} rounds of {} s{}",
                build(options),
                options.rounds,
                options.seconds,
                match options.cluster {
                    true => format!(", {} API, {} runner", options.api, options.runners),
                    false => String::new(),
                }
            ),
            scenarios,
        }
    }

    /// Stores the run; returns the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn store(&self, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let name = self.at.replace([':', '-'], "");
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// Writes the table of all stored runs.
///
/// # Errors
/// A result cannot be read or the table not written.
pub(crate) fn write_table(folder: &Path) -> Result<()> {
    let mut paths: Vec<_> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    // Names begin with the time: the newest of each scenario wins.
    let mut newest: BTreeMap<(Column, String), (Run, Scenario)> = BTreeMap::new();
    for path in paths {
        let text = fs::read_to_string(&path)?;
        let run: Run = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        for scenario in &run.scenarios {
            let key = (scenario.column, scenario.name.clone());
            newest.insert(key, (run.clone(), scenario.clone()));
        }
    }
    fs::write(folder.join("README.md"), table(&newest))?;
    Ok(())
}

/// Fewer valid rounds than this say little.
const ENOUGH: usize = 3;

struct Figure {
    values: Vec<f64>,
    unknown: bool,
    probe_ms: f64,
    rounds: String,
    generator: f64,
    scenario: String,
}

fn table(newest: &BTreeMap<(Column, String), (Run, Scenario)>) -> String {
    let mut text = String::from(
        "# Load test results\n\nWritten by `ag-load-tests`; do not edit. Median (lowest–highest) of the valid rounds; \
         `probe` is the median time of one `fdatasync` in them. Load generator and servers share the machine.\n",
    );
    for (column, title) in [
        (Column::Embedded, "Embedded: one process with SQLite"),
        (
            Column::Cluster,
            "Cluster: Postgres, NATS, Redis, API nodes and runners on the same machine",
        ),
    ] {
        let of_column = newest.iter().filter(|((of, _), _)| *of == column);
        let found: Vec<_> = of_column.map(|(_, found)| found).collect();
        if !found.is_empty() {
            let _ = write!(text, "\n## {title}\n\n");
            section(&mut text, column, &found);
        }
    }
    text
}

fn section(text: &mut String, column: Column, found: &[&(Run, Scenario)]) {
    let mut figures = BTreeMap::new();
    for (_, scenario) in found {
        collect(scenario, &mut figures);
    }
    text.push_str(
        "| figure | measured | target | | probe ms | rounds | generator cores |\n\
         | --- | ---: | ---: | --- | ---: | ---: | ---: |\n",
    );
    for target in TARGETS {
        if let Some(figure) = figures.remove(target.figure) {
            row(text, target.title, &figure, target.bound(column));
        }
    }
    for (name, figure) in &figures {
        row(text, &format!("`{name}`"), figure, Bound::None);
    }
    text.push_str(
        "\n| scenario | measured at | commit | settings | machine |\n| --- | --- | --- | --- | --- |\n",
    );
    for (run, scenario) in found {
        let commit = run.commit.as_deref().unwrap_or("–");
        let _ = writeln!(
            text,
            "| {} | {} | {commit} | {} | {} |",
            scenario.name, run.at, run.settings, run.machine
        );
    }
}

fn collect(scenario: &Scenario, figures: &mut BTreeMap<String, Figure>) {
    let valid = scenario.valid();
    let cores: Vec<_> = valid.iter().map(|round| round.generator_cores).collect();
    let names = valid.iter().flat_map(|round| round.values.keys());
    for name in names.collect::<std::collections::BTreeSet<_>>() {
        let found: Vec<_> = valid.iter().filter_map(|round| round.values.get(name)).collect();
        figures.insert(
            name.clone(),
            Figure {
                values: found.iter().filter_map(|value| **value).collect(),
                unknown: found.iter().all(|value| value.is_none()),
                probe_ms: scenario.probe_ms(),
                rounds: format!("{}/{}", valid.len(), scenario.rounds.len()),
                generator: stats::median(&cores),
                scenario: scenario.name.clone(),
            },
        );
    }
}

fn row(text: &mut String, title: &str, figure: &Figure, bound: Bound) {
    let value = stats::median(&figure.values);
    let (low, high) = figure
        .values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
            (low.min(value), high.max(value))
        });
    let measured = if figure.unknown {
        "not measurable".to_owned()
    } else {
        format!("{} ({}–{})", number(value), number(low), number(high))
    };
    let mark = match bound.holds(value, figure.probe_ms) {
        _ if figure.unknown => "",
        Some(_) if figure.values.len() < ENOUGH => "too few rounds",
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "",
    };
    let _ = writeln!(
        text,
        "| {title} | {measured} | {} | {mark} | {:.2} | {} {} | {:.2} |",
        bound.text(figure.probe_ms),
        figure.probe_ms,
        figure.scenario,
        figure.rounds,
        figure.generator
    );
}

/// Three significant digits, whole numbers from a hundred on.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        large if large >= 10.0 => format!("{value:.1}"),
        large if large >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Says how far the program is.
#[expect(clippy::print_stderr, reason = "progress of a program for a terminal")]
pub(crate) fn progress(text: &str) {
    eprintln!("{text}");
}

/// Says something on standard output.
#[expect(clippy::print_stdout, reason = "the answer of a program for a terminal")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

fn commit() -> Option<String> {
    let output = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    Some(text).filter(|text| output.status.success() && !text.is_empty())
}

/// Name of the folder of the binary: `release` or `debug` where cargo built it.
fn build(options: &Options) -> String {
    let folder = options
        .binary
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default();
    folder.to_string_lossy().into_owned()
}

/// Processor, number of cores and kernel.
fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}
