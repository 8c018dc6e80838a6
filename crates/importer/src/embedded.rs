//! From an embedded gateway to a cluster: every table of its SQLite store to Postgres, row by row, and its blobs.
//!
//! The tables are not listed here: both schemas say what they hold, and a table or column that the other side lacks
//! stops the copy before it begins. Rows that exist are left alone, so a copy can be killed and repeated. Heads and
//! mail come last, a head with its mail in one transaction and only for a live run without one: until then nothing
//! moves, and afterwards a repeated copy cannot take a run back to where it was (a live run always has a head).

mod blobs;
mod heads;
mod table;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use ag_artifacts::{BlobMaintenance, BlobStore};
use rusqlite::{Connection, OpenFlags};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Postgres, Transaction,
    postgres::PgConnectOptions,
};

use crate::{ImportError, Progress, lock};
use table::Table;

/// Lock file of an embedded gateway.
const LOCK: &str = "gateway.lock";
/// Its database.
const DATABASE: &str = "gateway.sqlite3";
/// Tables of one process that mean nothing to another.
const LEFT_OUT: [&str; 2] = ["store_state", "runner_sessions"];
/// Tables that set runs in motion.
const LAST: [&str; 2] = ["run_heads", "mail"];

/// From where to where.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// Data folder of the embedded gateway.
    pub path: PathBuf,
    /// The cluster's database, migrated.
    pub url: SecretString,
    /// Where the embedded gateway keeps its blobs.
    pub source_blobs: Arc<dyn BlobMaintenance>,
    /// Where the cluster keeps them; may be the same place.
    pub target_blobs: Arc<dyn BlobStore>,
    /// Write; otherwise only look.
    pub apply: bool,
}

/// A table's share of the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCount {
    /// Name.
    pub name: String,
    /// Rows of the source.
    pub rows: i64,
    /// Rows that were not in the target before.
    pub copied: u64,
}

/// What a copy found and did.
#[derive(Debug, Clone, Default)]
pub struct EmbeddedReport {
    /// Planes, as `tenant/runtime`.
    pub planes: Vec<String>,
    /// Tables.
    pub tables: Vec<TableCount>,
    /// Blobs of the source.
    pub blobs: u64,
    /// Blobs that were copied.
    pub copied_blobs: u64,
    /// Whether something was written at all.
    pub applied: bool,
}

impl std::fmt::Display for EmbeddedReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "planes              {}", self.planes.join(", "))?;
        for table in &self.tables {
            write!(f, "{:<20}{}", table.name, table.rows)?;
            if self.applied {
                write!(f, ", {} new", table.copied)?;
            }
            writeln!(f)?;
        }
        write!(f, "{:<20}{}", "blobs", self.blobs)?;
        if self.applied {
            write!(f, ", {} copied", self.copied_blobs)?;
        }
        writeln!(f)
    }
}

/// Copies, or looks at what there is to copy.
///
/// # Errors
/// [`ImportError`]; what was copied until then stays, and a repeated copy adds the rest.
pub async fn copy(
    options: EmbeddedOptions,
    progress: Arc<dyn Progress>,
) -> Result<EmbeddedReport, ImportError> {
    let (folder, file) = place(&options.path)?;
    let _lock = lock::hold(&folder, LOCK)?;
    let source = open_source(&file)?;
    let mut target = open_target(&options.url).await?;
    let mut tx = begin(&mut target).await?;
    refuse_used(&mut tx).await?;
    let tables = table::common(&source, &mut tx, &LEFT_OUT).await?;
    let planes = planes(&source, &mut tx, options.apply).await?;
    tx.commit().await.map_err(ImportError::TargetDatabase)?;
    let mut report = EmbeddedReport {
        planes: planes
            .iter()
            .map(|plane| format!("{}/{}", plane.tenant, plane.runtime))
            .collect(),
        applied: options.apply,
        ..EmbeddedReport::default()
    };
    let map: HashMap<i64, i64> = planes.iter().map(|plane| (plane.source, plane.target)).collect();
    let kept = blobs::copy(&options, &planes, &*progress).await?;
    (report.blobs, report.copied_blobs) = kept;
    for table in tables.iter().filter(|table| !LAST.contains(&table.name.as_str())) {
        let copied = match options.apply {
            true => table.copy(&source, &mut target, &map, &*progress).await?,
            false => 0,
        };
        report.tables.push(TableCount {
            name: table.name.clone(),
            rows: table.count(&source)?,
            copied,
        });
    }
    heads(&source, &mut target, &tables, &map, options.apply, &mut report).await?;
    if options.apply {
        let mut tx = begin(&mut target).await?;
        verify(&mut tx, &tables, &map, &report).await?;
        tx.commit().await.map_err(ImportError::TargetDatabase)?;
    }
    Ok(report)
}

async fn heads(
    source: &Connection,
    target: &mut PgConnection,
    tables: &[Table],
    map: &HashMap<i64, i64>,
    apply: bool,
    report: &mut EmbeddedReport,
) -> Result<(), ImportError> {
    let find = |name: &str| tables.iter().find(|table| table.name == name);
    let (Some(heads), Some(mail)) = (find(LAST[0]), find(LAST[1])) else {
        return Ok(());
    };
    let moved = match apply {
        true => heads::activate(source, target, heads, mail, map).await?,
        false => heads::Moved::default(),
    };
    for (table, copied) in [(heads, moved.heads), (mail, moved.mail)] {
        report.tables.push(TableCount {
            name: table.name.clone(),
            rows: table.count(source)?,
            copied,
        });
    }
    Ok(())
}

/// Tables that only grow must hold at least what the source holds.
async fn verify(
    target: &mut PgConnection,
    tables: &[Table],
    map: &HashMap<i64, i64>,
    report: &EmbeddedReport,
) -> Result<(), ImportError> {
    let planes: Vec<i32> = map
        .values()
        .filter_map(|plane| i32::try_from(*plane).ok())
        .collect();
    for table in tables
        .iter()
        .filter(|table| !LAST.contains(&table.name.as_str()) && table.has_plane())
    {
        let Some(counted) = report.tables.iter().find(|counted| counted.name == table.name) else {
            continue;
        };
        let sql = format!("SELECT count(*) FROM {} WHERE plane_id = ANY ($1)", table.name);
        // The name is one of the program's own tables.
        let stored: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .persistent(false)
            .bind(&planes)
            .fetch_one(&mut *target)
            .await
            .map_err(ImportError::TargetDatabase)?;
        if stored < counted.rows {
            return Err(ImportError::Incomplete {
                table: table.name.clone(),
                missing: counted.rows - stored,
            });
        }
    }
    Ok(())
}

/// Folder and database of an embedded gateway.
fn place(path: &Path) -> Result<(PathBuf, PathBuf), ImportError> {
    let (folder, file) = match path.is_file() {
        true => (
            path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned),
            path.to_owned(),
        ),
        false => (path.to_owned(), path.join(DATABASE)),
    };
    match file.is_file() {
        true => Ok((folder, file)),
        false => Err(ImportError::NotFound {
            path: path.to_owned(),
            expected: "gateway.sqlite3 of an embedded gateway",
        }),
    }
}

fn open_source(file: &Path) -> Result<Connection, ImportError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(file, flags).map_err(ImportError::SourceDatabase)?;
    let found: i64 = source
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(ImportError::SourceDatabase)?;
    if found == 0 {
        return Err(ImportError::NotFound {
            path: file.to_owned(),
            expected: "tables of an embedded gateway (a database of the Python gateway is read with --from sqlite)",
        });
    }
    let needed = i64::from(ag_store_postgres::SCHEMA_VERSION);
    match found == needed {
        true => Ok(source),
        false => Err(ImportError::Schema { found, needed }),
    }
}

async fn open_target(url: &SecretString) -> Result<PgConnection, ImportError> {
    let options: PgConnectOptions = url.expose_secret().parse().map_err(|_| {
        // The text may hold a password and is not repeated.
        ImportError::TargetDatabase(sqlx::Error::Configuration(
            "not a Postgres connection string".into(),
        ))
    })?;
    // A start parameter that poolers do not know.
    let options = options.extra_float_digits(None).disable_statement_logging();
    PgConnection::connect_with(&options)
        .await
        .map_err(ImportError::TargetDatabase)
}

/// A piece of the copy. All of it happens in transactions: behind a pooler no setting and no statement outlives one,
/// and the next may run on another connection of the server.
async fn begin(target: &mut PgConnection) -> Result<Transaction<'_, Postgres>, ImportError> {
    target
        .begin_with("BEGIN; SET LOCAL statement_timeout = 0")
        .await
        .map_err(ImportError::TargetDatabase)
}

async fn refuse_used(target: &mut PgConnection) -> Result<(), ImportError> {
    let busy: Option<String> = sqlx::query_scalar(
        "SELECT node FROM runner_sessions WHERE NOT dead AND expires_at > clock_timestamp() LIMIT 1",
    )
    .persistent(false)
    .fetch_optional(target)
    .await
    .map_err(ImportError::TargetDatabase)?;
    match busy {
        None => Ok(()),
        Some(node) => Err(ImportError::TargetInUse(format!(
            "the runner '{node}' works on this database"
        ))),
    }
}

/// A plane under both of its numbers.
#[derive(Debug, Clone)]
pub(crate) struct PlanePair {
    pub(crate) tenant: String,
    pub(crate) runtime: String,
    source: i64,
    target: i64,
}

async fn planes(
    source: &Connection,
    target: &mut PgConnection,
    apply: bool,
) -> Result<Vec<PlanePair>, ImportError> {
    let read = || {
        let mut statement = source.prepare(
            "SELECT plane_id, tenant_id, runtime_id, command_seq, generation FROM planes ORDER BY plane_id",
        )?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, i64>(4)?,
            ))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let mut planes = Vec::new();
    for (number, tenant, runtime, command_seq, generation) in read().map_err(ImportError::SourceDatabase)? {
        let mut stored: i32 = 0;
        if apply {
            let statement = "INSERT INTO planes AS p (tenant_id, runtime_id, command_seq, generation) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, runtime_id) DO UPDATE \
                 SET command_seq = greatest(p.command_seq, excluded.command_seq), \
                 generation = greatest(p.generation, excluded.generation) RETURNING plane_id";
            stored = sqlx::query_scalar(statement)
                .persistent(false)
                .bind(&tenant)
                .bind(&runtime)
                .bind(command_seq)
                .bind(generation)
                .fetch_one(&mut *target)
                .await
                .map_err(ImportError::TargetDatabase)?;
        }
        planes.push(PlanePair {
            tenant,
            runtime,
            source: number,
            target: i64::from(stored),
        });
    }
    Ok(planes)
}
