//! Effects against a store in memory: what they answer, and what the next one finds of it.

use ag_kernel::Outcome;
use ag_providers::fake::Step;
use ag_store::{
    Commit, Counters, MemoryRow, MemoryStore as _, NewRun, NewSession, Placement, Rest, RunColumns,
    RunStore as _, Start,
};
use ag_types::{
    Clock as _, EffectKind, IdGen as _, RunHead, RunId, RunKey, RunStatus, SessionId, SystemClock, SystemIds,
    SystemScope, TenantScope,
};
use serde_json::{Value, json};

use super::{foreign::MemoryWrite, *};
use crate::{
    handler::{Answer, EffectHandler},
    test_kit::{World, request},
};

const SYSTEM: SystemScope = SystemScope::new("test");

fn handler(world: &World, kind: EffectKind) -> Arc<dyn EffectHandler> {
    let registry = json!({"predicates": [
        {"id": "rdf:type"}, {"id": "schema:name"}, {"id": "schema:knowsAbout"}, {"id": "dcterms:hasPart"},
    ]});
    let parts = MemoryParts {
        owners: MemoryOwners::default(),
        vocabulary: kg::Vocabulary::of_registry(&registry),
        resolver: world.resolver(),
    };
    let registry = register(EffectRegistry::default(), parts);
    registry.get(kind).cloned().expect("registered")
}

/// Commits the rows of an answer and applies its changes, as the driver does.
async fn settle(world: &mut World, answer: &Answer) {
    for change in &answer.changes {
        let ag_kernel::VarChange::Set(path, value) = change else {
            panic!("{change:?}")
        };
        ag_kernel::vars::set_path(&mut world.run.vars, path, value.clone());
    }
    let start = Start {
        key: None,
        generation: None,
        runs: vec![new_run(
            RunId(SystemIds.uuid()),
            RunStatus::Completed,
            Placement::Terminal,
        )],
        artifacts: answer.artifacts.clone(),
        owners: answer.owners.clone(),
        memory: answer.memory.clone(),
        mail: vec![],
        now: SystemClock.now(),
    };
    world.store.start(&world.scope, start).await.expect("start");
}

fn new_run(run_id: RunId, status: RunStatus, placement: Placement) -> NewRun {
    NewRun {
        head: RunHead {
            run_id,
            workflow_id: "b@1:other".into(),
            actor_id: None,
            session_id: Some("other session".into()),
            parent_run_id: None,
            created_at: SystemClock.now(),
        },
        pool: "default".into(),
        bundle_sha256: None,
        columns: RunColumns {
            status,
            current_node: "n".to_owned(),
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
            updated_at: SystemClock.now(),
        },
        segments: vec![],
        last_seq: 0,
        placement,
    }
}

async fn perform(world: &mut World, kind: EffectKind, payload: Value) -> Result<Value, String> {
    let answer = handler(world, kind)
        .handle(&world.ctx(), &request(kind, payload))
        .await;
    settle(world, &answer).await;
    match answer.outcome {
        Outcome::Done { result, .. } => Ok(result),
        Outcome::Failed(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

async fn done(world: &mut World, kind: EffectKind, payload: Value) -> Value {
    perform(world, kind, payload.clone())
        .await
        .unwrap_or_else(|error| panic!("{payload}: {error}"))
}

fn meta(result: &Value) -> &Value {
    &result["results"][0]["meta"]
}

fn output(result: &Value) -> &str {
    result["results"][0]["output"].as_str().expect("text")
}

/// Previews of what a query found.
fn found(result: &Value) -> Vec<&str> {
    let matches = meta(result)["matches"].as_array().expect("matches");
    matches
        .iter()
        .map(|found| found["note_preview"].as_str().unwrap_or("conversation"))
        .collect()
}

async fn note(world: &mut World, payload: Value) -> String {
    let result = done(world, EffectKind::MemoryNote, payload).await;
    meta(&result)["span_id"].as_str().expect("id").to_owned()
}

async fn query(world: &mut World, mut payload: Value) -> Value {
    payload["return"] = "both".into();
    done(world, EffectKind::MemoryQuery, payload).await
}

#[tokio::test]
async fn a_note_is_found_again() {
    let mut world = World::new(vec![]);
    let payload = json!({"note": " Hello World ", "tags": {"color": "Teal", "kind": "x", "n": 5}, "location": "Lyon",
        "sources": {"span_ids": ["s1"]}, "tool_name": "t", "call_id": "c"});
    let result = done(&mut world, EffectKind::MemoryNote, payload).await;
    let id = meta(&result)["span_id"].as_str().expect("id");
    assert_eq!(
        output(&result),
        format!("Stored memory_note span_id={id} tags={{\"color\": \"Teal\"}}")
    );
    assert_eq!(result["results"][0]["name"], "t");
    for (text, hit) in [
        ("HELLO", true),
        ("teal", true),
        ("color", true),
        ("lyon", true),
        ("memory_note", true),
        ("hello teal", false),
        ("", true),
    ] {
        let result = query(&mut world, json!({"query": text})).await;
        assert_eq!(found(&result).len(), usize::from(hit), "{text}");
    }
    let result = query(&mut world, json!({"span_id": 1})).await;
    let run = world.run.head.run_id;
    let created = meta(&result)["matches"][0]["created_at"].as_str().expect("time");
    let expected = format!(
        "Recalled memory spans (provenance-preserving):\n\n[1] span_id={id} kind=memory_note msgs= \
         created_at={created}\n    time_range: {created} .. {created}\n    created_by: gateway\n    location: Lyon\n    \
         tags: color=Teal\n    note: Hello World\n    sources.run_id: {run}\n    sources.span_ids: s1"
    );
    assert_eq!(output(&result), expected);
}

#[tokio::test]
async fn conditions_of_a_query() {
    let mut world = World::new(vec![]);
    for payload in [
        json!({"note": "a", "tags": {"t": "x", "p": "ann"}}),
        json!({"note": "b", "tags": {"t": "y", "p": "Ann"}}),
        json!({"note": "c", "location": "Paris Home"}),
    ] {
        note(&mut world, payload).await;
    }
    for (payload, expected) in [
        (json!({"tags": {"t": ["x", "y"]}}), vec!["b", "a"]),
        (
            json!({"tags": {"t": "X", "p": "none"}, "tags_mode": "any"}),
            vec!["a"],
        ),
        (json!({"tags": {"t": "x", "p": "ANN"}}), vec!["a"]),
        (json!({"authors": ["GATEWAY"]}), vec!["c", "b", "a"]),
        (json!({"usernames": "nobody"}), vec![]),
        (json!({"locations": ["PARIS HOME"]}), vec!["c"]),
        (json!({"locations": ["paris"]}), vec![]),
        (json!({"since": "2100-01-01"}), vec![]),
        (
            json!({"since": "2000-01-01", "until": "2100-01-01T00:00:00+00:00"}),
            vec!["c", "b", "a"],
        ),
        (json!({"limit_spans": 2}), vec!["c", "b"]),
        (json!({"limit_spans": 0}), vec!["c", "b", "a"]),
        (json!({"limit_spans": -1}), vec!["c"]),
        (json!({"span_ids": [3, "1", 9, 3]}), vec!["a", "c"]),
        (json!({"query": "Paris", "connected": true}), vec!["c", "b"]),
        (
            json!({"query": "Paris", "connected": true, "neighbor_hops": 2}),
            vec!["c", "b", "a"],
        ),
    ] {
        let result = query(&mut world, payload.clone()).await;
        assert_eq!(found(&result), expected, "{payload}");
    }
    let nothing = query(&mut world, json!({"query": "zz"})).await;
    assert_eq!(output(&nothing), "No matching memory spans.");
    for (payload, error) in [
        (json!({"scope": "zz"}), "Unknown memory_query scope: zz"),
        (json!({"return": "zz"}), "Unknown memory_query return mode: zz"),
        (json!({"recall_level": "zz"}), "Unknown recall_level: zz"),
        (json!({"target_run_id": "zz"}), "Unknown target_run_id: zz"),
        (
            json!({"scope": "all", "span_id": 1}),
            "memory_query scope='all' requires explicit span_ids as artifact ids (no indices)",
        ),
    ] {
        assert_eq!(
            perform(&mut world, EffectKind::MemoryQuery, payload).await,
            Err(error.to_owned())
        );
    }
}

#[tokio::test]
async fn recall_levels_cut_and_say_so() {
    let mut world = World::new(vec![]);
    note(&mut world, json!({"note": "x"})).await;
    let wish = json!({"query": "x", "recall_level": "urgent", "limit_spans": 9, "connected": true,
        "neighbor_hops": 4, "max_messages": 500});
    let result = query(&mut world, wish).await;
    let lines = [
        "clamped limit_spans from 9 to 3",
        "deep scan disabled (not allowed at this level)",
        "clamped deep_limit_spans from 50 to 0",
        "clamped deep_limit_messages_per_span from 400 to 0",
        "connected expansion disabled (not allowed at this level)",
        "clamped neighbor_hops from 4 to 0",
        "clamped max_messages from 500 to 60",
    ]
    .map(|line| format!("recall_level=urgent: {line}"));
    assert_eq!(meta(&result)["warnings"], json!(lines));
    assert!(output(&result).starts_with("[recall warnings]\n- recall_level=urgent: clamped limit_spans"));
    assert_eq!(
        meta(&result)["effort"],
        json!({"recall_level": "urgent", "applied": {"limit_spans": 3, "deep": false, "deep_limit_spans": 0,
            "deep_limit_messages_per_span": 0, "connected": false, "neighbor_hops": 0, "max_messages": 60}})
    );
    let result = query(
        &mut world,
        json!({"recall_level": "standard", "max_messages": -1}),
    )
    .await;
    assert_eq!(
        meta(&result)["warnings"][2],
        "recall_level=standard: max_messages=-1 (unbounded) is not allowed; clamped to 150"
    );
    let result = query(&mut world, json!({"recall_level": "deep", "query": "x"})).await;
    assert_eq!(meta(&result)["warnings"], Value::Null);
}

#[tokio::test]
async fn tags_are_added_or_replaced() {
    let mut world = World::new(vec![]);
    let id = note(&mut world, json!({"note": "a", "tags": {"t": "x"}})).await;
    let shared = note(&mut world, json!({"note": "s", "scope": "session"})).await;
    let run = world.run.head.run_id;
    for (payload, text) in [
        (
            json!({"span_id": id, "tags": {"u": "v", "kind": "z"}}),
            format!("Tagged span_id={id} scope=run runs=[{run}] tags={{\"t\": \"x\", \"u\": \"v\"}}"),
        ),
        (
            json!({"span_id": id, "tags": {"w": "1"}, "merge": false}),
            format!("Tagged span_id={id} scope=run runs=[{run}] tags={{\"w\": \"1\"}}"),
        ),
        (
            json!({"span_id": "1", "tags": {"i": "2"}}),
            format!("Tagged span_id={id} scope=run runs=[{run}] tags={{\"i\": \"2\", \"w\": \"1\"}}"),
        ),
        (
            json!({"span_id": shared, "tags": {"a": "1"}, "scope": "all"}),
            format!("Tagged span_id={shared} scope=all runs=[session_memory_s1] tags={{\"a\": \"1\"}}"),
        ),
    ] {
        let result = done(&mut world, EffectKind::MemoryTag, payload).await;
        assert_eq!(output(&result), text);
    }
    let result = query(&mut world, json!({"tags": {"i": "2", "w": "1"}})).await;
    assert_eq!(found(&result), ["a"]);
    let seen = view(&*world.store, &world.scope, &run.to_string())
        .await
        .expect("view");
    assert_eq!(
        (&seen[0]["tags"], &seen[0]["tagged_by"], &seen[0]["kind"]),
        (
            &json!({"w": "1", "i": "2"}),
            &json!("gateway"),
            &json!("memory_note")
        )
    );
    for (payload, error) in [
        (json!({"tags": {"a": "1"}}), "MEMORY_TAG requires payload.span_id"),
        (
            json!({"span_id": "x", "tags": {}}),
            "MEMORY_TAG requires payload.tags as a non-empty dict[str,str]",
        ),
        (
            json!({"span_id": "x", "tags": {"a": 1}}),
            "MEMORY_TAG requires at least one non-empty string tag",
        ),
        (
            json!({"span_id": "ghost", "tags": {"a": "1"}}),
            "Unknown span_id: ghost",
        ),
        (json!({"span_id": 5, "tags": {"a": "1"}}), "Unknown span index: 5"),
        (
            json!({"span_id": 1, "tags": {"a": "1"}, "scope": "all"}),
            "memory_tag scope='all' requires span_id as artifact id (no indices)",
        ),
        (
            json!({"span_id": "x", "tags": {"a": "1"}, "scope": "zz"}),
            "Unknown memory_tag scope: zz",
        ),
    ] {
        assert_eq!(
            perform(&mut world, EffectKind::MemoryTag, payload).await,
            Err(error.to_owned())
        );
    }
}

#[tokio::test]
async fn owners_are_separate() {
    let mut world = World::new(vec![]);
    for scope in ["run", "session", "global"] {
        note(&mut world, json!({"note": scope, "scope": scope})).await;
    }
    for (scope, expected) in [
        ("run", vec!["run"]),
        ("session", vec!["session"]),
        ("global", vec!["global"]),
        ("all", vec!["run", "session", "global"]),
    ] {
        let result = query(&mut world, json!({"scope": scope})).await;
        assert_eq!(found(&result), expected);
    }
    let error = perform(
        &mut world,
        EffectKind::MemoryNote,
        json!({"note": "x", "scope": "all"}),
    )
    .await;
    assert_eq!(error, Err("Unknown memory scope: all".to_owned()));
    let error = perform(&mut world, EffectKind::MemoryNote, json!({"note": "  "})).await;
    assert_eq!(
        error,
        Err("MEMORY_NOTE requires payload.note (non-empty string)".to_owned())
    );
    let elsewhere = TenantScope {
        plane: ag_types::PlaneId(2),
        ..world.scope.clone()
    };
    assert!(
        world
            .store
            .spans(&elsewhere, "global_memory")
            .await
            .expect("read")
            .is_empty()
    );
}

fn conversation(world: World) -> World {
    let messages: Vec<Value> = (0..8)
        .map(|n| {
            json!({"role": if n % 2 == 0 { "user" } else { "assistant" }, "content": format!("message {n} about t{}", n % 3),
                "metadata": {"message_id": format!("m{n}")}, "timestamp": format!("2026-01-0{}T00:00:00+00:00", n + 1)})
        })
        .collect();
    let system = json!({"role": "system", "content": "sys"});
    world.var(
        "context.messages",
        std::iter::once(system).chain(messages).collect(),
    )
}

fn messages(world: &World) -> Vec<String> {
    let found = ag_kernel::vars::get_path(&world.run.vars, "context.messages").and_then(Value::as_array);
    found
        .into_iter()
        .flatten()
        .map(|message| message["content"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn a_conversation_is_compacted_and_comes_back() {
    let mut world = conversation(World::new(vec![Step::text(
        r#"{"summary":"SUM","key_points":["k"],"confidence":0.9}"#,
    )]));
    let result = done(
        &mut world,
        EffectKind::MemoryCompact,
        json!({"preserve_recent": 2, "focus": "topics"}),
    )
    .await;
    let id = meta(&result)["span_id"].as_str().expect("id").to_owned();
    assert_eq!(
        output(&result),
        format!("Compacted 6 messages into span_id={id}.")
    );
    assert_eq!(
        (
            &meta(&result)["key_points"],
            &meta(&result)["confidence"],
            &meta(&result)["focus"]
        ),
        (&json!(["k"]), &json!(0.9), &json!("topics"))
    );
    let summary = format!("[CONVERSATION HISTORY SUMMARY span_id={id}]: SUM");
    let kept = ["message 6 about t0", "message 7 about t1"];
    assert_eq!(messages(&world), ["sys", &summary, kept[0], kept[1]]);

    for (payload, hits) in [
        (json!({"query": "about t1"}), 1),
        (json!({"query": "about t1", "deep": false}), 0),
        (json!({"query": "SUM"}), 1),
        (json!({"query": "user"}), 0),
    ] {
        let result = query(&mut world, payload.clone()).await;
        assert_eq!(found(&result).len(), hits, "{payload}");
    }
    let result = query(&mut world, json!({"span_id": id, "max_messages": 1})).await;
    assert!(
        output(&result).ends_with(&format!(
            "    summary: {summary}\n    - 2026-01-01T00:00:00+00:00 user: message 0 about t0\n    (remaining 5 messages \
             omitted by max_messages=1)"
        )),
        "{}",
        output(&result)
    );

    let back = done(
        &mut world,
        EffectKind::MemoryRehydrate,
        json!({"span_ids": [id], "max_messages": 2}),
    )
    .await;
    assert_eq!(
        back,
        json!({"inserted": 2, "skipped": 0, "effort": null, "warnings": null, "artifacts": [{"span_id": id,
            "inserted": 2, "skipped": 0, "error": null, "kind": "conversation_span",
            "preview": "user: message 0 about t0\nassistant: message 1 about t1"}]})
    );
    let back = done(
        &mut world,
        EffectKind::MemoryRehydrate,
        json!({"span_ids": [id, "ghost"], "max_messages": 1, "placement": "end"}),
    )
    .await;
    assert_eq!((&back["inserted"], &back["skipped"]), (&json!(1), &json!(2)));
    assert_eq!(back["artifacts"][1]["error"], "max_messages");
    let now = messages(&world);
    assert_eq!(&now[2..4], ["message 0 about t0", "message 1 about t1"]);
    assert_eq!(now.last().map(String::as_str), Some("message 2 about t2"));
    let back = done(
        &mut world,
        EffectKind::MemoryRehydrate,
        json!({"span_ids": ["ghost"], "recall_level": "urgent", "max_messages": 900}),
    )
    .await;
    assert_eq!(back["artifacts"][0]["error"], "missing_messages");
    assert_eq!(
        (&back["effort"]["applied"], &back["warnings"][0]),
        (
            &json!({"max_messages": 60}),
            &json!("recall_level=urgent: clamped max_messages from 900 to 60")
        )
    );
}

#[tokio::test]
async fn nothing_to_compact() {
    let mut world = World::new(vec![]);
    let result = done(&mut world, EffectKind::MemoryCompact, json!({})).await;
    assert_eq!(
        (output(&result), result["results"][0].get("meta")),
        ("No messages to compact.", None)
    );
    let mut world = conversation(world);
    for (wish, text) in [
        (
            json!(8),
            "Nothing to compact (non-system messages <= preserve_recent=8).",
        ),
        (
            json!(50),
            "Nothing to compact (non-system messages <= preserve_recent=50).",
        ),
    ] {
        let result = done(
            &mut world,
            EffectKind::MemoryCompact,
            json!({"preserve_recent": wish}),
        )
        .await;
        assert_eq!(output(&result), text);
    }
    let error = perform(&mut world, EffectKind::MemoryRehydrate, json!({})).await;
    assert_eq!(
        error,
        Err("MEMORY_REHYDRATE requires payload.span_ids (or legacy span_id)".to_owned())
    );
    let empty = done(&mut world, EffectKind::MemoryRehydrate, json!({"span_ids": []})).await;
    assert_eq!(empty, json!({"inserted": 0, "skipped": 0, "artifacts": []}));
}

#[tokio::test]
async fn a_note_stays_in_the_conversation() {
    let mut world = conversation(World::new(vec![]));
    let result = done(
        &mut world,
        EffectKind::MemoryNote,
        json!({"note": "keep", "keep_in_context": true}),
    )
    .await;
    assert_eq!(
        meta(&result)["kept_in_context"],
        json!({"inserted": 1, "skipped": 0})
    );
    assert_eq!(messages(&world)[1], "[MEMORY NOTE]\nkeep");
}

/// A run of the same plane, live or ended.
async fn other_run(world: &World, live: bool) -> RunId {
    let id = RunId(SystemIds.uuid());
    let (status, placement) = match live {
        true => (RunStatus::Running, Placement::Ready),
        false => (RunStatus::Completed, Placement::Terminal),
    };
    let start = Start {
        key: None,
        generation: None,
        runs: vec![new_run(id, status, placement)],
        artifacts: vec![],
        owners: vec![],
        memory: vec![],
        mail: vec![],
        now: SystemClock.now(),
    };
    world.store.start(&world.scope, start).await.expect("start");
    id
}

#[tokio::test]
async fn other_runs_are_asked_by_mail() {
    let mut world = World::new(vec![]);
    let (live, ended) = (other_run(&world, true).await, other_run(&world, false).await);
    // Adding rows needs nobody's help, whether the owner lives or not.
    for target in [live, ended] {
        let payload = json!({"note": "for you", "target_run_id": target.to_string()});
        note(&mut world, payload).await;
        let result = query(&mut world, json!({"target_run_id": target.to_string()})).await;
        assert_eq!(found(&result), ["for you"]);
    }
    for (kind, payload) in [
        (EffectKind::MemoryCompact, json!({"preserve_recent": 2})),
        (EffectKind::MemoryRehydrate, json!({"span_ids": ["x"]})),
        (
            EffectKind::MemoryNote,
            json!({"note": "n", "keep_in_context": true}),
        ),
    ] {
        let mut asks = payload.clone();
        asks["target_run_id"] = live.to_string().into();
        let answer = handler(&world, kind)
            .handle(&world.ctx(), &request(kind, asks.clone()))
            .await;
        assert_eq!(answer.outcome, Outcome::Asked { target: live }, "{kind:?}");
        assert_eq!(answer.mail[0].to, live);
        let write: MemoryWrite = serde_json::from_str(&answer.mail[0].body).expect("letter");
        assert_eq!((write.reply_to, &*write.key), (world.run.head.run_id, "k"));
        if let foreign::Work::Effect { payload: sent, .. } = write.work {
            assert_eq!(Value::Object(sent), payload);
        }
        asks["target_run_id"] = ended.to_string().into();
        let answer = handler(&world, kind)
            .handle(&world.ctx(), &request(kind, asks))
            .await;
        assert_eq!(answer.outcome, Outcome::Failed("target run has ended".to_owned()));
        assert!(answer.memory.is_empty(), "a failed effect leaves nothing");
    }
}

async fn assert_triples(world: &mut World, triples: &[[&str; 3]]) -> Value {
    let list: Vec<Value> = triples
        .iter()
        .map(|[s, p, o]| json!({"subject": s, "predicate": p, "object": o}))
        .collect();
    done(world, EffectKind::MemoryKgAssert, json!({"assertions": list})).await
}

#[tokio::test]
async fn statements_are_stored_in_one_form_and_once() {
    let mut world = World::new(vec![]);
    let result = assert_triples(
        &mut world,
        &[
            ["ex:Ann Miller", "schema:hasPart", "X"],
            ["ex:Ann Miller", "schema:hasPart", "X"],
        ],
    )
    .await;
    assert_eq!(
        (&result["count"], &result["skipped_duplicates"]),
        (&json!(2), &json!(0)),
        "statements of one payload are not compared"
    );
    let result = assert_triples(&mut world, &[["ex:ann-miller", "dcterms:hasPart", "x"]]).await;
    assert_eq!(
        (
            &result["count"],
            &result["count_attempted"],
            &result["skipped_duplicates"]
        ),
        (&json!(0), &json!(1), &json!(1))
    );
    let result = done(
        &mut world,
        EffectKind::MemoryKgQuery,
        json!({"subject": " EX:ann-miller ", "predicate": "schema:hasPart", "limit": 1}),
    )
    .await;
    let run = world.run.head.run_id.to_string();
    let item = &result["items"][0];
    assert_eq!(
        (
            &result["count"],
            &item["predicate"],
            &item["object"],
            &item["provenance"]
        ),
        (
            &json!(1),
            &json!("dcterms:haspart"),
            &json!("x"),
            &json!({"writer_run_id": run, "writer_workflow_id": "b@1:main"})
        )
    );
    for (payload, error) in [
        (
            json!({}),
            "MEMORY_KG_ASSERT requires payload.assertions (list[object])",
        ),
        (
            json!({"assertions": [{"subject": "a", "predicate": "made:up", "object": "x"}]}),
            "MEMORY_KG_ASSERT rejected unknown predicates. Got: made:up. Update the extractor to use allowed semantics \
             (or set allow_custom_predicates=true for ex:* predicates).",
        ),
        (
            json!({"items": [{"subject": "a", "predicate": "rdf:type", "object": 5}]}),
            "MEMORY_KG_ASSERT contained invalid assertions: TripleAssertion.object must be a non-empty string",
        ),
        (
            json!({"triples": {"subject": "a", "predicate": "rdf:type", "object": "x"}, "scope": "all"}),
            "MEMORY_KG_ASSERT contained invalid assertions: Unknown memory scope: all",
        ),
    ] {
        assert_eq!(
            perform(&mut world, EffectKind::MemoryKgAssert, payload).await,
            Err(error.to_owned())
        );
    }
    let skipped = done(&mut world, EffectKind::MemoryKgAssert, json!({"assertions": []})).await;
    assert_eq!(skipped["skipped"], true);
}

#[tokio::test]
async fn graph_queries_answer_their_failures() {
    let mut world = World::new(vec![]);
    assert_triples(&mut world, &[["ex:a", "rdf:type", "x"]]).await;
    let result = done(&mut world, EffectKind::MemoryKgQuery, json!({"scope": "zz"})).await;
    assert_eq!(
        result,
        json!({"ok": false, "count": 0, "items": [], "error": "Unknown memory scope: zz"})
    );
    let result = done(&mut world, EffectKind::MemoryKgQuery, json!({"query_text": "a"})).await;
    assert_eq!(result["ok"], false, "{result}");
    let error = perform(
        &mut world,
        EffectKind::MemoryKgQuery,
        json!({"recall_level": "zz"}),
    )
    .await;
    assert_eq!(error, Err("Unknown recall_level: zz".to_owned()));
    let result = done(
        &mut world,
        EffectKind::MemoryKgQuery,
        json!({"recall_level": "urgent", "limit": 100}),
    )
    .await;
    assert_eq!(
        (&result["effort"]["applied"], &result["warnings"]),
        (
            &json!({"limit": 40, "min_score": null, "max_input_tokens": 600}),
            &json!(["recall_level=urgent: clamped limit from 100 to 40"])
        )
    );
    assert_eq!(result["packed_count"], 1);
}

#[tokio::test]
async fn labels_are_resolved() {
    let mut world = World::new(vec![]);
    assert_triples(
        &mut world,
        &[
            ["ex:person-ann", "rdf:type", "schema:Person"],
            ["ex:person-ann", "schema:name", "Ann Miller"],
            ["ex:cat", "schema:name", "Ann Miller"],
            ["ex:person-ann", "schema:knowsAbout", "Ann Miller"],
        ],
    )
    .await;
    let payload = json!({"label": "Ann Miller", "expected_type": "schema:Person", "include_semantic": false});
    let result = done(&mut world, EffectKind::MemoryKgResolve, payload).await;
    let found = &result["candidates"][0];
    assert_eq!(
        (
            &result["count"],
            &found["id"],
            &found["types"],
            &found["score"],
            found["evidence"].as_array().map(Vec::len)
        ),
        (
            &json!(1),
            &json!("ex:person-ann"),
            &json!(["schema:person"]),
            &json!(1.0),
            Some(1)
        )
    );
    assert_eq!(
        result["raw"],
        json!({"label": "ann miller", "expected_type": "schema:person"})
    );
    let payload = json!({"label": "ann miller", "include_semantic": false});
    let result = done(&mut world, EffectKind::MemoryKgResolve, payload).await;
    assert_eq!(result["count"], 2);
    let result = done(&mut world, EffectKind::MemoryKgResolve, json!({})).await;
    assert_eq!(
        result,
        json!({"ok": false, "count": 0, "candidates": [], "error": "label is required"})
    );
}

/// The rows of an effect are in the commit of the run that executed it.
#[tokio::test]
async fn rows_ride_on_the_commit() {
    let world = World::new(vec![]);
    let session = SessionId(7);
    let opened = NewSession {
        id: session,
        pool: "default".into(),
        node: "test".to_owned(),
    };
    world.store.open_session(&SYSTEM, opened).await.expect("session");
    let id = other_run(&world, true).await;
    let key = RunKey {
        run: id,
        plane: world.scope.plane,
    };
    let claim = world
        .store
        .claim(&SYSTEM, session, &[key], &[])
        .await
        .expect("claim");
    let claimed = &claim.runs[0];
    let payload = json!({"note": "n", "scope": "global"});
    let answer = handler(&world, EffectKind::MemoryNote)
        .handle(&world.ctx(), &request(EffectKind::MemoryNote, payload))
        .await;
    assert!(matches!(answer.memory.as_slice(), [MemoryRow::Span(_)]));
    let commit = Commit {
        session,
        key,
        epoch: claimed.epoch,
        rev: claimed.rev,
        rest: Rest::Keep,
        seen: 0,
        progress: false,
        pool: None,
        columns: claimed.columns.clone().expect("state"),
        segments: vec![],
        last_seq: 0,
        children: vec![],
        mail: vec![],
        outcomes: vec![],
        artifacts: answer.artifacts,
        owners: answer.owners,
        memory: answer.memory,
    };
    world.store.commit(&SYSTEM, commit).await.expect("commit");
    assert_eq!(
        world
            .store
            .spans(&world.scope, "global_memory")
            .await
            .expect("read")
            .len(),
        1
    );
}
