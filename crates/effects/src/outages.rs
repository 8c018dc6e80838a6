//! Every handler with a store, or a blob store, that goes away at each of its questions in turn: the effect must be
//! postponed, and must not have cost anything yet. It never fails because of that.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ag_artifacts::{
    BlobError, BlobId, BlobReader, BlobStore, ByteRange, ByteStream, MemoryBlobs, ScopeKey, StoredBlob,
    session_memory_run_id,
};
use ag_kernel::Outcome;
use ag_outbound::OutboundPolicy;
use ag_providers::fake::{FakeChat, FakeEmbedder, FakeMedia, Step};
use ag_store::{RunStore as _, Start};
use ag_tools::{ExecPolicy, ToolContext, Toolbox, mode::ToolMode};
use ag_types::{Clock as _, EffectKind, SystemClock};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::llm_call::{LlmCall, LlmCallSettings};
use crate::memory::{MemoryOwners, MemoryParts, kg::Vocabulary, register};
use crate::model_residency::ModelResidency;
use crate::test_kit::{TestDirectory, World, request};
use crate::tool_calls::{ToolCallsEffect, ToolSettings};
use crate::workspaces::Workspaces;
use crate::{Answer, EffectCtx, EffectHandler, EffectRegistry};

/// Blobs that go away after some calls.
pub(crate) struct SickBlobs<B> {
    inner: B,
    calls_left: AtomicI64,
}

impl<B> SickBlobs<B> {
    pub(crate) fn after(calls: i64, inner: B) -> Self {
        let calls_left = AtomicI64::new(calls);
        Self { inner, calls_left }
    }

    fn check(&self) -> Result<(), BlobError> {
        match self.calls_left.fetch_sub(1, Ordering::SeqCst) {
            ..=0 => Err(BlobError::store("reading", "a blob")(std::io::Error::from(
                std::io::ErrorKind::TimedOut,
            ))),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl<B: Deref<Target = MemoryBlobs> + Send + Sync> BlobStore for SickBlobs<B> {
    async fn put(&self, scope: &ScopeKey, content: Bytes) -> Result<StoredBlob, BlobError> {
        self.check()?;
        self.inner.put(scope, content).await
    }

    async fn put_stream(
        &self,
        scope: &ScopeKey,
        content: ByteStream,
        max_bytes: u64,
    ) -> Result<StoredBlob, BlobError> {
        self.check()?;
        self.inner.put_stream(scope, content, max_bytes).await
    }

    async fn get(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<Bytes>, BlobError> {
        self.check()?;
        self.inner.get(scope, id).await
    }

    async fn open(
        &self,
        scope: &ScopeKey,
        id: &BlobId,
        range: ByteRange,
    ) -> Result<Option<BlobReader>, BlobError> {
        self.check()?;
        self.inner.open(scope, id, range).await
    }

    async fn size(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<u64>, BlobError> {
        self.check()?;
        self.inner.size(scope, id).await
    }
}

struct Bench {
    world: World,
    media: Arc<FakeMedia>,
    dir: tempfile::TempDir,
    picture: String,
    sound: String,
}

impl Bench {
    /// A world with a picture, a recording, a session's file, a note and a statement.
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let media = Arc::new(FakeMedia::default());
        let world = World::with(TestDirectory {
            chat: Arc::new(FakeChat::new(vec![Step::text("{\"summary\": \"s\"}"); 4])),
            media: Some(media.clone()),
            embedder: Some(Arc::new(FakeEmbedder)),
            ..TestDirectory::default()
        })
        .var("workspace_root", json!(dir.path().join("ws")))
        .var(
            "context.messages",
            json!([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "user", "content": "c"}]),
        );
        let own = world.run.head.run_id.to_string();
        let session = session_memory_run_id("s1");
        let tags = [("kind", "attachment"), ("path", "n.txt"), ("session_id", "s1")];
        world.artifact("text/plain", &tags, b"text", &session).await;
        let picture = world.artifact("image/png", &[], b"png", &own).await;
        let sound = world.artifact("audio/wav", &[], b"wav", &own).await;
        for (key, provider) in [
            ("input.text", "openai-compatible"),
            ("input.voice", "openai-compatible"),
            ("output.image", "openai-compatible"),
            ("embedding.text", "vllm"),
        ] {
            let body = json!({"provider": provider, "model": "m"});
            world.routes().set(&world.scope, key, &body).await.expect("set");
        }
        let bench = Self {
            world,
            media,
            dir,
            picture,
            sound,
        };
        let note = json!({"note": "remember this ".repeat(2000), "tags": {"topic": "t"}});
        bench.settled(EffectKind::MemoryNote, note).await;
        let global = json!({"note": "for everybody", "scope": "global"});
        bench.settled(EffectKind::MemoryNote, global).await;
        let triple = json!({"assertions": [{"subject": "ann", "predicate": "schema:name", "object": "Ann"}]});
        bench.settled(EffectKind::MemoryKgAssert, triple).await;
        bench
    }

    fn handler(&self, kind: EffectKind) -> Arc<dyn EffectHandler> {
        let resolver = self.world.resolver();
        match kind {
            EffectKind::LlmCall => Arc::new(LlmCall::new(resolver, LlmCallSettings::default())),
            EffectKind::ModelResidency => Arc::new(ModelResidency::new(resolver)),
            EffectKind::ToolCalls => {
                let home = self.dir.path().join("home");
                let workspaces = Workspaces::confined(&home, &[self.dir.path().join("ws")]);
                let http = ToolContext::http_client(OutboundPolicy::operator()).expect("client");
                let toolbox = Toolbox::new(ExecPolicy::forbidden(), None);
                let settings = ToolSettings::new(ToolMode::Approval, http, workspaces);
                Arc::new(ToolCallsEffect::new(toolbox, settings))
            }
            kind => {
                let known = json!({"predicates": [{"id": "rdf:type"}, {"id": "schema:name"}]});
                let parts = MemoryParts {
                    owners: MemoryOwners::default(),
                    vocabulary: Vocabulary::of_registry(&known),
                    resolver,
                };
                let registry = register(EffectRegistry::default(), parts);
                registry.get(kind).cloned().expect("registered")
            }
        }
    }

    async fn ask(&self, kind: EffectKind, payload: &Value, blobs: &dyn BlobStore) -> Answer {
        let ctx = EffectCtx {
            blobs,
            ..self.world.ctx()
        };
        self.handler(kind)
            .handle(&ctx, &request(kind, payload.clone()))
            .await
    }

    async fn settled(&self, kind: EffectKind, payload: Value) {
        let answer = self.ask(kind, &payload, &self.world.blobs).await;
        assert!(
            matches!(answer.outcome, Outcome::Done { .. }),
            "{:?}",
            answer.outcome
        );
        let start = Start {
            key: None,
            generation: None,
            runs: vec![],
            artifacts: answer.artifacts,
            owners: answer.owners,
            memory: answer.memory,
            mail: vec![],
            now: SystemClock.now(),
        };
        self.world
            .store
            .start(&self.world.scope, start)
            .await
            .expect("start");
    }

    /// Requests to models so far.
    fn spent(&self) -> usize {
        self.world.directory.chat.requests().len() + self.media.asked().len()
    }

    /// The answer of an effect whose store goes away after `calls` questions, and what it cost.
    async fn without_store(&self, kind: EffectKind, payload: &Value, calls: u32) -> (Answer, usize) {
        let before = self.spent();
        self.world.store.break_after(calls);
        let answer = self.ask(kind, payload, &self.world.blobs).await;
        self.world.store.heal();
        (answer, self.spent() - before)
    }

    /// The same with its blobs.
    async fn without_blobs(&self, kind: EffectKind, payload: &Value, calls: i64) -> (Answer, usize) {
        let before = self.spent();
        let blobs = SickBlobs::after(calls, &self.world.blobs);
        let answer = self.ask(kind, payload, &blobs).await;
        (answer, self.spent() - before)
    }

    fn cases(&self) -> Vec<(EffectKind, Value)> {
        let picture = json!([{"$artifact": self.picture}]);
        let sound = json!([{"$artifact": self.sound}]);
        let text = json!({"provider": "openai-compatible", "model": "gpt-4o-mini"});
        let own = self.world.run.head.run_id.to_string();
        let llm = |more: Value| {
            let mut payload = text.clone();
            for (key, value) in more.as_object().cloned().unwrap_or_default() {
                payload[key] = value;
            }
            payload
        };
        use EffectKind::{
            LlmCall, MemoryCompact, MemoryKgAssert, MemoryKgQuery, MemoryKgResolve, MemoryNote, MemoryQuery,
            MemoryRehydrate, MemoryTag, ModelResidency, ToolCalls,
        };
        vec![
            (LlmCall, json!({"prompt": "p"})),
            (LlmCall, llm(json!({"prompt": "p", "tools": [{"name": "t"}]}))),
            (LlmCall, llm(json!({"prompt": "p", "media": picture}))),
            (
                LlmCall,
                llm(
                    json!({"prompt": "p", "media": [sound[0], picture[0]], "params": {"audio_policy": "stt"}}),
                ),
            ),
            (LlmCall, json!({"prompt": "p", "output": {"modality": "image"}})),
            (
                LlmCall,
                json!({"prompt": "p", "outputs": ["text", {"modality": "image"}]}),
            ),
            (
                LlmCall,
                json!({"prompt": "p", "outputs": [{"modality": "image"}, {"modality": "voice"}]}),
            ),
            (
                LlmCall,
                json!({"prompt": "p", "output": {"task": "image_edit"}, "media": picture}),
            ),
            (
                LlmCall,
                json!({"output": {"task": "transcription"}, "media": sound}),
            ),
            (ModelResidency, json!({"operation": "list"})),
            (
                ModelResidency,
                json!({"operation": "load", "task": "text_generation"}),
            ),
            (
                ToolCalls,
                json!({"tool_calls": [{"name": "open_attachment", "arguments": {"handle": "n.txt"}, "call_id": "c"}]}),
            ),
            (
                ToolCalls,
                json!({"tool_calls": [{"name": "search_files", "arguments": {"path": "/elsewhere/n.txt", "pattern": "t"},
                    "call_id": "c"}]}),
            ),
            (
                MemoryNote,
                json!({"note": "n", "scope": "session", "target_run_id": "global_memory"}),
            ),
            (MemoryQuery, json!({"query": "this", "scope": "all"})),
            (MemoryTag, json!({"span_id": 1, "tags": {"a": "b"}})),
            (MemoryRehydrate, json!({"span_ids": [1]})),
            (MemoryCompact, json!({"preserve_recent": 1})),
            (
                MemoryKgAssert,
                json!({"assertions": [{"subject": "bob", "predicate": "schema:name", "object": "Bob"}]}),
            ),
            (MemoryKgQuery, json!({"query_text": "who", "scope": "run"})),
            (MemoryKgQuery, json!({"subject": "ann", "owner_id": own})),
            (MemoryKgResolve, json!({"label": "Ann"})),
            (MemoryKgResolve, json!({"label": "Anne"})),
        ]
    }
}

fn ended(answer: &Answer) -> bool {
    matches!(answer.outcome, Outcome::Done { .. }) && answer.postponed.is_none()
}

#[tokio::test]
async fn a_store_that_is_away_postpones_every_effect() {
    let bench = Bench::new().await;
    for (kind, payload) in bench.cases() {
        let mut asked = 0;
        loop {
            let (answer, spent) = bench.without_store(kind, &payload, asked).await;
            if ended(&answer) {
                break;
            }
            assert!(
                answer.postponed.is_some(),
                "{kind:?} {payload} after {asked} questions: {:?}",
                answer.outcome
            );
            assert_eq!(spent, 0, "{kind:?} {payload} after {asked} questions");
            asked += 1;
            assert!(asked < 40, "{kind:?} {payload} never ends");
        }
        let reads = !matches!(kind, EffectKind::MemoryCompact);
        assert!(
            asked > 0 || !reads,
            "{kind:?} {payload} asks nothing: the case is void"
        );
    }
}

/// What is read is postponed; what was made already is stored again until the blobs are back.
#[tokio::test(start_paused = true)]
async fn blobs_that_are_away_postpone_what_costs_nothing_yet() {
    let bench = Bench::new().await;
    let mut postponed = 0;
    for (kind, payload) in bench.cases() {
        let (answer, spent) = bench.without_blobs(kind, &payload, 0).await;
        if answer.postponed.is_some() {
            assert_eq!(spent, 0, "{kind:?} {payload}");
            postponed += 1;
        } else if let Outcome::Failed(error) = &answer.outcome {
            assert!(
                spent > 0 && (error.contains("stor") || error.contains("archive")),
                "{kind:?} {payload}: {error}"
            );
        }
    }
    // Pictures and recordings of four calls, the session's file twice, a note, a note's text twice.
    assert_eq!(postponed, 9);
}

/// The connections of a plane lie in the store as well.
#[tokio::test]
async fn connections_that_are_away_postpone() {
    let bench = Bench::new().await;
    let away = json!({"provider": "endpoint:away", "model": "m"});
    bench
        .world
        .routes()
        .set(&bench.world.scope, "output.image", &away)
        .await
        .expect("set");
    let named = |more: Value| {
        let mut payload = away.clone();
        payload
            .as_object_mut()
            .expect("object")
            .extend(more.as_object().cloned().unwrap_or_default());
        payload
    };
    let cases = [
        (EffectKind::LlmCall, named(json!({"prompt": "p"}))),
        (
            EffectKind::LlmCall,
            json!({"prompt": "p", "output": {"modality": "image"}}),
        ),
        (
            EffectKind::ModelResidency,
            named(json!({"operation": "load", "task": "text_generation"})),
        ),
    ];
    for (kind, payload) in cases {
        let answer = bench.ask(kind, &payload, &bench.world.blobs).await;
        assert!(answer.postponed.is_some(), "{payload}: {:?}", answer.outcome);
    }
}
