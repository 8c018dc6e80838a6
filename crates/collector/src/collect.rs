//! One collection.

use std::{
    collections::HashSet,
    ops::AddAssign,
    time::{Duration, SystemTime},
};

use ag_artifacts::{BlobError, BlobId, BlobInfo, BlobMaintenance, RetiredAt, RetiredBlob, ScopeKey};
use ag_store::{Store, StoreError};
use ag_types::{SystemScope, TenantScope, Timestamp};

use crate::references::named;

const SCOPE: SystemScope = SystemScope::new("collection of unreferenced blobs");
/// Blobs that are judged together.
const PAGE: usize = 500;

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only counted.
    DryRun,
    /// Retired, restored, discarded.
    Sweep,
}

/// How to collect.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long blobs are spared before they are retired, and again before they are discarded.
    pub grace: Duration,
    /// Whether anything is changed.
    pub mode: Mode,
    /// The time to compare ages with.
    pub now: Timestamp,
}

/// What a collection found and did; with [`Mode::DryRun`], would have done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Planes that were looked at.
    pub planes: u64,
    /// Blobs that were listed.
    pub blobs: u64,
    /// Blobs taken out of the listing.
    pub retired: u64,
    /// Their bytes.
    pub retired_bytes: u64,
    /// Retired copies put back, because something names them.
    pub restored: u64,
    /// Retired copies removed for good.
    pub discarded: u64,
    /// Their bytes.
    pub discarded_bytes: u64,
    /// Remains of broken writes.
    pub leftovers: u64,
    /// Retired copies that wait for their second look.
    pub waiting: u64,
    /// What could not be done and is left to the next collection.
    pub failures: u64,
}

impl AddAssign for Collected {
    fn add_assign(&mut self, other: Self) {
        self.planes += other.planes;
        self.blobs += other.blobs;
        self.retired += other.retired;
        self.retired_bytes += other.retired_bytes;
        self.restored += other.restored;
        self.discarded += other.discarded;
        self.discarded_bytes += other.discarded_bytes;
        self.leftovers += other.leftovers;
        self.waiting += other.waiting;
        self.failures += other.failures;
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Collects in every plane. What fails in one plane does not keep the others.
///
/// # Errors
/// When the planes cannot be read.
pub async fn collect(
    store: &dyn Store,
    blobs: &dyn BlobMaintenance,
    options: Options,
) -> Result<Collected, StoreError> {
    let mut all = Collected::default();
    for plane in store.planes(&SCOPE).await? {
        let key = ScopeKey::plane(&plane.key.tenant_id, &plane.key.runtime_id);
        let mut pass = Pass {
            store,
            blobs,
            options,
            plane: &plane,
            key: &key,
            done: Collected {
                planes: 1,
                ..Collected::default()
            },
        };
        if let Err(error) = pass.run().await {
            tracing::warn!(plane = %key, %error, "collection of blobs stopped early");
            pass.done.failures += 1;
        }
        all += pass.done;
    }
    Ok(all)
}

/// The collection of one plane.
struct Pass<'a> {
    store: &'a dyn Store,
    blobs: &'a dyn BlobMaintenance,
    options: Options,
    plane: &'a TenantScope,
    key: &'a ScopeKey,
    done: Collected,
}

impl Pass<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        if self.options.mode == Mode::Sweep {
            let left = self.blobs.sweep_leftovers(self.key, self.options.grace).await?;
            self.done.leftovers += left as u64;
        }
        // First those of earlier collections: what this one retires must wait for its second look.
        self.second_look().await?;
        self.first_look().await
    }

    async fn first_look(&mut self) -> Result<(), Failure> {
        let mut after: Option<BlobId> = None;
        loop {
            let page = self.blobs.list(self.key, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            self.done.blobs += page.len() as u64;
            let old: Vec<&BlobInfo> = page.iter().filter(|blob| self.is_old(blob.modified)).collect();
            let named = self.named(old.iter().map(|blob| blob.id)).await?;
            for blob in old.into_iter().filter(|blob| !named.contains(&blob.id)) {
                self.retire(blob).await;
            }
        }
    }

    async fn second_look(&mut self) -> Result<(), Failure> {
        let mut after: Option<RetiredBlob> = None;
        loop {
            let page = self.blobs.retired(self.key, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(*last);
            let named = self.named(page.iter().map(|copy| copy.id)).await?;
            for copy in page {
                if named.contains(&copy.id) {
                    self.restore(&copy).await;
                } else if self.is_old(copy.at.time()) {
                    self.discard(&copy).await;
                } else {
                    self.done.waiting += 1;
                }
            }
        }
    }

    async fn named(&self, ids: impl Iterator<Item = BlobId>) -> Result<HashSet<BlobId>, Failure> {
        let mut ids: Vec<BlobId> = ids.collect();
        ids.dedup();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(named(self.store, self.plane, &ids).await?)
    }

    async fn retire(&mut self, blob: &BlobInfo) {
        if self.options.mode == Mode::Sweep {
            let at = RetiredAt::of(self.now());
            let result = self.blobs.retire(self.key, &blob.id, at).await;
            if !self.succeeded(blob.id, result) {
                return;
            }
        }
        self.done.retired += 1;
        self.done.waiting += 1;
        self.done.retired_bytes += blob.size;
    }

    async fn restore(&mut self, copy: &RetiredBlob) {
        if self.options.mode == Mode::Sweep {
            let result = self.blobs.restore(self.key, copy).await;
            if !self.succeeded(copy.id, result) {
                return;
            }
        }
        self.done.restored += 1;
    }

    async fn discard(&mut self, copy: &RetiredBlob) {
        if self.options.mode == Mode::Sweep {
            let result = self.blobs.discard(self.key, copy).await;
            if !self.succeeded(copy.id, result) {
                return;
            }
        }
        self.done.discarded += 1;
        self.done.discarded_bytes += copy.size;
    }

    /// `false` also where another collection was faster.
    fn succeeded(&mut self, id: BlobId, result: Result<bool, BlobError>) -> bool {
        result.unwrap_or_else(|error| {
            tracing::warn!(blob = %id, %error, "a blob is left to the next collection");
            self.done.failures += 1;
            false
        })
    }

    fn is_old(&self, time: SystemTime) -> bool {
        time.checked_add(self.options.grace)
            .is_some_and(|spared| spared <= self.now())
    }

    fn now(&self) -> SystemTime {
        let micros = u64::try_from(self.options.now.as_micros()).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
    }
}
