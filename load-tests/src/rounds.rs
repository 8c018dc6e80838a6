//! Rounds: the same measurement several times, each with a look at the machine.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{probe::Probe, process, stats};

/// Named numbers of one round; `None` where the machine does not tell.
pub(crate) type Values = BTreeMap<String, Option<f64>>;

/// One round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Mean of the looks before and after.
    pub probe: Probe,
    /// CPU of the generator in the round, in cores.
    pub generator_cores: f64,
    /// What was measured.
    pub values: Values,
}

/// Form of the gateway that was measured, a column of the targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Column {
    /// One process with SQLite.
    #[default]
    Embedded,
    /// Postgres, NATS, Redis, API nodes and runners, all on one machine.
    Cluster,
}

/// All rounds of a scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Scenario {
    pub name: String,
    #[serde(default)]
    pub column: Column,
    pub rounds: Vec<Round>,
}

/// A probe this much slower than the best says that the machine was busy with something else.
const TOLERATED: f64 = 1.5;

impl Scenario {
    /// Rounds that count: those whose disk probe was near the best one.
    pub(crate) fn valid(&self) -> Vec<&Round> {
        let probes = self.rounds.iter().map(|round| round.probe.sync_ms);
        let best = probes.fold(f64::INFINITY, f64::min);
        let near = |round: &&Round| round.probe.sync_ms <= best * TOLERATED;
        self.rounds.iter().filter(near).collect()
    }

    /// Median disk probe of the valid rounds.
    pub(crate) fn probe_ms(&self) -> f64 {
        let probes: Vec<_> = self.valid().iter().map(|round| round.probe.sync_ms).collect();
        stats::median(&probes)
    }
}

/// Runs a measurement `count` times.
///
/// # Errors
/// The measurement's own.
pub(crate) async fn repeat<S>(
    name: &str,
    count: usize,
    scratch: &Path,
    state: &mut S,
    mut measure: impl AsyncFnMut(&mut S) -> Result<Values>,
) -> Result<Scenario> {
    let mut rounds = Vec::new();
    for n in 1..=count {
        let before = Probe::take(scratch)?;
        let (cpu, began) = (process::own_cpu()?, std::time::Instant::now());
        let values = measure(state).await?;
        let cores = (process::own_cpu()? - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
        let probe = before.between(Probe::take(scratch)?);
        crate::report::progress(&format!(
            "{name} {n}/{count}: probe {:.2} ms, {values:?}",
            probe.sync_ms
        ));
        rounds.push(Round {
            probe,
            generator_cores: cores,
            values,
        });
    }
    Ok(Scenario {
        name: name.to_owned(),
        column: Column::default(),
        rounds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_rounds_do_not_count() {
        let round = |sync_ms| Round {
            probe: Probe { cpu_ms: 1.0, sync_ms },
            generator_cores: 0.1,
            values: Values::new(),
        };
        let scenario = Scenario {
            name: "x".to_owned(),
            column: Column::Embedded,
            rounds: [0.2, 0.29, 0.31, 4.0, 0.2].map(round).to_vec(),
        };
        assert_eq!(scenario.valid().len(), 3);
        assert_eq!(scenario.probe_ms(), 0.2);
    }
}
