use ag_tools::{SourceAnswer, SourcedTool, ToolMedia, ToolSource};

use super::*;

/// Two tools of a server; one may run without asking.
struct Server;

#[async_trait]
impl ToolSource for Server {
    fn owns(&self, name: &str) -> bool {
        name.starts_with("mcp::s::")
    }
    fn tools(&self) -> Vec<SourcedTool> {
        Vec::new()
    }
    fn auto_approved(&self) -> Vec<String> {
        vec!["mcp::s::look".to_owned()]
    }
    async fn call(&self, call: &ToolCall, _: &ToolContext) -> Result<SourceAnswer, String> {
        match call.name.as_str() {
            "mcp::s::look" => Ok(json!("seen").into()),
            "mcp::s::act" => Ok(json!({"done": call.arguments["x"]}).into()),
            "mcp::s::draw" => {
                let piece = |content_type: &str, data: &'static [u8]| ToolMedia {
                    content_type: content_type.to_owned(),
                    data: bytes::Bytes::from_static(data),
                };
                Ok(SourceAnswer {
                    output: json!("drawn"),
                    media: vec![piece("image/png", b"png"), piece("audio/wav", b"wav")],
                })
            }
            _ => Err(format!("Tool '{}' not found", call.name)),
        }
    }
}

fn effect(bench: &Bench, mode: ToolMode) -> ToolCallsEffect {
    let mut effect = bench.effect(mode);
    effect.toolbox = effect
        .toolbox
        .with_sources([Arc::new(Server) as Arc<dyn ToolSource>]);
    effect
}

async fn handle(bench: &Bench, mode: ToolMode, calls: Value) -> Answer {
    let request = request(EffectKind::ToolCalls, json!({"tool_calls": calls}));
    effect(bench, mode).handle(&bench.world.ctx(), &request).await
}

#[tokio::test]
async fn tools_of_servers_ask_unless_the_operator_trusts_them() {
    let bench = Bench::new();
    let look = call("a", "mcp::s::look", json!({}));
    let act = call("b", "mcp::s::act", json!({"x": 1}));
    let answer = handle(&bench, ToolMode::Approval, json!([look])).await;
    let results = done(&answer);
    assert_eq!(
        (&results[0]["output"], &results[0]["success"]),
        (&json!("seen"), &json!(true))
    );
    // What was seen is evidence.
    let Outcome::Done {
        state: Some(state), ..
    } = &answer.outcome
    else {
        panic!("{:?}", answer.outcome)
    };
    assert!(state["results"][0]["meta"]["evidence_id"].is_string(), "{state}");

    let answer = handle(&bench, ToolMode::Approval, json!([look, act])).await;
    let Outcome::Waiting(wait) = answer.outcome else {
        panic!("{:?}", answer.outcome)
    };
    let policy = &wait.details.as_ref().expect("details")["executor"]["policy"];
    assert_eq!(policy["auto_approve_tools"][12], "mcp::s::look");
    let batch = ApprovedBatch {
        wait,
        payload: json!({"approved": true}),
        pause: None,
    };
    let ran = effect(&bench, ToolMode::Approval)
        .run_approved(&bench.world.ctx(), &batch)
        .await;
    assert_eq!(ran.stored["results"][0]["output"], "seen");
    assert_eq!(ran.stored["results"][1]["output"], json!({"done": 1}));

    let answer = handle(&bench, ToolMode::Passthrough, json!([look])).await;
    assert!(
        matches!(answer.outcome, Outcome::Waiting(_)),
        "{:?}",
        answer.outcome
    );
    let answer = handle(
        &bench,
        ToolMode::Local,
        json!([call("c", "mcp::s::gone", json!({}))]),
    )
    .await;
    assert_eq!(done(&answer)[0]["error"], "Tool 'mcp::s::gone' not found");
}

/// What a tool draws is an artifact, named in the output and sent with the next model call.
#[tokio::test]
async fn pictures_of_tools_reach_the_next_model_call() {
    let bench = Bench::new();
    let draw = call("a", "mcp::s::draw", json!({}));
    let answer = handle(&bench, ToolMode::Local, json!([draw])).await;
    let output = &done(&answer)[0]["output"];
    let pending: Vec<&Value> = answer
        .changes
        .iter()
        .filter_map(|change| match change {
            VarChange::Append(path, items) if path == "_runtime.pending_media" => Some(items),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(pending, [&output["media"][0]], "sounds are not for every model");
    let id = output["media"][0]["$artifact"].as_str().expect("id");
    let rendered = output["rendered"].as_str().expect("text");
    assert!(
        rendered.starts_with("drawn\nAttachment: draw-1.png (id="),
        "{rendered}"
    );
    let row = answer
        .artifacts
        .iter()
        .find(|row| row.artifact_id == id)
        .expect("row");
    assert_eq!(
        (row.content_type.as_str(), row.run_id.as_deref()),
        (
            "image/png",
            Some(bench.world.run.head.run_id.to_string().as_str())
        )
    );
    assert!(answer.artifacts.iter().any(|row| row.content_type == "audio/wav"));

    // The same after an approval.
    let answer = handle(&bench, ToolMode::Approval, json!([draw])).await;
    let Outcome::Waiting(wait) = answer.outcome else {
        panic!("{:?}", answer.outcome)
    };
    let batch = ApprovedBatch {
        wait,
        payload: json!({"approved": true}),
        pause: None,
    };
    let ran = effect(&bench, ToolMode::Approval)
        .run_approved(&bench.world.ctx(), &batch)
        .await;
    assert_eq!(ran.stored["results"][0]["output"]["media"][0]["$artifact"], id);
    assert!(ran.changes.contains(&VarChange::Append(
        "_runtime.pending_media".to_owned(),
        vec![pending[0].clone()]
    )));
}
