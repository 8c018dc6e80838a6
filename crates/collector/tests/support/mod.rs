//! A plane with rows and bytes, and a store of bytes that can be meddled with.

use std::{sync::Arc, time::Duration};

use ag_artifacts::{
    BlobError, BlobId, BlobInfo, BlobMaintenance, BlobReader, BlobStore, ByteRange, ByteStream, MemoryBlobs,
    RetiredAt, RetiredBlob, ScopeKey, StoredBlob,
};
use ag_collector::{Collected, Mode, Options, collect};
use ag_store::{
    ArtifactIndex as _, ArtifactRow, Counters, NewRun, Placement, Planes as _, RunColumns, RunStore as _,
    Start,
    fake::{FakeStore, MovableClock},
};
use ag_types::{
    Clock as _, PlaneKey, RunHead, RunId, RunStatus, SystemClock, SystemScope, TenantScope, Timestamp,
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use uuid::Uuid;

pub(crate) const GRACE: Duration = Duration::from_secs(86_400);

pub(crate) struct World {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) blobs: Arc<MemoryBlobs>,
    /// Begins now, because bytes have their ages from the machine's clock.
    pub(crate) clock: Arc<MovableClock>,
    pub(crate) plane: TenantScope,
    pub(crate) key: ScopeKey,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(MovableClock::at(SystemClock.now()));
        Self {
            store: Arc::new(FakeStore::new(clock.clone())),
            blobs: Arc::default(),
            clock,
            plane: TenantScope::root(),
            key: ScopeKey::plane("default", "default"),
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock
            .advance(i64::try_from(time.as_micros()).expect("short"));
    }

    pub(crate) async fn other_plane(&self) -> (TenantScope, ScopeKey) {
        let key = PlaneKey {
            tenant_id: "acme".into(),
            runtime_id: "alice".into(),
        };
        let plane = self
            .store
            .plane(&SystemScope::new("test"), &key)
            .await
            .expect("plane");
        (plane, ScopeKey::plane("acme", "alice"))
    }

    /// A blob that was put longer than the grace ago.
    pub(crate) async fn old_blob(&self, text: &str) -> BlobId {
        self.old_blob_in(&(self.plane.clone(), self.key.clone()), text)
            .await
    }

    pub(crate) async fn old_blob_in(&self, (_, key): &(TenantScope, ScopeKey), text: &str) -> BlobId {
        let id = self
            .blobs
            .put(key, Bytes::from(text.to_owned()))
            .await
            .expect("put")
            .id;
        self.blobs.age(key, &id, GRACE * 2);
        id
    }

    pub(crate) async fn read(&self, id: &BlobId) -> Option<Bytes> {
        self.blobs.get(&self.key, id).await.expect("read")
    }

    pub(crate) async fn artifact(&self, artifact_id: &str, blob: &BlobId) {
        self.artifact_of(artifact_id, "run", blob).await;
    }

    pub(crate) async fn artifact_of(&self, artifact_id: &str, run_id: &str, blob: &BlobId) {
        let row = ArtifactRow {
            artifact_id: artifact_id.to_owned(),
            run_id: Some(run_id.to_owned()),
            blob_id: blob.to_string(),
            content_type: "text/plain".to_owned(),
            size_bytes: 1,
            created_at: Timestamp::from_micros(0),
            semantic_kind: "text".to_owned(),
            render_kind: "text".to_owned(),
            modality: "text".to_owned(),
            session_id: None,
            meta: "{}".into(),
        };
        self.store.put_artifact(&self.plane, row).await.expect("row");
    }

    /// A run that has ended and whose bundle is not installed any more.
    pub(crate) async fn ended_run(&self, bundle: &BlobId) {
        let now = self.clock.now();
        let run = NewRun {
            head: RunHead {
                run_id: RunId(Uuid::from_u128(7)),
                workflow_id: "b@1:main".into(),
                actor_id: None,
                session_id: None,
                parent_run_id: None,
                created_at: now,
            },
            pool: "default".into(),
            bundle_sha256: Some(bundle.to_string().into()),
            columns: RunColumns {
                status: RunStatus::Completed,
                current_node: "end".to_owned(),
                wait_reason: None,
                wait_key: None,
                wait_until: None,
                paused: false,
                error: None,
                wait: None,
                vars: "{}".into(),
                meta: "{}".into(),
                output: None,
                lifecycle: None,
                counters: Counters::default(),
                updated_at: now,
            },
            segments: Vec::new(),
            last_seq: 0,
            placement: Placement::Terminal,
        };
        let start = Start {
            key: None,
            generation: None,
            runs: vec![run],
            artifacts: Vec::new(),
            owners: Vec::new(),
            memory: Vec::new(),
            mail: Vec::new(),
            now,
        };
        self.store.start(&self.plane, start).await.expect("start");
    }

    pub(crate) async fn collect(&self) -> Collected {
        self.collect_as(Mode::Sweep).await
    }

    pub(crate) async fn collect_as(&self, mode: Mode) -> Collected {
        self.collect_in(&*self.blobs, mode).await
    }

    pub(crate) async fn collect_with(&self, meddler: &Meddler) -> Collected {
        self.collect_in(meddler, Mode::Sweep).await
    }

    pub(crate) async fn collect_in(&self, blobs: &dyn BlobMaintenance, mode: Mode) -> Collected {
        let options = Options {
            grace: GRACE,
            mode,
            now: self.clock.now(),
        };
        collect(&*self.store, blobs, options).await.expect("collected")
    }
}

/// What happens right before the first retirement.
enum Act {
    Put(Bytes),
    Refuse,
}

/// The world's bytes with something in between.
pub(crate) struct Meddler {
    blobs: Arc<MemoryBlobs>,
    act: Mutex<Option<Act>>,
}

impl Meddler {
    /// Somebody puts `text` right before the first retirement.
    pub(crate) fn before_retire(world: &World, text: &'static str) -> Self {
        Self {
            blobs: world.blobs.clone(),
            act: Mutex::new(Some(Act::Put(Bytes::from(text)))),
        }
    }

    /// The first retirement fails.
    pub(crate) fn refusing(world: &World) -> Self {
        Self {
            blobs: world.blobs.clone(),
            act: Mutex::new(Some(Act::Refuse)),
        }
    }
}

#[async_trait]
impl BlobStore for Meddler {
    async fn put(&self, scope: &ScopeKey, content: Bytes) -> Result<StoredBlob, BlobError> {
        self.blobs.put(scope, content).await
    }
    async fn put_stream(
        &self,
        scope: &ScopeKey,
        content: ByteStream,
        max: u64,
    ) -> Result<StoredBlob, BlobError> {
        self.blobs.put_stream(scope, content, max).await
    }
    async fn get(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<Bytes>, BlobError> {
        self.blobs.get(scope, id).await
    }
    async fn open(
        &self,
        scope: &ScopeKey,
        id: &BlobId,
        range: ByteRange,
    ) -> Result<Option<BlobReader>, BlobError> {
        self.blobs.open(scope, id, range).await
    }
    async fn size(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<u64>, BlobError> {
        self.blobs.size(scope, id).await
    }
}

#[async_trait]
impl BlobMaintenance for Meddler {
    async fn list(
        &self,
        scope: &ScopeKey,
        after: Option<&BlobId>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, BlobError> {
        self.blobs.list(scope, after, limit).await
    }
    async fn retire(&self, scope: &ScopeKey, id: &BlobId, at: RetiredAt) -> Result<bool, BlobError> {
        let act = self.act.lock().take();
        match act {
            Some(Act::Put(bytes)) => {
                self.blobs.put(scope, bytes).await?;
            }
            Some(Act::Refuse) => return Err(BlobError::Source(std::io::Error::other("refused"))),
            None => {}
        }
        self.blobs.retire(scope, id, at).await
    }
    async fn retired(
        &self,
        scope: &ScopeKey,
        after: Option<&RetiredBlob>,
        limit: usize,
    ) -> Result<Vec<RetiredBlob>, BlobError> {
        self.blobs.retired(scope, after, limit).await
    }
    async fn restore(&self, scope: &ScopeKey, copy: &RetiredBlob) -> Result<bool, BlobError> {
        self.blobs.restore(scope, copy).await
    }
    async fn discard(&self, scope: &ScopeKey, copy: &RetiredBlob) -> Result<bool, BlobError> {
        self.blobs.discard(scope, copy).await
    }
    async fn sweep_leftovers(&self, scope: &ScopeKey, age: Duration) -> Result<usize, BlobError> {
        self.blobs.sweep_leftovers(scope, age).await
    }
}
