//! Statements of the knowledge graph.

use super::*;

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
