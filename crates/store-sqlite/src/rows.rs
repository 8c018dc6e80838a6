//! Rows to values of the ports.

use std::sync::Arc;

use ag_store::{ArtifactRow, Counters, Result, RunColumns, StoreError};
use ag_types::{PlaneId, RunHead, RunId, RunKey, RunStatus, Timestamp, WaitReason};
use rusqlite::{
    Row,
    types::{FromSqlResult, ValueRef},
};
use uuid::Uuid;

use crate::error::corrupt;

/// Reads the columns of a row from left to right.
pub(crate) struct Cursor<'r> {
    row: &'r Row<'r>,
    at: usize,
}

impl<'r> Cursor<'r> {
    pub(crate) fn new(row: &'r Row<'r>) -> Self {
        Self { row, at: 0 }
    }

    fn next(&mut self) -> Result<ValueRef<'r>> {
        let value = self.row.get_ref(self.at).map_err(|error| corrupt("row", error));
        self.at += 1;
        value
    }

    /// The next column, or `None` for null.
    fn opt<T>(&mut self, decode: impl FnOnce(ValueRef<'r>) -> FromSqlResult<T>) -> Result<Option<T>> {
        match self.next()? {
            ValueRef::Null => Ok(None),
            value => decode(value).map(Some).map_err(|error| corrupt("column", error)),
        }
    }

    fn some<T>(&mut self, decode: impl FnOnce(ValueRef<'r>) -> FromSqlResult<T>) -> Result<T> {
        decode(self.next()?).map_err(|error| corrupt("column", error))
    }

    pub(crate) fn int(&mut self) -> Result<i64> {
        self.some(|value| value.as_i64())
    }
    pub(crate) fn opt_int(&mut self) -> Result<Option<i64>> {
        self.opt(|value| value.as_i64())
    }
    pub(crate) fn int32(&mut self) -> Result<i32> {
        let value = self.int()?;
        i32::try_from(value).map_err(|error| corrupt("number", error))
    }
    pub(crate) fn flag(&mut self) -> Result<bool> {
        Ok(self.int()? != 0)
    }
    pub(crate) fn text(&mut self) -> Result<&'r str> {
        self.some(|value| value.as_str())
    }
    pub(crate) fn opt_text(&mut self) -> Result<Option<&'r str>> {
        self.opt(|value| value.as_str())
    }
    pub(crate) fn string(&mut self) -> Result<String> {
        self.text().map(str::to_owned)
    }
    pub(crate) fn opt_string(&mut self) -> Result<Option<String>> {
        Ok(self.opt_text()?.map(str::to_owned))
    }
    pub(crate) fn shared(&mut self) -> Result<Arc<str>> {
        self.text().map(Arc::from)
    }
    pub(crate) fn opt_shared(&mut self) -> Result<Option<Arc<str>>> {
        Ok(self.opt_text()?.map(Arc::from))
    }
    pub(crate) fn bytes(&mut self) -> Result<&'r [u8]> {
        self.some(|value| value.as_blob())
    }
    pub(crate) fn time(&mut self) -> Result<Timestamp> {
        self.int().map(Timestamp::from_micros)
    }
    pub(crate) fn opt_time(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.opt_int()?.map(Timestamp::from_micros))
    }
    pub(crate) fn run_id(&mut self) -> Result<RunId> {
        run_id(self.bytes()?)
    }
    pub(crate) fn opt_run_id(&mut self) -> Result<Option<RunId>> {
        self.opt(|value| value.as_blob())?.map(run_id).transpose()
    }
    pub(crate) fn plane(&mut self) -> Result<PlaneId> {
        self.int32().map(PlaneId)
    }
    pub(crate) fn key(&mut self) -> Result<RunKey> {
        Ok(RunKey {
            run: self.run_id()?,
            plane: self.plane()?,
        })
    }
    pub(crate) fn status(&mut self) -> Result<RunStatus> {
        let text = self.text()?;
        RunStatus::parse(text).ok_or_else(|| corrupt("run status", text))
    }
    pub(crate) fn wait_reason(&mut self) -> Result<Option<WaitReason>> {
        let parse = |text| WaitReason::parse(text).ok_or_else(|| corrupt("wait reason", text));
        self.opt_text()?.map(parse).transpose()
    }
}

fn run_id(bytes: &[u8]) -> Result<RunId> {
    Uuid::from_slice(bytes)
        .map(RunId)
        .map_err(|error| corrupt("run id", error))
}

/// Columns of [`run_head`].
pub(crate) const HEAD_COLUMNS: &str =
    "r.run_id, r.workflow_id, r.actor_id, r.session_id, r.parent_run_id, r.created_at";

/// Identity of a run.
pub(crate) fn run_head(cursor: &mut Cursor<'_>) -> Result<RunHead> {
    Ok(RunHead {
        run_id: cursor.run_id()?,
        workflow_id: cursor.shared()?,
        actor_id: cursor.opt_shared()?,
        session_id: cursor.opt_shared()?,
        parent_run_id: cursor.opt_run_id()?,
        created_at: cursor.time()?,
    })
}

/// Columns of [`run_columns`]; the state comes last.
pub(crate) const STATE_COLUMNS: &str = "r.status, r.current_node, r.wait_reason, r.wait_key, r.wait_until, r.paused, \
     r.error, r.lifecycle, r.steps, r.llm_calls, r.tool_calls, r.tokens_total, r.updated_at, \
     r.wait, r.vars, r.meta, r.output";

/// State of a run.
pub(crate) fn run_columns(cursor: &mut Cursor<'_>) -> Result<RunColumns> {
    Ok(RunColumns {
        status: cursor.status()?,
        current_node: cursor.string()?,
        wait_reason: cursor.wait_reason()?,
        wait_key: cursor.opt_string()?,
        wait_until: cursor.opt_time()?,
        paused: cursor.flag()?,
        error: cursor.opt_string()?,
        lifecycle: cursor.opt_shared()?,
        counters: counters(cursor)?,
        updated_at: cursor.time()?,
        wait: cursor.opt_shared()?,
        vars: cursor.shared()?,
        meta: cursor.shared()?,
        output: cursor.opt_shared()?,
    })
}

/// Four sums.
pub(crate) fn counters(cursor: &mut Cursor<'_>) -> Result<Counters> {
    Ok(Counters {
        steps: cursor.int32()?,
        llm_calls: cursor.int32()?,
        tool_calls: cursor.int32()?,
        tokens_total: cursor.int()?,
    })
}

/// Columns of [`artifact`].
pub(crate) const ARTIFACT_COLUMNS: &str = "artifact_id, run_id, blob_id, content_type, size_bytes, created_at, \
     semantic_kind, render_kind, modality, session_id, meta";

/// An artifact.
pub(crate) fn artifact(cursor: &mut Cursor<'_>) -> Result<ArtifactRow> {
    Ok(ArtifactRow {
        artifact_id: cursor.string()?,
        run_id: cursor.opt_string()?,
        blob_id: cursor.string()?,
        content_type: cursor.string()?,
        size_bytes: cursor.int()?,
        created_at: cursor.time()?,
        semantic_kind: cursor.string()?,
        render_kind: cursor.string()?,
        modality: cursor.string()?,
        session_id: cursor.opt_string()?,
        meta: cursor.shared()?,
    })
}

/// An `i64` that must fit the port's `i16`.
pub(crate) fn small(value: i64) -> Result<i16, StoreError> {
    i16::try_from(value).map_err(|error| corrupt("crash count", error))
}
