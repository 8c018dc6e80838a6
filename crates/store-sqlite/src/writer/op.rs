//! What can be asked of the writer, and its answers.

use std::sync::Arc;

use ag_store::{
    ArtifactRow, Commit, CommitOutcome, Document, DocumentKind, ImportBatch, ImportCounts, ImportWake,
    NewCommand, NewRun, OwnerRow, PostOutcome, PutMode, PutOutcome, Result, Segment, Start, StartOutcome,
    Sweep, Woken,
};
use ag_types::{PlaneId, PlaneKey, RunId, RunKey, SessionId, TenantScope};
use tokio::sync::oneshot;

/// A queued write.
pub(crate) struct Job {
    pub op: Op,
    pub reply: oneshot::Sender<Result<Answer>>,
}

/// A write.
pub(crate) enum Op {
    Start {
        plane: PlaneId,
        start: Box<Start>,
    },
    Commit(Box<Commit>),
    Release {
        session: SessionId,
        key: RunKey,
        epoch: i64,
    },
    /// Held runs, with the epochs of their claims, whose drives begin.
    NoteDriven {
        session: SessionId,
        runs: Vec<(RunKey, i64)>,
    },
    Post {
        plane: PlaneId,
        command: Box<NewCommand>,
    },
    Sweep(Sweep),
    /// Runs whose cancel was overdue; judged once more when it is their turn.
    TakeOver(Vec<RunKey>),
    CloseSession {
        session: SessionId,
        clean: bool,
    },
    // From here on: rare, each in a transaction of its own.
    Append {
        plane: PlaneId,
        run: RunId,
        lines: Vec<String>,
    },
    Purge {
        plane: PlaneId,
        runs: Vec<RunId>,
    },
    Plane(PlaneKey),
    PutDocument {
        plane: PlaneId,
        kind: DocumentKind,
        document: Document,
        mode: PutMode,
    },
    ReplaceUnchanged {
        plane: PlaneId,
        kind: DocumentKind,
        read: String,
        document: Document,
    },
    DeleteDocument {
        plane: PlaneId,
        kind: DocumentKind,
        id: String,
    },
    PutArtifact {
        plane: PlaneId,
        row: Box<ArtifactRow>,
    },
    ArtifactMeta {
        plane: PlaneId,
        artifact_id: String,
        meta: String,
    },
    DeleteArtifacts {
        plane: PlaneId,
        run_ids: Vec<String>,
    },
    EnsureOwner {
        plane: PlaneId,
        owner: OwnerRow,
    },
    Import {
        plane: PlaneId,
        import: Import,
    },
    Close,
}

/// The steps of an import.
pub(crate) enum Import {
    Rows(Box<ImportBatch>),
    Heads(Vec<(RunId, Arc<str>)>),
    Wakes(Vec<ImportWake>),
    CommandSeq(i64),
}

/// Its result.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Started(StartOutcome),
    Committed(CommitOutcome),
    Posted(PostOutcome),
    Woken(Vec<Woken>),
    Appended(Option<i64>),
    Purged(u64, u64, u64),
    Plane(TenantScope),
    Put(PutOutcome),
    Changed(bool),
    Deleted(u64, Vec<String>),
    Owner(OwnerRow),
    Imported(ImportCounts),
    Counted(u64),
    Done,
}

impl Op {
    /// True for operations that run their own statements instead of taking part in a shared plan.
    pub(crate) const fn is_direct(&self) -> bool {
        !matches!(
            self,
            Self::Start { .. }
                | Self::Commit(_)
                | Self::Release { .. }
                | Self::NoteDriven { .. }
                | Self::Post { .. }
                | Self::Sweep(_)
                | Self::TakeOver(_)
                | Self::CloseSession { .. }
                | Self::Close
        )
    }

    /// Payload bytes, roughly.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Start { start, .. } => start.runs.iter().map(run_weight).sum(),
            Self::Commit(commit) => {
                columns_weight(&commit.columns)
                    + segments_weight(&commit.segments)
                    + commit.children.iter().map(run_weight).sum::<usize>()
                    + commit.mail.iter().map(|mail| mail.body.len()).sum::<usize>()
            }
            Self::Post { command, .. } => command.payload.len() * (1 + command.targets.len()),
            Self::PutDocument { document, .. } | Self::ReplaceUnchanged { document, .. } => {
                document.body.len()
            }
            Self::Import {
                import: Import::Rows(batch),
                ..
            } => {
                let ledgers = batch
                    .ledgers
                    .iter()
                    .map(|(_, segments)| segments_weight(segments));
                batch.runs.iter().map(run_weight).sum::<usize>() + ledgers.sum::<usize>()
            }
            Self::Append { lines, .. } => lines.iter().map(String::len).sum(),
            _ => 0,
        }
    }
}

fn run_weight(run: &NewRun) -> usize {
    columns_weight(&run.columns) + segments_weight(&run.segments)
}

fn columns_weight(columns: &ag_store::RunColumns) -> usize {
    let optional = [&columns.wait, &columns.output, &columns.lifecycle];
    columns.vars.len()
        + columns.meta.len()
        + optional
            .into_iter()
            .flatten()
            .map(|text| text.len())
            .sum::<usize>()
}

fn segments_weight(segments: &[Segment]) -> usize {
    segments.iter().map(|segment| segment.lines.len()).sum()
}
