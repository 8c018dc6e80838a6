//! Runs go where their nodes belong (D17, D19).

use std::{sync::Arc, time::Duration};

use ag_messaging::{Bell, Control, WakeUps, local::LocalBell};
use ag_runner::{Company, RunnerOptions};
use ag_store::PoolLoad;
use ag_types::{RunKey, RunStatus, SessionId, SystemScope};
use ag_visualflow::{NodeCatalogue, NodeType};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Place;
use crate::support::{
    Embedded, Setup,
    flow::{answer, ask, emit, line, line_to, listen, model, node, subflow},
    output,
};

const SYSTEM: SystemScope = SystemScope::new("test");

pub(super) fn runner_of(pool: &str, workspace: bool) -> RunnerOptions {
    RunnerOptions {
        pool: pool.into(),
        company: Company::Others { workspace },
        pool_grace: Duration::ZERO,
        ..RunnerOptions::default()
    }
}

async fn cluster(place: &Place, workspace: bool) -> Embedded {
    let setup = Setup {
        runner: runner_of("default", workspace),
        ..place.setup()
    };
    place.gateway(setup).await
}

fn in_pool(mut node: Value, pool: &str) -> Value {
    node["data"]["pool"] = pool.into();
    node
}

async fn load(gateway: &Embedded, pool: &str) -> Option<PoolLoad> {
    let pools = gateway.deps.store.pools(&SYSTEM).await.expect("pools");
    pools.into_iter().find(|load| &*load.pool == pool)
}

async fn until(what: &str, mut wanted: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !wanted().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(done.is_ok(), "never: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_pool_is_executed_there_and_the_run_comes_home() {
    let place = Place::new();
    let gateway = cluster(&place, true).await;
    let nodes = vec![
        answer("a", "before"),
        in_pool(model("l", "gate"), "gpu"),
        answer("b", "after"),
        ask("q"),
    ];
    gateway
        .install(&[("main", line_to(nodes, Some(("l", "response"))))])
        .await;
    let live = gateway.runner.live_pools();
    until("it is known that nobody serves gpu", async || live.lacks("gpu")).await;
    let run = gateway.run("main", json!({})).await;
    until("the run waits for a runner of gpu", async || {
        load(&gateway, "gpu")
            .await
            .is_some_and(|gpu| (gpu.ready, gpu.runners) == (1, 0))
    })
    .await;
    let row = gateway.row(run).await;
    assert_eq!(
        (row.columns.status, &*row.columns.current_node),
        (RunStatus::Running, "l")
    );
    let vars: Value = serde_json::from_str(&row.columns.vars).expect("vars");
    let warning = "no runner serves pool 'gpu'; the run waits for one";
    assert_eq!(vars["_flow_warnings"], json!([warning]));
    assert_eq!(place.model.calls(), [], "nobody else made the call");

    let gpu = gateway.join(runner_of("gpu", true)).await;
    place.model.called(1).await;
    let held = |load: Option<PoolLoad>| load.map_or(0, |load| load.leased);
    assert_eq!(held(load(&gateway, "gpu").await), 1);
    assert_eq!(held(load(&gateway, "default").await), 0);
    place.model.gate.add_permits(1);
    gateway.waiting(run).await;
    // The question rests at home: its answer needs no runner of the other pool.
    gpu.leave().await;
    gateway
        .command(run, "resume", json!({"payload": {"response": "x"}}))
        .await;
    let row = gateway.ended(run).await;
    assert_eq!(output(&row)["got"], "re: gate");
    assert_eq!(place.model.attempts(), [1]);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_name_pools_and_children_inherit() {
    let place = Place::new();
    let gateway = cluster(&place, true).await;
    let flows = [
        (
            "parent",
            line_to(vec![subflow("s", "child")], Some(("s", "output"))),
        ),
        ("child", line(vec![model("l", "gate")])),
    ];
    gateway
        .install_in(&gateway.scope, &json!({"pool": "gpu"}), &flows)
        .await;
    let run = gateway.run("parent", json!({})).await;
    let gpu = gateway.join(runner_of("gpu", true)).await;
    place.model.called(1).await;
    assert_eq!(
        load(&gateway, "gpu").await.expect("gpu").leased,
        1,
        "the child's call"
    );
    assert_eq!(load(&gateway, "default").await.expect("default").leased, 0);
    place.model.gate.add_permits(1);
    assert_eq!(gateway.ended(run).await.columns.status, RunStatus::Completed);
    gpu.leave().await;
    gateway.stop().await;
}

/// A bell that remembers where it was rung, and for whom.
#[derive(Default)]
struct Remembering {
    bell: LocalBell,
    rung: Mutex<Vec<(String, RunKey)>>,
}

#[async_trait]
impl Bell for Remembering {
    async fn ring(&self, pool: &str, runs: &[RunKey]) {
        let rung = runs.iter().map(|key| (pool.to_owned(), *key));
        self.rung.lock().extend(rung);
        self.bell.ring(pool, runs).await;
    }
    async fn listen(&self, pool: Arc<str>) -> Box<dyn WakeUps> {
        self.bell.listen(pool).await
    }
    async fn control(&self, session: SessionId, message: Control) {
        self.bell.control(session, message).await;
    }
    async fn controls(&self, session: SessionId) -> tokio::sync::mpsc::Receiver<Control> {
        self.bell.controls(session).await
    }
    fn healthy(&self) -> bool {
        self.bell.healthy()
    }
}

/// Mail to a run of another pool rings there, and nobody has to hand the run on.
#[tokio::test(flavor = "multi_thread")]
async fn mail_rings_where_its_target_belongs() {
    let place = Place::new();
    let bell = Arc::new(Remembering::default());
    let setup = Setup {
        runner: runner_of("default", true),
        bell: Some(bell.clone()),
        ..place.setup()
    };
    let gateway = place.gateway(setup).await;
    let flows = [
        ("hears", line(vec![listen("w", "news")])),
        ("tells", line(vec![in_pool(emit("e", "news"), "gpu")])),
    ];
    gateway.install(&flows).await;
    let gpu = gateway.join(runner_of("gpu", true)).await;
    let hears = gateway.run("hears", json!({})).await;
    gateway.waiting(hears).await;
    bell.rung.lock().clear();
    let tells = gateway.run("tells", json!({})).await;
    gateway.ended(tells).await;
    assert_eq!(gateway.ended(hears).await.columns.status, RunStatus::Completed);
    let of = |run| {
        let rung = bell.rung.lock();
        let pools: Vec<String> = rung
            .iter()
            .filter(|(_, key)| key.run == run)
            .map(|(pool, _)| pool.clone())
            .collect();
        pools
    };
    assert_eq!(of(hears), ["default"], "once, at home");
    assert_eq!(of(tells), ["default", "gpu", "default"], "there and back");
    gpu.leave().await;
    gateway.stop().await;
}

/// D17: a runner without workspaces leaves runs with file or tool nodes to others and does everything else.
#[tokio::test(flavor = "multi_thread")]
async fn files_need_a_runner_with_workspaces() {
    let place = Place::new();
    let gateway = cluster(&place, false).await;
    let read = node(
        "r",
        "read_file",
        &[crate::support::flow::IN, ("file_path", "string")],
        &[crate::support::flow::OUT, ("content", "string")],
        json!({"pinDefaults": {"file_path": "a.txt"}}),
    );
    gateway
        .install(&[
            ("files", line(vec![answer("a", "1"), read])),
            ("plain", line(vec![answer("a", "1"), model("l", "x")])),
        ])
        .await;
    let files = gateway.run("files", json!({})).await;
    for _ in 0..5 {
        let plain = gateway.run("plain", json!({})).await;
        assert_eq!(gateway.ended(plain).await.columns.status, RunStatus::Completed);
    }
    let row = gateway.row(files).await;
    assert_eq!(
        (row.columns.status, row.last_seq),
        (RunStatus::Running, 0),
        "nobody began it"
    );
    let able = gateway.join(runner_of("default", true)).await;
    gateway.ended(files).await;
    able.leave().await;
    gateway.stop().await;
}

/// A run that nobody here can execute still hears its cancel.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_back_can_be_cancelled() {
    let place = Place::new();
    let gateway = cluster(&place, false).await;
    let tool = node(
        "t",
        "tool_calls",
        &[crate::support::flow::IN],
        &[crate::support::flow::OUT],
        json!({}),
    );
    gateway.install(&[("tools", line(vec![tool]))]).await;
    let run = gateway.run("tools", json!({})).await;
    until("the run was handed back", async || {
        let load = load(&gateway, "default").await.expect("pool");
        (load.ready, load.leased) == (1, 0)
    })
    .await;
    gateway.command(run, "cancel", json!({"reason": "enough"})).await;
    // Left alone for half a minute by the runner that refused it; another one of its kind comes by.
    let other = gateway.join(runner_of("default", false)).await;
    let row = gateway.ended(run).await;
    assert_eq!(row.columns.status, RunStatus::Cancelled);
    other.leave().await;
    gateway.stop().await;
}

/// Embedded, pools mean nothing: the one runner also takes what was put into another pool before.
#[tokio::test(flavor = "multi_thread")]
async fn a_lonely_runner_executes_every_pool() {
    let place = Place::new();
    let flow = [("main", line(vec![ask("q"), in_pool(model("l", "x"), "gpu")]))];
    let cluster = cluster(&place, true).await;
    cluster
        .install_in(&cluster.scope, &json!({"pool": "tpu"}), &flow)
        .await;
    let run = cluster.run("main", json!({})).await;
    until("the run waits in its pool", async || {
        load(&cluster, "tpu").await.is_some()
    })
    .await;
    cluster.stop().await;
    let alone = place.gateway(place.setup()).await;
    alone.waiting(run).await;
    alone
        .command(run, "resume", json!({"payload": {"response": "x"}}))
        .await;
    assert_eq!(alone.ended(run).await.columns.status, RunStatus::Completed);
    alone.stop().await;
}

/// A registry from before a node type was invented.
struct Older(&'static str);

impl NodeCatalogue for Older {
    fn find(&self, kind: &str) -> Option<&NodeType> {
        static REGISTRY: ag_nodes::Registry = ag_nodes::Registry;
        (kind != self.0).then(|| REGISTRY.find(kind)).flatten()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_runner_hands_back_what_only_newer_ones_know() {
    let place = Place::new();
    let setup = Setup {
        runner: runner_of("default", true),
        runner_catalogue: Some(Arc::new(Older("concat"))),
        ..place.setup()
    };
    let gateway = place.gateway(setup).await;
    let pin = |id: &str| json!({"id": id, "label": id, "type": "string"});
    let mut invented = line_to(vec![answer("a", "1"), model("l", "x")], Some(("c", "result")));
    let concat = json!({"id": "c", "type": "concat", "position": {"x": 0, "y": 0}, "data": {
        "nodeType": "concat", "label": "c", "inputs": [pin("a"), pin("b")], "outputs": [pin("result")],
        "pinDefaults": {"a": "x", "b": "y"},
    }});
    invented["nodes"].as_array_mut().expect("nodes").push(concat);
    // A type that nobody knows is an identity function for everybody.
    let nobody = node(
        "n",
        "never_heard_of_it",
        &[crate::support::flow::IN],
        &[crate::support::flow::OUT],
        json!({}),
    );
    gateway
        .install(&[
            ("invented", invented),
            ("nobody", line(vec![nobody, model("l", "y")])),
        ])
        .await;
    let run = gateway.run("invented", json!({})).await;
    let strange = gateway.run("nobody", json!({})).await;
    assert_eq!(gateway.ended(strange).await.columns.status, RunStatus::Completed);
    assert_eq!(
        gateway.row(run).await.last_seq,
        0,
        "the older runner did not begin it"
    );
    let newer = gateway.join(runner_of("default", true)).await;
    let row = gateway.ended(run).await;
    assert_eq!(row.columns.status, RunStatus::Completed);
    assert_eq!(output(&row)["got"], "x y");
    newer.leave().await;
    gateway.stop().await;
}
