//! The workloads, one file per kind.

mod calls;
mod closed;
mod cold;
mod cost;
mod crash;
mod degraded;
mod fanout;
mod growth;
mod kernel;
mod open;
mod outside;
mod replay;
mod resume;
mod tail;
mod waiting;

use std::{future::Future, pin::Pin};

use anyhow::{Context as _, Result, bail};

use crate::{
    cli::Options,
    report::{self, Run},
    rounds::{Column, Scenario},
};

type Running<'a> = Pin<Box<dyn Future<Output = Result<Option<Scenario>>> + 'a>>;

struct Entry {
    name: &'static str,
    /// The form of the gateway in which it makes sense; nothing means both.
    only: &'static [Column],
    about: &'static str,
    run: for<'a> fn(&'a Options) -> Running<'a>,
}

impl Entry {
    fn fits(&self, column: Column) -> bool {
        self.only.is_empty() || self.only.contains(&column)
    }
}

macro_rules! entry {
    ($name:literal, $about:literal, $run:path $(, $only:ident)?) => {
        Entry {
            name: $name,
            only: &[$(Column::$only)?],
            about: $about,
            run: |options| Box::pin($run(options)),
        }
    };
}

const SCENARIOS: &[Entry] = &[
    entry!(
        "w1",
        "3 steps, start to completion seen, closed loop of 1, 16 and 64",
        closed::w1
    ),
    entry!("w2", "20 steps, closed loop of 16", closed::w2),
    entry!(
        "w3",
        "parked on a question, then resumed: closed loop and a burst of 1,000",
        resume::w3
    ),
    entry!("w4", "replay of a ledger of 1,002 records", replay::w4),
    entry!(
        "w5",
        "N streams on one run, commit to last subscriber",
        fanout::w5
    ),
    entry!(
        "w6",
        "many waiting runs: memory, idle CPU, W1 beside them",
        waiting::w6
    ),
    entry!("w7", "cold start with stored runs", cold::w7),
    entry!("w8", "100 runs in flight, kill -9, restart", crash::w8),
    entry!("w9", "3 and 20 model calls of 1 ms", outside::w9),
    entry!(
        "tail",
        "open loop at half of the peak, beside streams and readers",
        tail::tail
    ),
    entry!(
        "calls",
        "many model calls in flight: memory of each",
        calls::calls
    ),
    entry!("bytes", "growth of the database per W1 run", cost::bytes),
    entry!("fsyncs", "fsyncs per W1 run", cost::fsyncs),
    entry!(
        "idle",
        "statements of nodes with nothing to do",
        cost::idle,
        Cluster
    ),
    entry!(
        "degraded",
        "without NATS, without Redis: wake-ups, streams, open loop",
        degraded::degraded,
        Cluster
    ),
    entry!("growth", "W1 beside many stored runs", growth::growth),
    entry!(
        "queue",
        "one runner works off a long queue",
        growth::queue,
        Cluster
    ),
    entry!(
        "statements",
        "prints what W1 asks of Postgres, measures nothing",
        cost::statements,
        Cluster
    ),
    entry!("runners", "one runner and four", growth::runners, Cluster),
    entry!(
        "kernel",
        "compiler and step machine without HTTP, if built",
        kernel::kernel,
        Embedded
    ),
];

/// Runs what was asked for.
///
/// # Errors
/// A scenario fails; what was measured before is stored.
pub(crate) async fn run(options: Options) -> Result<()> {
    if options.list {
        for entry in SCENARIOS {
            let only = match entry.only {
                [] => "",
                [Column::Embedded, ..] => " (embedded only)",
                [Column::Cluster, ..] => " (--cluster only)",
            };
            report::say(&format!("{:8} {}{only}", entry.name, entry.about));
        }
        return Ok(());
    }
    if options.table {
        return report::write_table(&options.results);
    }
    let column = options.column();
    if let Some(unknown) = options.scenarios.iter().find(|name| {
        !SCENARIOS
            .iter()
            .any(|entry| entry.name == **name && entry.fits(column))
    }) {
        bail!("no scenario {unknown} for this form of the gateway; see --list");
    }
    let mut done = Vec::new();
    let mut failed = Vec::new();
    for entry in SCENARIOS {
        if !entry.fits(column) {
            continue;
        }
        if !options.scenarios.is_empty() && !options.scenarios.iter().any(|name| name == entry.name) {
            continue;
        }
        match (entry.run)(&options)
            .await
            .with_context(|| format!("scenario {}", entry.name))
        {
            Ok(scenario) => done.extend(scenario.map(|scenario| Scenario { column, ..scenario })),
            Err(error) => {
                report::progress(&format!("{error:#}"));
                failed.push(entry.name);
            }
        }
    }
    if !done.is_empty() {
        let path = Run::new(&options, done).store(&options.results)?;
        report::write_table(&options.results)?;
        report::say(&format!("{}", path.display()));
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(" "));
    }
    Ok(())
}
