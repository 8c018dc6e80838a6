//! Rows to values of the ports.

use std::sync::Arc;

use ag_store::{ArtifactRow, Counters, MailKind, Result, RunColumns};
use ag_types::{PlaneId, RunHead, RunId, RunKey, RunStatus, TenantScope, Timestamp, WaitReason};
use sqlx::{Decode, Encode, Postgres, QueryBuilder, Row as _, Type, postgres::PgRow};
use uuid::Uuid;

use crate::{arrays::Statement, error::corrupt, stamp::Stamp};

/// A tenant read: `$1` is the plane, which the statement sets for row-level security before it looks at any row, and
/// which the inner statement calls `s.plane`. `OFFSET 0` keeps the two apart; the order of the inner rows stays.
macro_rules! tenant {
    ($($inner:literal),+) => {
        concat!(
            "WITH s AS MATERIALIZED (SELECT set_config('gw.plane', $1::int::text, true)::int AS plane) \
             SELECT q.* FROM s CROSS JOIN LATERAL (",
            $($inner,)+
            " OFFSET 0) q"
        )
    };
}
pub(crate) use tenant;

/// The same for a statement that is put together.
pub(crate) struct TenantQuery(QueryBuilder<Postgres>);

impl TenantQuery {
    pub(crate) fn new(scope: &TenantScope, select: &'static str) -> Self {
        let mut query = QueryBuilder::new("WITH s AS MATERIALIZED (SELECT set_config('gw.plane', ");
        query
            .push_bind(scope.plane.0)
            .push("::int::text, true)::int AS plane) SELECT q.* FROM s CROSS JOIN LATERAL (")
            .push(select);
        Self(query)
    }

    pub(crate) fn push(&mut self, text: &'static str) -> &mut Self {
        self.0.push(text);
        self
    }

    pub(crate) fn bind<T>(&mut self, value: T) -> &mut Self
    where
        T: for<'q> Encode<'q, Postgres> + Type<Postgres>,
    {
        self.0.push_bind(value);
        self
    }

    pub(crate) fn build(&mut self) -> Statement<'_> {
        self.0.push(" OFFSET 0) q").build()
    }
}

/// Reads the columns of a row from left to right.
pub(crate) struct Cursor<'r> {
    row: &'r PgRow,
    at: usize,
}

impl<'r> Cursor<'r> {
    pub(crate) fn new(row: &'r PgRow) -> Self {
        Self { row, at: 0 }
    }

    /// The next column.
    pub(crate) fn next<T: Decode<'r, Postgres> + Type<Postgres>>(&mut self) -> Result<T> {
        let value = self.row.try_get(self.at).map_err(|error| corrupt("row", error));
        self.at += 1;
        value
    }

    pub(crate) fn long(&mut self) -> Result<i64> {
        self.next()
    }
    pub(crate) fn int(&mut self) -> Result<i32> {
        self.next()
    }
    pub(crate) fn flag(&mut self) -> Result<bool> {
        self.next()
    }
    pub(crate) fn text(&mut self) -> Result<&'r str> {
        self.next()
    }
    pub(crate) fn opt_text(&mut self) -> Result<Option<&'r str>> {
        self.next()
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
    pub(crate) fn time(&mut self) -> Result<Timestamp> {
        self.next::<Stamp>().map(|stamp| stamp.0)
    }
    pub(crate) fn opt_time(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.next::<Option<Stamp>>()?.map(|stamp| stamp.0))
    }
    pub(crate) fn run_id(&mut self) -> Result<RunId> {
        self.next::<Uuid>().map(RunId)
    }
    pub(crate) fn opt_run_id(&mut self) -> Result<Option<RunId>> {
        Ok(self.next::<Option<Uuid>>()?.map(RunId))
    }
    pub(crate) fn plane(&mut self) -> Result<PlaneId> {
        self.int().map(PlaneId)
    }
    pub(crate) fn key(&mut self) -> Result<RunKey> {
        Ok(RunKey {
            run: self.run_id()?,
            plane: self.plane()?,
        })
    }
    /// A key that an outer join may leave out.
    pub(crate) fn opt_key(&mut self) -> Result<Option<RunKey>> {
        let (run, plane) = (self.opt_run_id()?, self.next::<Option<i32>>()?);
        Ok(run.zip(plane).map(|(run, plane)| RunKey {
            run,
            plane: PlaneId(plane),
        }))
    }
    pub(crate) fn status(&mut self) -> Result<RunStatus> {
        let text = self.text()?;
        RunStatus::parse(text).ok_or_else(|| corrupt("run status", text))
    }
    pub(crate) fn wait_reason(&mut self) -> Result<Option<WaitReason>> {
        let parse = |text| WaitReason::parse(text).ok_or_else(|| corrupt("wait reason", text));
        self.opt_text()?.map(parse).transpose()
    }
    pub(crate) fn mail_kind(&mut self) -> Result<MailKind> {
        let text = self.text()?;
        MailKind::parse(text).ok_or_else(|| corrupt("mail kind", text))
    }
}

/// Identity of a run: `run_id, workflow_id, actor_id, session_id, parent_run_id, created_at`.
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

/// The narrow columns of a state, as far as `updated_at`; the JSON texts follow in [`Narrow::columns`].
pub(crate) struct Narrow(RunColumns);

/// State of a run: `status, current_node, wait_reason, wait_key, wait_until, paused, error, lifecycle`, four sums,
/// `updated_at`.
pub(crate) fn narrow(cursor: &mut Cursor<'_>) -> Result<Narrow> {
    Ok(Narrow(RunColumns {
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
        wait: None,
        vars: "".into(),
        meta: "".into(),
        output: None,
    }))
}

impl Narrow {
    /// With `wait, vars, meta, output`.
    pub(crate) fn columns(self, cursor: &mut Cursor<'_>) -> Result<RunColumns> {
        Ok(RunColumns {
            wait: cursor.opt_shared()?,
            vars: cursor.shared()?,
            meta: cursor.shared()?,
            output: cursor.opt_shared()?,
            ..self.0
        })
    }
}

/// Four sums.
pub(crate) fn counters(cursor: &mut Cursor<'_>) -> Result<Counters> {
    Ok(Counters {
        steps: cursor.int()?,
        llm_calls: cursor.int()?,
        tool_calls: cursor.int()?,
        tokens_total: cursor.long()?,
    })
}

/// An artifact: all columns of the table in order, without the plane.
pub(crate) fn artifact(row: &PgRow) -> Result<ArtifactRow> {
    let mut cursor = Cursor::new(row);
    Ok(ArtifactRow {
        artifact_id: cursor.string()?,
        run_id: cursor.opt_string()?,
        blob_id: cursor.string()?,
        content_type: cursor.string()?,
        size_bytes: cursor.long()?,
        created_at: cursor.time()?,
        semantic_kind: cursor.string()?,
        render_kind: cursor.string()?,
        modality: cursor.string()?,
        session_id: cursor.opt_string()?,
        meta: cursor.shared()?,
    })
}
