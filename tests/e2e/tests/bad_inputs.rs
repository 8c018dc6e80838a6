//! What clients must not be able to do: the answer is the contract's, and nothing has changed afterwards.

use std::{collections::BTreeSet, path::Path, time::Duration};

use ag_e2e::{Api, Bundle, Flow, Gateway, Options, Reply};
use anyhow::Result;
use serde_json::{Value, json};

const P: &str = "/api/gateway";
const LIMIT: Duration = Duration::from_secs(20);

/// What a client can see of the state, and the files below a folder.
#[derive(Debug, PartialEq)]
struct Seen {
    runs: Value,
    bundles: Value,
    flows: Value,
    files: BTreeSet<String>,
}

async fn look(api: &Api, gateway: &Gateway) -> Result<Seen> {
    let mut files = BTreeSet::new();
    list(&gateway.flows_dir(), &mut files)?;
    Ok(Seen {
        runs: api.get(&format!("{P}/runs?limit=500")).await?.ok()?,
        bundles: api
            .get(&format!("{P}/bundles?all_versions=true&include_drafts=true"))
            .await?
            .ok()?,
        flows: api.get(&format!("{P}/visualflows")).await?.ok()?,
        files,
    })
}

fn list(dir: &Path, files: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.insert(path.display().to_string());
        }
    }
    Ok(())
}

fn good() -> Bundle {
    let flow = Flow::new("main", &[])
        .step("start", "q", "ask_user", json!({"prompt": "well?"}))
        .step("q", "end", "on_flow_end", json!({}));
    Bundle::new("good", [flow])
}

/// The body of a refusal: `detail` is a text, or a list of fields for 422.
fn is_contract_error(reply: &Reply) -> bool {
    match &reply.body["detail"] {
        Value::String(text) => reply.status != 422 && !text.is_empty(),
        Value::Array(fields) => {
            let complete = |field: &Value| {
                field["type"].is_string() && field["loc"].is_array() && field["msg"].is_string()
            };
            reply.status == 422 && !fields.is_empty() && fields.iter().all(complete)
        }
        _ => false,
    }
}

struct Case {
    name: &'static str,
    method: &'static str,
    path: String,
    body: Body,
    status: u16,
    /// Part of the body's text.
    text: &'static str,
}

enum Body {
    None,
    Json(Value),
    Raw(&'static str, Vec<u8>),
}

fn case(name: &'static str, call: &str, body: Body, status: u16, text: &'static str) -> Case {
    let (method, path) = match call.split_once(' ') {
        Some(("POST", path)) => ("POST", path),
        Some((_, path)) => ("GET", path),
        None => ("GET", call),
    };
    Case {
        name,
        method,
        path: format!("{P}{path}"),
        body,
        status,
        text,
    }
}

fn raw(text: &str) -> Body {
    Body::Raw("application/json", text.as_bytes().to_vec())
}

fn table(run: &str) -> Vec<Case> {
    use Body::{Json, None, Raw};
    let start = "POST /runs/start";
    let commands = "POST /commands";
    let ledger = format!("GET /runs/{run}/ledger");
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    vec![
        case(
            "unknown bundle",
            start,
            Json(json!({"bundle_id": "nope"})),
            404,
            "Bundle 'nope' not found",
        ),
        case(
            "unknown flow",
            start,
            Json(json!({"bundle_id": "good", "flow_id": "x"})),
            404,
            "not found",
        ),
        case(
            "flow without bundle",
            start,
            Json(json!({})),
            400,
            "flow_id is required",
        ),
        case(
            "half a JSON text",
            start,
            raw("{\"bundle_id\":"),
            422,
            "json_invalid",
        ),
        case(
            "NaN",
            start,
            raw("{\"bundle_id\":\"good\",\"input_data\":{\"a\":NaN}}"),
            422,
            "json_invalid",
        ),
        case(
            "1e999",
            start,
            raw("{\"bundle_id\":\"good\",\"input_data\":{\"a\":1e999}}"),
            422,
            "json_invalid",
        ),
        case(
            "lone surrogate",
            start,
            raw("{\"bundle_id\":\"good\",\"flow_id\":\"\\ud800\"}"),
            422,
            "json_invalid",
        ),
        case(
            "10,000 levels",
            start,
            raw(&format!(
                "{{\"bundle_id\":\"good\",\"input_data\":{{\"a\":{deep}}}}}"
            )),
            422,
            "json_invalid",
        ),
        case(
            "no UTF-8",
            start,
            Raw("application/json", b"{\"bundle_id\":\"\xff\xfe\"}".to_vec()),
            422,
            "detail",
        ),
        case(
            "no content type",
            start,
            Raw("text/plain", b"{}".to_vec()),
            422,
            "model_attributes_type",
        ),
        case(
            "list for an object",
            start,
            Json(json!({"bundle_id": "good", "input_data": [1]})),
            422,
            "dict_type",
        ),
        case(
            "number for a text",
            start,
            Json(json!({"bundle_id": 5})),
            422,
            "string_type",
        ),
        case(
            "command without run",
            commands,
            Json(json!({"command_id": "c", "type": "cancel"})),
            422,
            "missing",
        ),
        case(
            "unknown command",
            commands,
            Json(json!({"command_id": "c", "run_id": run, "type": "explode"})),
            400,
            "type must be one of",
        ),
        case(
            "payload null",
            commands,
            Json(json!({"command_id": "c", "run_id": run, "type": "cancel", "payload": null})),
            422,
            "dict_type",
        ),
        case(
            "command for nobody",
            commands,
            Json(json!({"command_id": "c", "run_id": "no-such-run", "type": "cancel"})),
            404,
            "Run 'no-such-run' not found",
        ),
        case(
            "unknown run",
            "GET /runs/no-such-run",
            None,
            404,
            "Run 'no-such-run' not found",
        ),
        case(
            "run id that climbs",
            "GET /runs/..%2f..%2fetc%2fpasswd",
            None,
            404,
            "detail",
        ),
        case(
            "stream of nobody",
            "GET /runs/no-such-run/ledger/stream",
            None,
            404,
            "Run 'no-such-run' not found",
        ),
        case(
            "cursor below zero",
            &format!("{ledger}?after=-1"),
            None,
            422,
            "greater_than_equal",
        ),
        case(
            "cursor as text",
            &format!("{ledger}?after=soon"),
            None,
            422,
            "int_parsing",
        ),
        case(
            "page of none",
            &format!("{ledger}?limit=0"),
            None,
            422,
            "greater_than_equal",
        ),
        case(
            "page of too many",
            &format!("{ledger}?limit=2001"),
            None,
            422,
            "less_than_equal",
        ),
        case(
            "unknown status",
            "GET /runs?status=lost",
            None,
            400,
            "Invalid status",
        ),
        case(
            "flow id that climbs",
            "GET /visualflows/..%2f..%2fsecret",
            None,
            400,
            "unsafe characters",
        ),
        case(
            "file outside",
            "GET /files/read?path=../../etc/passwd",
            None,
            403,
            "escapes workspace root",
        ),
        case(
            "absolute file",
            "GET /files/read?path=/etc/passwd",
            None,
            403,
            "outside workspace roots",
        ),
        case(
            "body too large",
            start,
            Json(json!({"bundle_id": "good", "input_data": {"a": "x".repeat(300_000)}})),
            413,
            "Payload Too Large",
        ),
        case("unknown path", "GET /no/such/path", None, 404, "Not Found"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_get_contract_errors_and_change_nothing() -> Result<()> {
    let gateway = Gateway::start(Options::default()).await?;
    let api = gateway.api();
    api.install(&good()).await?;
    let run = api.start("good", "main", json!({})).await?;
    api.until_status(&run, &["waiting"], LIMIT).await?;
    let before = look(&api, &gateway).await?;
    let ledger = api.ledger(&run).await?;
    let mut wrong = Vec::new();
    for case in table(&run) {
        let request = api.request(case.method, &case.path);
        let request = match case.body {
            Body::None => request,
            Body::Json(value) => request.json(&value),
            Body::Raw(kind, bytes) => request.header("content-type", kind).body(bytes),
        };
        let reply = api.send(request).await?;
        if reply.status != case.status || !reply.text.contains(case.text) || !is_contract_error(&reply) {
            // Cut: what was given away must not fill the log as well.
            let got: String = reply.text.chars().take(200).collect();
            wrong.push(format!(
                "{}: wanted {} with {:?}, got {} {got}",
                case.name, case.status, case.text, reply.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(look(&api, &gateway).await?, before);
    assert_eq!(api.ledger(&run).await?, ledger);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_tokens_see_and_change_nothing() -> Result<()> {
    // Locking out is a subject of its own.
    let gateway = Gateway::start(Options::default().env("ABSTRACTGATEWAY_LOCKOUT_AFTER", "1000")).await?;
    let api = gateway.api();
    api.install(&good()).await?;
    let before = look(&api, &gateway).await?;
    let half = &gateway.token()[..gateway.token().len() / 2];
    for token in ["", "wrong", half, "0", "'; DROP TABLE runs; --"] {
        let stranger = api.with_token(token);
        for (method, path) in [
            ("GET", "/runs"),
            ("GET", "/bundles"),
            ("POST", "/runs/start"),
            ("POST", "/commands"),
        ] {
            let request = stranger
                .request(method, &format!("{P}{path}"))
                .json(&json!({"bundle_id": "good"}));
            let reply = stranger.send(request).await?;
            assert_eq!(
                reply.status, 401,
                "{method} {path} with {token:?}: {}",
                reply.text
            );
            assert_eq!(reply.body["detail"], "Unauthorized");
        }
    }
    assert_eq!(look(&api, &gateway).await?, before);
    Ok(())
}

/// 100 MB of zeros in 100 KB, members that climb out, a file that is no archive: refused, and nothing is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_archives_are_refused() -> Result<()> {
    let gateway = Gateway::start(Options::default()).await?;
    let api = gateway.api();
    api.install(&good()).await?;
    let before = look(&api, &gateway).await?;
    let bomb = good().member("assets/zeros", vec![0; 100 << 20]).bytes()?;
    let many = (0..5_000).fold(good(), |bundle, n| {
        bundle.member(&format!("assets/{n}"), Vec::new())
    });
    let cases = [
        ("bomb", bomb, &[400, 413][..]),
        (
            "climbs",
            good().member("../evil.txt", b"evil".to_vec()).bytes()?,
            &[400, 413, 500],
        ),
        (
            "absolute",
            good().member("/tmp/ag-e2e-evil.txt", b"evil".to_vec()).bytes()?,
            &[400, 413, 500],
        ),
        (
            "backslashes",
            good().member("..\\evil.txt", b"evil".to_vec()).bytes()?,
            &[400, 413, 500],
        ),
        ("many members", many.bytes()?, &[400, 413]),
        ("no archive", b"not a zip".to_vec(), &[500]),
        ("nothing", Vec::new(), &[400]),
        (
            "cut off",
            good().bytes().map(|bytes| bytes[..bytes.len() / 2].to_vec())?,
            &[400, 500],
        ),
    ];
    for (name, bytes, statuses) in cases {
        let reply = api.upload("good@1.0.0.flow", bytes).await?;
        assert!(
            statuses.contains(&reply.status),
            "{name}: {} {}",
            reply.status,
            reply.text
        );
        assert!(is_contract_error(&reply), "{name}: {}", reply.text);
        assert_eq!(look(&api, &gateway).await?, before, "after {name}");
    }
    for evil in [
        gateway.flows_dir().join("../evil.txt"),
        "/tmp/ag-e2e-evil.txt".into(),
    ] {
        assert!(!evil.exists(), "{} was written", evil.display());
    }
    let run = api.start("good", "main", json!({})).await?;
    api.until_status(&run, &["waiting"], LIMIT).await?;
    Ok(())
}

/// Flows that cannot mean anything end as the recorded ones do, and their run is an ordinary one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senseless_flows_end() -> Result<()> {
    let gateway = Gateway::start(Options::default()).await?;
    let api = gateway.api();
    let mystery = Flow::new("mystery", &[])
        .step("start", "m", "quantum_flux", json!({}))
        .step("m", "end", "on_flow_end", json!({}))
        .data("m.w", "end.w");
    let cycle = Flow::new("cycle", &[])
        .step("start", "end", "on_flow_end", json!({}))
        .node("a", "concat", json!({}))
        .node("b", "concat", json!({}))
        .data("a.result", "b.x")
        .data("b.result", "a.x")
        .data("a.result", "end.v");
    let endless = Flow::new("endless", &[])
        .step("start", "a", "answer_user", json!({"message": "again"}))
        .then("a", "a");
    api.install(&Bundle::new("odd", [mystery, cycle, endless]))
        .await?;

    let run = api.start("odd", "mystery", json!({})).await?;
    api.until_status(&run, &["completed"], LIMIT).await?;
    assert_eq!(output(&api, &run).await?, json!({"w": null, "success": true}));

    let run = api.start("odd", "cycle", json!({})).await?;
    api.until_status(&run, &["completed"], LIMIT).await?;
    let seen = output(&api, &run).await?;
    assert_eq!(seen["success"], false);
    assert_eq!(seen["error"], "Data edge cycle detected at 'a'");

    let run = api.start("odd", "endless", json!({})).await?;
    api.until_status(&run, &["running"], LIMIT).await?;
    api.command("stop", &run, "cancel", json!({})).await?.ok()?;
    api.until_status(&run, &["cancelled"], LIMIT).await?;
    Ok(())
}

async fn output(api: &Api, run: &str) -> Result<Value> {
    let records = api.ledger(run).await?;
    let ended = records
        .iter()
        .rev()
        .find(|record| record["result"]["completed"] == true);
    Ok(ended
        .map(|record| record["result"]["output"].clone())
        .unwrap_or_default())
}
