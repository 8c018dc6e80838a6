//! A real cluster under the faults of the matrix: API nodes, runners, Postgres, NATS and Redis as processes on this
//! machine, a fault proxy between each node and each server.
//!
//! Two kinds of scenarios share a [`Field`] each:
//!
//! - [`faults`]: many runs and readers, and something that breaks meanwhile; a checker decides afterwards whether
//!   anything was lost, doubled or stranded;
//! - [`clocks`]: the same, and wall clocks are wrong;
//! - [`points`]: the same, and what breaks are nodes at named points of their code;
//! - [`handover`], [`commands`], [`trees`], [`poison`]: few runs, whose holders and calls are known, and a bound on time;
//! - [`drains`]: processes that leave, and their successors;
//! - [`versions`]: what becomes of runs when bundles and node types change;
//! - [`wakes`], [`streams`], [`crowds`], [`fairness`]: many runs or readers of one kind;
//! - [`full`], [`snapshot`]: a database without room, and one that cannot clean up.
//!
//! Every scenario prints one JSON line ([`crate::report`]).

pub mod clocks;
pub mod commands;
pub mod crowds;
pub mod drains;
pub mod fairness;
pub mod faults;
mod field;
pub mod full;
pub mod handover;
mod nest;
pub mod points;
pub mod poison;
mod rest;
pub mod snapshot;
mod storm;
pub mod streams;
pub mod trees;
pub mod versions;
pub mod wakes;

pub use field::Field;
use storm::Storm;

use std::time::Duration;

use crate::report::{Report, seconds};

/// Everything that can go on does so within this time after the last fault is over.
pub const RECOVERY: Duration = Duration::from_secs(20);

/// Scenarios whose findings are judged at the end, so that one failure does not hide the next.
#[derive(Debug, Default)]
pub struct Verdicts {
    failed: Vec<String>,
}

impl Verdicts {
    /// Takes a scenario's result.
    pub fn add(&mut self, name: &str, report: anyhow::Result<Report>) {
        match report {
            Ok(report) if report.pass() || report.skipped().is_some() => {}
            Ok(_) => self.failed.push(format!("{name}: see its line")),
            Err(error) => self.failed.push(format!("{name}: {error:#}")),
        }
    }

    /// # Errors
    /// Any scenario failed.
    pub fn judge(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.failed.is_empty(), "{}", self.failed.join("\n"));
        Ok(())
    }
}
