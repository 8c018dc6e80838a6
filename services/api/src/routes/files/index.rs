//! Finding files by name. Walking the disk is dear, so the list of files is kept for a while.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use ag_tools::{file_ops::index::FileIndex, workspace::Roots};
use axum::Json;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::scope::Scope;
use crate::{
    ApiResult, CallContext, Input,
    input::{Reader, Request, int, string},
    routes::blocking::blocking,
};

/// Indexes kept at a time; each is a scope that somebody chose.
const MAX_INDEXES: usize = 16;

type Indexes = Mutex<HashMap<String, (Instant, Arc<FileIndex>)>>;

/// A pure cache: the key names everything an index depends on, so nodes in one process may share it.
static INDEXES: LazyLock<Indexes> = LazyLock::new(Mutex::default);

/// What to look for.
pub(super) struct SearchFiles {
    query: String,
    limit: usize,
    scope: Scope,
}

impl Request for SearchFiles {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        Self {
            query: query.required("query", string()),
            limit: usize::try_from(query.or("limit", int().ge(1).le(200), 20)).unwrap_or(20),
            scope: Scope::read(&mut query),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Found {
    items: Vec<Value>,
}

pub(super) async fn search_files(
    ctx: CallContext,
    Input(request): Input<SearchFiles>,
) -> ApiResult<Json<Found>> {
    if request.query.trim().is_empty() {
        return Ok(Json(Found { items: Vec::new() }));
    }
    let workspace = &ctx.state().config().workspace;
    let keep = Duration::try_from_secs_f64(workspace.file_index_ttl_s).unwrap_or_default();
    let keep = keep.max(Duration::from_secs(1));
    let max_files = usize::try_from(workspace.file_index_max_files)
        .unwrap_or(usize::MAX)
        .max(1000);
    let roots = request.scope.roots(ctx.state().config());
    let items = blocking(move || index(&roots, max_files, keep).search(&request.query, request.limit));
    Ok(Json(Found { items: items.await? }))
}

fn index(roots: &Roots, max_files: usize, keep: Duration) -> Arc<FileIndex> {
    let key = format!("{max_files} {roots:?}");
    let known = INDEXES.lock().get(&key).cloned();
    if let Some((built, index)) = known
        && built.elapsed() < keep
    {
        return index;
    }
    // Not under the lock: two that come at once walk twice, but nobody else waits.
    let index = Arc::new(FileIndex::build(roots, max_files));
    let mut indexes = INDEXES.lock();
    indexes.retain(|_, (built, _)| built.elapsed() < keep);
    if indexes.len() >= MAX_INDEXES {
        indexes.clear();
    }
    indexes.insert(key, (Instant::now(), index.clone()));
    index
}
