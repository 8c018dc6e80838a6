//! Small pages of ledgers that are wanted at the same time are read together: each stream begins with one, and alone it
//! would cost a round trip per run, where starts, claims and commits share theirs.

use std::{collections::BTreeMap, sync::Arc};

use ag_store::{LedgerPage, Result, Segment, StoreError};
use ag_types::{PlaneId, RunId};
use sqlx::postgres::PgRow;
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use crate::{
    rows::{Cursor, tenant},
    store::Database,
};

/// Statements at a time; one that brings large records does not hold up all others.
const READERS: usize = 2;
/// Pages of one statement at most.
const TOGETHER: usize = 32;
/// Pages that may wait before their readers are held back.
const QUEUE: usize = 4096;

/// Status and records of each run in one statement, hence of one moment. A page ends with the segment that holds its last
/// record: records are dense, so its number is known.
const PAGES: &str = tenant!(
    "SELECT k.ix, r.status, r.last_seq AS ends, l.first_seq IS NOT NULL AS present, l.first_seq, l.last_seq, l.records \
     FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) WITH ORDINALITY k(run, after, until, ix) \
     CROSS JOIN LATERAL (SELECT d.status, d.last_seq FROM runs d \
       WHERE d.run_id = k.run AND d.plane_id + 0 = s.plane OFFSET 0) r \
     LEFT JOIN LATERAL (SELECT d.first_seq, d.last_seq, d.records FROM ledger d \
       WHERE d.run_id = k.run AND d.plane_id = s.plane AND d.last_seq > k.after \
       AND d.last_seq <= coalesce((SELECT e.last_seq FROM ledger e WHERE e.run_id = k.run AND e.plane_id = s.plane \
         AND e.last_seq >= k.until ORDER BY e.last_seq LIMIT 1), k.until) OFFSET 0) l ON true \
     ORDER BY k.ix, l.last_seq"
);

/// A page of a ledger.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageQuery {
    pub(crate) plane: PlaneId,
    pub(crate) run: RunId,
    /// Records before the page.
    pub(crate) after: i64,
    /// Most records wanted.
    pub(crate) limit: usize,
}

struct Wanted {
    query: PageQuery,
    reply: oneshot::Sender<Result<Option<LedgerPage>>>,
}

/// The entrance to the readers, which end when it is dropped.
pub(crate) struct Pages {
    queue: mpsc::Sender<Wanted>,
}

impl Pages {
    pub(crate) fn spawn(database: &Database) -> Self {
        let (queue, wanted) = mpsc::channel(QUEUE);
        let wanted = Arc::new(Mutex::new(wanted));
        for _ in 0..READERS {
            tokio::spawn(run(database.clone(), wanted.clone()));
        }
        Self { queue }
    }

    /// Reads a page with those that others want at this moment. `None` if there is no such run.
    ///
    /// # Errors
    /// What the database says to the statement that they share.
    pub(crate) async fn read(&self, query: PageQuery) -> Result<Option<LedgerPage>> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let (reply, answer) = oneshot::channel();
        let wanted = Wanted { query, reply };
        self.queue.send(wanted).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

async fn run(database: Database, wanted: Arc<Mutex<mpsc::Receiver<Wanted>>>) {
    loop {
        let mut together = Vec::new();
        {
            let mut wanted = wanted.lock().await;
            if wanted.recv_many(&mut together, TOGETHER).await == 0 {
                return;
            }
        }
        let mut planes: BTreeMap<PlaneId, Vec<Wanted>> = BTreeMap::new();
        for wanted in together {
            planes.entry(wanted.query.plane).or_default().push(wanted);
        }
        for (plane, wanted) in planes {
            let queries: Vec<PageQuery> = wanted.iter().map(|wanted| wanted.query).collect();
            let pages = read_together(&database, plane, &queries).await;
            let mut pages = match pages {
                Ok(pages) => pages.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error); queries.len()],
            };
            for (wanted, page) in wanted.into_iter().zip(pages.drain(..)) {
                // Who went away does not want it any more.
                let _ = wanted.reply.send(page);
            }
        }
    }
}

/// The pages of these queries, which are of one plane, in their order.
///
/// # Errors
/// What the database says.
pub(crate) async fn read_together(
    database: &Database,
    plane: PlaneId,
    queries: &[PageQuery],
) -> Result<Vec<Option<LedgerPage>>> {
    let runs: Vec<Uuid> = queries.iter().map(|query| query.run.0).collect();
    let after: Vec<i64> = queries.iter().map(|query| query.after).collect();
    let until = |query: &PageQuery| {
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        query.after.saturating_add(limit)
    };
    let until: Vec<i64> = queries.iter().map(until).collect();
    let statement = sqlx::query(PAGES)
        .bind(plane.0)
        .bind(runs)
        .bind(after)
        .bind(until);
    let rows = database.read(statement).await?;
    let mut pages: Vec<Option<LedgerPage>> = vec![None; queries.len()];
    for row in &rows {
        take(row, queries, &mut pages)?;
    }
    Ok(pages)
}

fn take(row: &PgRow, queries: &[PageQuery], pages: &mut [Option<LedgerPage>]) -> Result<()> {
    let mut cursor = Cursor::new(row);
    // Counted from one.
    let at = usize::try_from(cursor.long()?)
        .unwrap_or_default()
        .saturating_sub(1);
    let (status, last_seq) = (cursor.status()?, cursor.long()?);
    let (Some(page), Some(query)) = (pages.get_mut(at), queries.get(at)) else {
        return Err(StoreError::Internal(format!("page {at} was not asked for")));
    };
    let page = page.get_or_insert_with(|| LedgerPage {
        status,
        last_seq,
        segments: Vec::new(),
        after: query.after,
        limit: query.limit,
    });
    if cursor.flag()? {
        page.segments.push(Segment {
            first_seq: cursor.long()?,
            last_seq: cursor.long()?,
            lines: cursor.shared()?,
        });
    }
    Ok(())
}
