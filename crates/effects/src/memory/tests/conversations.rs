//! Conversations: compaction, rehydration, and work on those of other runs.

use super::*;

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
pub(super) async fn other_run(world: &World, live: bool) -> RunId {
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
