//! A client that works through a fixed list of requests, remembers what was acknowledged, and after a crash of the
//! gateway repeats from the beginning with the same keys, as a careful client would.

use std::{collections::BTreeMap, time::Duration};

use ag_engine::StartRequest;
use ag_store::{RunRow, StartKey};
use ag_types::{RunId, Timestamp};
use serde_json::{Value, json};

use crate::support::{Embedded, faults::Faults, flow::*};

/// Longest wait for one condition.
const PATIENCE: Duration = Duration::from_secs(10);

/// The flows that the script starts.
pub(super) fn flows() -> Vec<(&'static str, Value)> {
    vec![
        (
            "chain",
            line_to(vec![answer("a", "1"), answer("b", "2")], Some(("b", "message"))),
        ),
        ("asking", line_to(vec![ask("q")], Some(("q", "response")))),
        ("timer", line(vec![delay("w", 0.02), answer("a", "late")])),
        (
            "parent",
            line_to(
                vec![subflow("s", "asking"), answer("a", "after")],
                Some(("s", "output")),
            ),
        ),
        ("tree", line(vec![subflow("s", "parent")])),
        (
            "listener",
            line_to(
                vec![listen("w", "ping"), answer("a", "heard")],
                Some(("a", "message")),
            ),
        ),
        (
            "emitter",
            line_to(vec![emit("e", "ping")], Some(("e", "delivered"))),
        ),
        (
            "calls",
            line_to(
                vec![model("x", "1"), model("y", "2"), model("z", "3")],
                Some(("z", "response")),
            ),
        ),
        (
            "quiet",
            line_to(
                vec![listen("w", "never"), answer("a", "done")],
                Some(("a", "message")),
            ),
        ),
    ]
}

/// The gateway died.
#[derive(Debug)]
pub(super) struct Died;

/// What the client was told.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Acknowledged starts by name.
    pub(super) runs: BTreeMap<&'static str, RunId>,
    /// Acknowledged commands.
    pub(super) commands: Vec<&'static str>,
}

/// One client of one gateway.
pub(super) struct Client<'g> {
    pub(super) gateway: &'g Embedded,
    pub(super) faults: &'g Faults,
    pub(super) journal: &'g mut Journal,
}

impl Client<'_> {
    /// All requests in order. Returns when every run has ended.
    pub(super) async fn work(&mut self) -> Result<(), Died> {
        self.start("chain", "chain").await?;
        let calls = self.start("calls", "calls").await?;
        let timer = self.start("timer", "timer").await?;
        let asked = self.start("asked", "asking").await?;
        let parent = self.start("parent", "parent").await?;
        let tree = self.start("tree", "tree").await?;
        let listener = self.start("listener", "listener").await?;
        let quiet = self.start("quiet", "quiet").await?;

        self.until(asked, rests).await?;
        self.command("answer", asked, "resume", json!({"payload": {"response": "Ada"}}))
            .await?;
        self.until(quiet, rests).await?;
        self.command("pause", quiet, "pause", json!({"reason": "lunch"}))
            .await?;
        self.until(quiet, |row| row.columns.paused || was_paused(row))
            .await?;
        self.command("unpause", quiet, "resume", json!({})).await?;
        self.until(quiet, was_paused).await?;
        self.command("go", quiet, "resume", json!({"payload": {"v": 1}}))
            .await?;
        self.until(listener, rests).await?;
        let emitter = self.start("emitter", "emitter").await?;

        let child = self.child(parent).await?;
        self.until(child, rests).await?;
        self.command(
            "answer-child",
            child,
            "resume",
            json!({"payload": {"response": "Bob"}}),
        )
        .await?;
        let middle = self.child(tree).await?;
        let leaf = self.child(middle).await?;
        self.until(leaf, rests).await?;
        self.command("cancel", tree, "cancel", json!({"reason": "enough"}))
            .await?;
        for run in [
            calls, timer, asked, parent, tree, middle, leaf, child, listener, emitter, quiet,
        ] {
            self.until(run, |row| row.columns.status.is_terminal()).await?;
        }
        Ok(())
    }

    async fn start(&mut self, name: &'static str, flow: &str) -> Result<RunId, Died> {
        let request = StartRequest {
            flow_id: Some(format!("b:{flow}")),
            key: Some(StartKey {
                key: name.to_owned(),
                body_sha256: [7; 32],
                expires_before: Timestamp::from_micros(0),
            }),
            ..StartRequest::default()
        };
        let started = self.gateway.starter.start(&self.gateway.scope, request).await;
        let run = self.alive(started)?;
        if let Some(known) = self.journal.runs.insert(name, run) {
            assert_eq!(known, run, "a repeated start of '{name}' made another run");
        }
        Ok(run)
    }

    async fn command(
        &mut self,
        id: &'static str,
        run: RunId,
        kind: &str,
        payload: Value,
    ) -> Result<(), Died> {
        let posted = self.gateway.post(id, run, kind, payload).await;
        let receipt = self.alive(posted)?;
        let known = self.journal.commands.contains(&id);
        assert!(
            !known || receipt.duplicate,
            "'{id}' was acknowledged before and is forgotten"
        );
        if !known {
            self.journal.commands.push(id);
        }
        Ok(())
    }

    async fn until(&self, run: RunId, wanted: impl Fn(&RunRow) -> bool) -> Result<(), Died> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let row = self.gateway.deps.store.run(&self.gateway.scope, run).await;
            let row = self.alive(row)?.expect("an acknowledged run exists");
            if wanted(&row) {
                return Ok(());
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "run {run} is stuck: {row:?}"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn child(&self, run: RunId) -> Result<RunId, Died> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let children = self.gateway.deps.store.children(&self.gateway.scope, run).await;
            if let Some(child) = self.alive(children)?.first() {
                return Ok(child.head.run_id);
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "run {run} never had a child"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Errors are only fine on a dead gateway.
    fn alive<T, E: std::fmt::Debug>(&self, answer: Result<T, E>) -> Result<T, Died> {
        answer.map_err(|error| {
            assert!(self.faults.is_dead(), "a living gateway failed: {error:?}");
            Died
        })
    }
}

/// Waiting, or past it.
fn rests(row: &RunRow) -> bool {
    row.columns.wait.is_some() || row.columns.status.is_terminal()
}

/// Paused once and un-paused since.
fn was_paused(row: &RunRow) -> bool {
    !row.columns.paused && row.columns.vars.contains("resumed_at")
}
