//! Effects against a store in memory: what they answer, and what the next one finds of it.

mod commit;
mod conversations;
mod graph;
mod spans;

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
