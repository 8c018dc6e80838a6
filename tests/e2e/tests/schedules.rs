//! Schedules that talk for ever: their conversations are compacted before they outgrow the model.

use std::time::Duration;

use ag_e2e::{Bundle, FakeUpstream, Flow, Gateway, Options, until_some};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
const SCHEDULE: &str = "/api/gateway/runs/schedule";

/// One model call on the run's conversation.
fn talk() -> Bundle {
    let flow = Flow::new("main", &["prompt"])
        .step(
            "start",
            "l",
            "llm_call",
            json!({"use_context": true, "provider": "openai", "model": "gpt-4o-mini"}),
        )
        .data("start.prompt", "l.prompt")
        .step("l", "end", "on_flow_end", json!({}));
    Bundle::new("talk", [flow])
}

fn conversation(messages: usize) -> Value {
    let message = |n: usize| json!({"role": if n.is_multiple_of(2) { "user" } else { "assistant" }, "content": format!("message {n}")});
    json!({"prompt": "go on", "context": {"messages": (0..messages).map(message).collect::<Vec<_>>()}})
}

/// Records of a run with these nodes and states, `node:status`.
fn steps(ledger: &[Value]) -> Vec<String> {
    let text = |record: &Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    ledger
        .iter()
        .map(|record| format!("{}:{}", text(record, "node_id"), text(record, "status")))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_conversation_is_compacted_once() -> Result<()> {
    let upstream = FakeUpstream::start().await?;
    let gateway = Gateway::start(Options::default().upstream(upstream.base_url())).await?;
    let api = gateway.api();
    api.install(&talk()).await?;
    // Summaries are written by the default model.
    let route = api.request("PUT", "/api/gateway/config/capability-defaults/output/text");
    let route = route.json(&json!({"provider": "openai", "model": "gpt-4o-mini"}));
    api.send(route).await?.ok()?;
    let full = json!({"prompt_tokens": 9_000_000, "completion_tokens": 1, "total_tokens": 9_000_001});
    let script = |usage: &Value| {
        json!({"rules": [
            {"when": {"last_user_is": "go on"}, "reply": {"content": "well", "usage": usage}},
            {"when": {}, "reply": {"content": "{\"summary\": \"they talked\", \"key_points\": [], \"confidence\": 0.5}"}},
        ]})
    };
    let child_of = |run: String| {
        let api = &api;
        async move {
            until_some("an execution", LIMIT, || async {
                let items = api.get("/api/gateway/runs?limit=100").await?.ok()?;
                let items = items["items"].as_array().cloned().unwrap_or_default();
                let child = items
                    .into_iter()
                    .find(|item| item["parent_run_id"] == run.as_str() && item["status"] == "completed");
                Ok(child.and_then(|child| child["run_id"].as_str().map(str::to_owned)))
            })
            .await
        }
    };
    let scheduled = |input: Value, repeat: bool| {
        let mut body =
            json!({"bundle_id": "talk", "flow_id": "main", "input_data": input, "start_at": "now"});
        if repeat {
            body["interval"] = "1h".into();
        }
        let api = &api;
        async move {
            let started = api.post(SCHEDULE, &body).await?.ok()?;
            started["run_id"].as_str().map(str::to_owned).context("a run")
        }
    };

    upstream.script(&script(&full)).await?;
    let root = scheduled(conversation(12), true).await?;
    let child = child_of(root).await?;
    let ledger = api.ledger(&child).await?;
    let made = steps(&ledger);
    assert_eq!(
        made[..4],
        [
            "l:started",
            "l:completed",
            "auto_compact:started",
            "auto_compact:completed"
        ],
        "{made:?}"
    );
    assert_eq!(
        made.iter()
            .filter(|step| step.starts_with("auto_compact"))
            .count(),
        2,
        "{made:?}"
    );
    let effect = &ledger[3]["effect"];
    assert_eq!(effect["type"], "memory_compact");
    assert_eq!(
        effect["payload"],
        json!({"preserve_recent": 6, "compression_mode": "standard", "focus": null})
    );
    assert_eq!(effect["result_key"], "_temp.runtime.auto_compact");
    let output = ledger[3]["result"]["results"][0]["output"]
        .as_str()
        .unwrap_or_default();
    assert!(
        output.starts_with("Compacted ") && output.contains("span_id="),
        "{output}"
    );
    let key = ledger[3]["idempotency_key"].as_str().unwrap_or_default();
    assert!(
        key.starts_with("runtime:auto_compact:") && key.ends_with(":9000000"),
        "{key}"
    );

    // Neither a short conversation, nor a small one, nor what does not repeat.
    let small = json!({"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11});
    for (name, messages, usage, repeat) in [
        ("short", 9, &full, true),
        ("small", 12, &small, true),
        ("once", 12, &full, false),
    ] {
        upstream.script(&script(usage)).await?;
        let root = scheduled(conversation(messages), repeat).await?;
        let made = steps(&api.ledger(&child_of(root).await?).await?);
        assert!(
            made.iter().all(|step| !step.starts_with("auto_compact")),
            "{name}: {made:?}"
        );
    }
    Ok(())
}
