//! Notes, queries, tags, and whose they are.

use super::*;

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
