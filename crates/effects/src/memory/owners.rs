//! Whose memory an effect means.

use ag_artifacts::session_memory_run_id;
use ag_store::OwnerRow;
use ag_types::{Object, RunId, Timestamp};
use serde_json::Value;

use crate::handler::{EffectCtx, Failure};

/// Ancestors that are walked to find the root of a tree; only protects against a damaged chain.
const MAX_DEPTH: usize = 1_024;
/// Owner ids are indexed; those that clients make up are bounded.
const MAX_OWNER_BYTES: usize = 512;

/// Owners of memory as this gateway names them.
#[derive(Debug, Clone)]
pub struct MemoryOwners {
    /// Id of the owner of global memory.
    pub global: String,
}

impl Default for MemoryOwners {
    fn default() -> Self {
        Self {
            global: "global_memory".to_owned(),
        }
    }
}

/// One scope of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Run,
    Session,
    Global,
}

impl Scope {
    pub(super) const ALL: [Self; 3] = [Self::Run, Self::Session, Self::Global];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Session => "session",
            Self::Global => "global",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// An owner, with the row that makes it known to readers of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) id: String,
    /// Absent for runs, which have rows of their own.
    pub(super) row: Option<OwnerRow>,
}

/// The run whose memory is meant: the executing one, or `target_run_id`.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) run_id: String,
    pub(super) session_id: Option<String>,
    pub(super) parent: Option<RunId>,
    /// Another run than the executing one.
    pub(super) foreign: bool,
    /// It will never apply mail again.
    pub(super) ended: bool,
}

impl Subject {
    fn own(ctx: &EffectCtx<'_>) -> Self {
        let head = &ctx.run.head;
        Self {
            run_id: head.run_id.to_string(),
            session_id: head.session_id.as_deref().map(str::to_owned),
            parent: head.parent_run_id,
            foreign: false,
            ended: false,
        }
    }

    /// Of a payload.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn of(ctx: &EffectCtx<'_>, payload: &Object) -> Result<Self, Failure> {
        let target = payload.get("target_run_id").and_then(ag_pyvalue::opt_str);
        let Some(target) = target.filter(|id| *id != ctx.run.head.run_id.to_string()) else {
            return Ok(Self::own(ctx));
        };
        let unknown = || format!("Unknown target_run_id: {target}");
        let failed = |error| Failure::of_store(error, "Memory of the target is not readable");
        if let Ok(id) = target.parse::<RunId>() {
            let row = ctx.store.run(ctx.scope, id).await.map_err(failed)?;
            let row = row.ok_or_else(unknown)?;
            return Ok(Self {
                run_id: target.clone(),
                session_id: row.head.session_id.as_deref().map(str::to_owned),
                parent: row.head.parent_run_id,
                foreign: true,
                ended: row.columns.status.is_terminal(),
            });
        }
        if target.contains('\0') {
            return Err(unknown().into());
        }
        let row = ctx.store.owner(ctx.scope, &target).await.map_err(failed)?;
        let row = row.ok_or_else(unknown)?;
        Ok(Self {
            run_id: row.owner_id,
            session_id: row.session_id,
            parent: None,
            foreign: true,
            ended: true,
        })
    }
}

impl MemoryOwners {
    /// The owner of a scope, seen from a run.
    pub(super) async fn owner(
        &self,
        ctx: &EffectCtx<'_>,
        subject: &Subject,
        scope: Scope,
    ) -> Result<Owner, Failure> {
        let named = |id: String, session_id: Option<String>| Owner {
            row: Some(owner_row(&id, session_id, ctx.clock.now())),
            id,
        };
        Ok(match scope {
            Scope::Run => Owner {
                id: subject.run_id.clone(),
                row: None,
            },
            Scope::Global => named(self.global.clone(), None),
            Scope::Session => match subject.session_id.as_deref().filter(|id| !id.trim().is_empty()) {
                Some(session) => named(session_memory_run_id(session), Some(session.to_owned())),
                None => Owner {
                    id: root(ctx, subject).await?,
                    row: None,
                },
            },
        })
    }

    /// The owners of `all`, in the order of the answer.
    pub(super) async fn all(&self, ctx: &EffectCtx<'_>, subject: &Subject) -> Result<Vec<Owner>, Failure> {
        let mut owners = Vec::with_capacity(3);
        for scope in Scope::ALL {
            owners.push(self.owner(ctx, subject, scope).await?);
        }
        Ok(owners)
    }
}

/// The top of a run tree.
async fn root(ctx: &EffectCtx<'_>, subject: &Subject) -> Result<String, Failure> {
    let (mut id, mut parent) = (subject.run_id.clone(), subject.parent);
    for _ in 0..MAX_DEPTH {
        let Some(above) = parent else { break };
        let row = ctx.store.run(ctx.scope, above).await?;
        id = above.to_string();
        parent = row.and_then(|row| row.head.parent_run_id);
    }
    Ok(id)
}

/// The owner of a session's memory.
pub fn session_owner(session_id: &str, now: Timestamp) -> OwnerRow {
    owner_row(
        &session_memory_run_id(session_id),
        Some(session_id.to_owned()),
        now,
    )
}

fn owner_row(id: &str, session_id: Option<String>, now: Timestamp) -> OwnerRow {
    OwnerRow {
        owner_id: id.to_owned(),
        session_id,
        created_at: now,
        updated_at: now,
    }
}

/// The scope that a payload names, lower case; `run` where it names none.
pub(super) fn scope_text(payload: &Object) -> String {
    let scope = payload.get("scope").and_then(ag_pyvalue::opt_str);
    scope.map_or_else(|| "run".to_owned(), |scope| scope.to_lowercase())
}

/// An owner that a payload names itself.
///
/// # Errors
/// The text of the failed effect.
pub(super) fn named_owner(payload: &Object) -> Result<Option<String>, String> {
    match payload.get("owner_id").and_then(ag_pyvalue::opt_str) {
        Some(id) if id.len() > MAX_OWNER_BYTES || id.contains('\0') => {
            Err("owner_id is not usable".to_owned())
        }
        owner => Ok(owner),
    }
}

/// A flag of a payload.
pub(super) fn flag(payload: &Object, key: &str) -> Option<bool> {
    payload
        .get(key)
        .filter(|value| !value.is_null())
        .map(|value| ag_pyvalue::coerce_bool(value).unwrap_or(false))
}

/// A text of a payload.
pub(super) fn text(payload: &Object, key: &str) -> Option<String> {
    payload.get(key).and_then(ag_pyvalue::opt_str)
}

/// A whole number of a payload.
pub(super) fn integer(payload: &Object, key: &str) -> Option<i64> {
    payload
        .get(key)
        .filter(|value| !value.is_boolean())
        .and_then(ag_pyvalue::opt_int)
}

/// The texts of a list, or a single text.
pub(super) fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(ag_pyvalue::opt_str).collect(),
        other => other.and_then(ag_pyvalue::opt_str).into_iter().collect(),
    }
}
