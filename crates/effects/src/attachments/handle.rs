//! Handles: the names by which models speak of attachments.

use std::collections::HashSet;

use ag_artifacts::ArtifactMeta;
use serde_json::{Value, json};

/// Suggestions after a miss.
const MAX_SUGGESTIONS: usize = 5;
/// Candidates of an ambiguous name.
const MAX_CANDIDATES: usize = 10;

/// The handle of an attachment: its path, else its file name, else its id.
pub fn display_handle(meta: &ArtifactMeta) -> &str {
    let handle = meta
        .source_path()
        .or_else(|| meta.filename())
        .unwrap_or(&meta.artifact_id);
    handle.strip_prefix("client:").unwrap_or(handle)
}

/// The beginning of a content hash, as texts for models show it.
pub(super) fn short_sha(meta: &ArtifactMeta) -> &str {
    meta.blob_id.get(..8).unwrap_or(&meta.blob_id)
}

/// What a model asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) artifact_id: String,
    pub(super) handle: String,
    /// Whole hash or its beginning, lower case.
    pub(super) sha256: String,
}

impl Wanted {
    /// As it is shown in messages.
    pub(super) fn shown(&self) -> &str {
        if self.handle.is_empty() {
            &self.artifact_id
        } else {
            &self.handle
        }
    }
}

/// What was found.
#[derive(Debug)]
pub(super) enum Found<'m> {
    One(&'m ArtifactMeta),
    Many(Vec<&'m ArtifactMeta>),
    None,
}

/// Looks an attachment up among `metas`, newest first. An id wins over a handle; a handle is compared as a whole
/// path, then as a file name or the end of a path, then without regard to case. Several contents of one path are
/// versions: the newest one is meant, unless a hash says otherwise.
pub(super) fn find<'m>(metas: &'m [ArtifactMeta], wanted: &Wanted) -> Found<'m> {
    let of_hash = |meta: &&ArtifactMeta| meta.blob_id.starts_with(&wanted.sha256);
    let ids = [&wanted.artifact_id, &wanted.handle];
    let by_id = |meta: &&ArtifactMeta| ids.contains(&&meta.artifact_id);
    if let Some(meta) = metas.iter().filter(of_hash).find(by_id) {
        return Found::One(meta);
    }
    for name in [&wanted.handle, &wanted.artifact_id] {
        let name = normalise(name);
        if name.is_empty() {
            continue;
        }
        let lower = name.to_lowercase();
        let tiers: [&dyn Fn(&ArtifactMeta) -> bool; 3] = [
            &|meta| path_of(meta) == name,
            &|meta| names(&path_of(meta), meta.filename(), &name),
            &|meta| {
                let filename = meta.filename().map(str::to_lowercase);
                names(&path_of(meta).to_lowercase(), filename.as_deref(), &lower)
            },
        ];
        for tier in tiers {
            let matches: Vec<&ArtifactMeta> =
                metas.iter().filter(of_hash).filter(|meta| tier(meta)).collect();
            if !matches.is_empty() {
                return narrowed(matches);
            }
        }
    }
    Found::None
}

fn narrowed(matches: Vec<&ArtifactMeta>) -> Found<'_> {
    let mut seen = HashSet::new();
    let paths: Vec<&ArtifactMeta> = matches
        .into_iter()
        .filter(|meta| seen.insert(display_handle(meta)))
        .collect();
    match paths.as_slice() {
        [] => Found::None,
        [first, rest @ ..] if rest.iter().all(|other| other.blob_id == first.blob_id) => Found::One(first),
        _ => Found::Many(paths),
    }
}

/// The attachments that a missed name may have meant, best first.
pub(super) fn suggestions(metas: &[ArtifactMeta], wanted: &Wanted) -> Vec<Value> {
    let name = normalise(wanted.shown()).to_lowercase();
    let file = name.rsplit('/').next().unwrap_or_default();
    let stem = file.split('.').next().unwrap_or_default();
    let close = |meta: &&ArtifactMeta| {
        let handle = display_handle(meta).to_lowercase();
        !stem.is_empty() && handle.contains(stem)
    };
    let (near, far): (Vec<&ArtifactMeta>, Vec<&ArtifactMeta>) = metas.iter().partition(close);
    near.into_iter()
        .chain(far)
        .take(MAX_SUGGESTIONS)
        .map(facts)
        .collect()
}

/// The list of an ambiguous name.
pub(super) fn candidates(metas: &[&ArtifactMeta]) -> Vec<Value> {
    metas
        .iter()
        .take(MAX_CANDIDATES)
        .map(|meta| facts(meta))
        .collect()
}

fn facts(meta: &ArtifactMeta) -> Value {
    json!({
        "artifact_id": meta.artifact_id,
        "handle": display_handle(meta),
        "filename": meta.filename(),
        "sha256": meta.blob_id,
        "content_type": meta.content_type,
        "size_bytes": meta.size_bytes,
    })
}

fn path_of(meta: &ArtifactMeta) -> String {
    normalise(display_handle(meta))
}

/// True when `name` is the file name, or one of both paths ends with the other.
fn names(path: &str, filename: Option<&str>, name: &str) -> bool {
    let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.ends_with('/'));
    path == name || filename == Some(name) || ends(path, name) || ends(name, path)
}

/// A handle without quotes, `@`, `file://`, `client:` and leading `./`.
pub(super) fn normalise(raw: &str) -> String {
    let mut name = raw.trim().trim_matches(['"', '\'', '`']).replace('\\', "/");
    for prefix in ["@", "file://", "client:", "@"] {
        if let Some(rest) = name.strip_prefix(prefix) {
            name = rest.trim_start().to_owned();
        }
    }
    while let Some(rest) = name.strip_prefix("./") {
        name = rest.to_owned();
    }
    name
}
