//! What an import found and did, for people.

use std::{collections::BTreeMap, fmt};

use ag_store::ImportCounts;

use crate::json::Repairs;

/// Lines of a kind that are printed; the rest is counted.
const SHOWN: usize = 20;

/// Found in the source, and stored in the target.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Planes, as `tenant/runtime`.
    pub planes: Vec<String>,
    /// Runs by status; waiting ones by reason.
    pub runs: BTreeMap<String, u64>,
    /// Ledger records; 0 if they were not read.
    pub records: u64,
    /// Ledgers, in [`Report::ledger_unit`].
    pub ledger_size: u64,
    /// `records` or `bytes`.
    pub ledger_unit: &'static str,
    /// Commands that had been applied.
    pub applied_commands: u64,
    /// Commands that had not.
    pub pending_commands: u64,
    /// Everything else, by name.
    pub others: BTreeMap<&'static str, u64>,
    /// What could not be kept as it was.
    pub repairs: Repairs,
    /// Runs that cannot be read, with reasons.
    pub unreadable: Vec<(String, String)>,
    /// Live runs whose workflow was not found.
    pub cannot_continue: Vec<(String, String)>,
    /// Anything else that somebody should know.
    pub warnings: Vec<String>,
    /// What is new in the target; `None` for a plan.
    pub stored: Option<Stored>,
}

/// What is new in the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// Rows.
    pub rows: ImportCounts,
    /// Records of the new runs.
    pub records: u64,
    /// Artifacts' bytes.
    pub blobs: u64,
    /// Bundles made known.
    pub bundles: u64,
    /// Live runs that were set in motion.
    pub live: u64,
    /// Commands handed to runs.
    pub posted: u64,
    /// Workspaces copied.
    pub workspaces: u64,
}

impl Stored {
    /// True when a repeated import found nothing to do.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Report {
    pub(super) fn count(&mut self, name: &'static str, more: u64) {
        if more > 0 {
            *self.others.entry(name).or_default() += more;
        }
    }

    pub(super) fn warn(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, rows: &[(String, String)]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}:")?;
    for (name, reason) in rows.iter().take(SHOWN) {
        writeln!(f, "  {name}: {reason}")?;
    }
    if rows.len() > SHOWN {
        writeln!(f, "  … and {} more", rows.len() - SHOWN)?;
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "planes                      {}", self.planes.join(", "))?;
        writeln!(
            f,
            "runs                        {}",
            self.runs.values().sum::<u64>()
        )?;
        for (status, count) in &self.runs {
            writeln!(f, "  {status:<26}{count}")?;
        }
        match self.records {
            0 => writeln!(
                f,
                "ledgers                     {} {}",
                self.ledger_size, self.ledger_unit
            )?,
            records => writeln!(f, "ledger records              {records}")?,
        }
        writeln!(
            f,
            "commands                    {} applied, {} pending",
            self.applied_commands, self.pending_commands
        )?;
        for (name, count) in &self.others {
            writeln!(f, "{name:<28}{count}")?;
        }
        let Repairs {
            non_finite,
            big_integers,
            surrogates,
        } = self.repairs;
        for (count, what) in [
            (non_finite, "NaN or infinite numbers become null"),
            (big_integers, "integers beyond 64 bits become doubles"),
            (surrogates, "halves of surrogate pairs become U+FFFD"),
        ] {
            if count > 0 {
                writeln!(f, "{count} {what}")?;
            }
        }
        list(f, "cannot be read and are left out", &self.unreadable)?;
        list(f, "imported, but cannot continue", &self.cannot_continue)?;
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        if let Some(stored) = &self.stored {
            if stored.is_nothing() {
                return writeln!(f, "nothing was new: everything had been imported before");
            }
            let rows = stored.rows;
            writeln!(
                f,
                "stored: {} runs with {} records, {} commands, {} artifacts ({} blobs), {} documents, {} bundles, \
                {} memory owners with {} spans, {} statements, {} workspaces; {} live runs go on, {} commands were \
                handed over",
                rows.runs,
                stored.records,
                rows.commands,
                rows.artifacts,
                stored.blobs,
                rows.documents,
                stored.bundles,
                rows.owners,
                rows.spans,
                rows.statements,
                stored.workspaces,
                stored.live,
                stored.posted
            )?;
        }
        Ok(())
    }
}
