//! Setting the copied runs in motion: a head and its mail in one transaction.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use super::table::{Batch, Table};
use crate::ImportError;

/// Heads in one transaction.
const CHUNK: usize = 500;

/// What was new.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moved {
    pub(super) heads: u64,
    pub(super) mail: u64,
}

/// Runs of `source` that are live, and in `target` without a head, get theirs.
pub(super) async fn activate(
    source: &Connection,
    target: &mut PgConnection,
    heads: &Table,
    mail: &Table,
    planes: &HashMap<i64, i64>,
) -> Result<Moved, ImportError> {
    // Heads are narrow, and only live runs have one.
    let batches = read_all(source, heads, planes).map_err(ImportError::SourceDatabase)?;
    let mut moved = Moved::default();
    let insert = insert_heads(heads);
    for batch in batches {
        let mut tx = super::begin(target).await?;
        let query = batch.bind(sqlx::query(AssertSqlSafe(insert.clone())));
        let rows = query
            .persistent(false)
            .fetch_all(&mut *tx)
            .await
            .map_err(ImportError::TargetDatabase)?;
        let made = rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, i64::from(row.try_get::<i32, _>(1)?))))
            .collect::<Result<HashSet<(Uuid, i64)>, sqlx::Error>>()
            .map_err(ImportError::TargetDatabase)?;
        moved.heads += made.len() as u64;
        moved.mail += letters(source, &mut tx, mail, planes, &made).await?;
        tx.commit().await.map_err(ImportError::TargetDatabase)?;
    }
    Ok(moved)
}

fn read_all(source: &Connection, heads: &Table, planes: &HashMap<i64, i64>) -> rusqlite::Result<Vec<Batch>> {
    let mut statement = source.prepare(&format!("SELECT {} FROM run_heads", heads.names()))?;
    let mut rows = statement.query([])?;
    let mut batches: Vec<Batch> = Vec::new();
    while let Some(row) = rows.next()? {
        if batches.last().is_none_or(|batch| batch.rows >= CHUNK) {
            batches.push(Batch::new(&heads.columns));
        }
        if let Some(batch) = batches.last_mut() {
            batch.push(row, &heads.columns, planes)?;
        }
    }
    Ok(batches)
}

/// Nobody owns a copied run; its next epoch is above all that the source gave out.
fn insert_heads(heads: &Table) -> String {
    let expressions = heads.expressions();
    let values: Vec<String> = heads
        .columns
        .iter()
        .zip(&expressions)
        .map(|(column, expression)| match column.name.as_str() {
            "owner" | "preempt_at" => "NULL".to_owned(),
            "epoch" => format!("greatest({expression}, r.epoch)"),
            _ => expression.clone(),
        })
        .collect();
    let at = |name: &str| {
        let column = heads.columns.iter().position(|column| column.name == name);
        column.map_or_else(|| "NULL".to_owned(), |n| expressions[n].clone())
    };
    format!(
        "INSERT INTO run_heads ({}) SELECT {} FROM {} CROSS JOIN LATERAL (SELECT epoch FROM runs \
         WHERE run_id = {} AND plane_id + 0 = {} AND status IN ('running', 'waiting')) r \
         ON CONFLICT DO NOTHING RETURNING run_id, plane_id",
        heads.names(),
        values.join(", "),
        heads.unnest(),
        at("run_id"),
        at("plane_id"),
    )
}

async fn letters(
    source: &Connection,
    target: &mut PgConnection,
    mail: &Table,
    planes: &HashMap<i64, i64>,
    to: &HashSet<(Uuid, i64)>,
) -> Result<u64, ImportError> {
    let back: HashMap<i64, i64> = planes.iter().map(|(source, target)| (*target, *source)).collect();
    let read = || -> rusqlite::Result<Batch> {
        let mut batch = Batch::new(&mail.columns);
        let sql = format!(
            "SELECT {} FROM mail WHERE run_id = ? AND plane_id = ? ORDER BY n",
            mail.names()
        );
        let mut statement = source.prepare_cached(&sql)?;
        for (run, plane) in to {
            let plane = back.get(plane).copied().unwrap_or(*plane);
            let mut rows = statement.query((run.as_bytes().as_slice(), plane))?;
            while let Some(row) = rows.next()? {
                batch.push(row, &mail.columns, planes)?;
            }
        }
        Ok(batch)
    };
    let batch = read().map_err(ImportError::SourceDatabase)?;
    if batch.rows == 0 {
        return Ok(0);
    }
    let insert = format!(
        "INSERT INTO mail ({}) SELECT {} FROM {} ON CONFLICT DO NOTHING",
        mail.names(),
        mail.expressions().join(", "),
        mail.unnest()
    );
    let query = batch.bind(sqlx::query(AssertSqlSafe(insert)));
    let written = query
        .persistent(false)
        .execute(target)
        .await
        .map_err(ImportError::TargetDatabase)?;
    Ok(written.rows_affected())
}
