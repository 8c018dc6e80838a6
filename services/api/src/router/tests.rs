//! Addressing, the order of the security checks, and what every answer carries.

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::json;

use super::*;
use crate::testkit::{Node, TOKEN, json_request, request};

#[tokio::test]
async fn addressing() {
    let node = Node::new();
    for (method, path, status, allow) in [
        ("GET", "/api/gateway/nothing", 404, None),
        ("PUT", "/api/gateway/runs/start", 405, Some("POST")),
        ("POST", "/api/gateway/commands/x", 405, Some("GET")),
        ("HEAD", "/api/gateway/ping", 405, Some("GET")),
        ("HEAD", "/api/health", 405, Some("GET")),
        ("HEAD", "/api/nothing", 404, None),
        ("OPTIONS", "/api/gateway/ping", 405, Some("GET")),
    ] {
        let answer = node
            .send(request(method, path).body(Body::empty()).expect("request"))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("allow")),
            (status, allow),
            "{method} {path}"
        );
        if method != "HEAD" {
            let detail = if status == 404 {
                "Not Found"
            } else {
                "Method Not Allowed"
            };
            assert_eq!(answer.json(), json!({"detail": detail}));
        }
    }
    let slash = request("GET", "/api/gateway/ping/?a=1")
        .header("host", "h:1")
        .body(Body::empty())
        .expect("request");
    let answer = node.send(slash).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (307, Some("http://h:1/api/gateway/ping?a=1"))
    );
    let root = node
        .send(Request::builder().uri("/").body(Body::empty()).expect("request"))
        .await;
    assert_eq!(
        (root.status.as_u16(), root.header("location")),
        (307, Some("/console"))
    );
}

#[tokio::test]
async fn identity() {
    let node = Node::new();
    let health = node
        .send(
            Request::builder()
                .uri("/api/health")
                .body(Body::empty())
                .expect("request"),
        )
        .await;
    assert_eq!(
        health.text(),
        r#"{"status":"healthy","service":"abstractgateway"}"#
    );
    assert_eq!(health.header("x-request-id"), None);
    let me = node.get("/api/gateway/me").await;
    assert_eq!(me.json()["principal"]["user_id"], "local-admin");
    assert_eq!(
        me.json()["auth"],
        json!({"mode": "legacy-token", "user_auth_enabled": false})
    );
    assert_eq!(
        me.json()["routing"],
        json!({"mode": "single-user", "one_user_one_runtime": false})
    );
    assert_eq!(node.get("/api/gateway/ping").await.json()["ok"], true);
}

/// Each request fails several checks; the earliest one answers (core-security §1).
#[tokio::test]
async fn the_first_failing_check_answers() {
    let node = Node::with(|config| {
        config.limits.max_body_bytes = 10;
        config.auth.lockout_after = 3;
        config.auth.lockout_base_s = 60.0;
    });
    let long = "x".repeat(11);
    let call = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body.to_owned())).expect("request")
    };
    let bearer = format!("Bearer {TOKEN}");
    let evil = ("origin", "https://evil.example");
    let wrong = ("authorization", "Bearer wrong");
    let right = ("authorization", bearer.as_str());
    let commands = "/api/gateway/commands";
    let cases: Vec<(Request<Body>, u16, &str)> = vec![
        (
            call("POST", commands, &[evil, wrong], &long),
            403,
            "Forbidden (origin not allowed)",
        ),
        (call("POST", commands, &[wrong], &long), 401, "Unauthorized"),
        (
            call(
                "POST",
                commands,
                &[("x-abstractgateway-session", "agws_a.b")],
                &long,
            ),
            401,
            "Unauthorized",
        ),
        (call("GET", "/api/gateway/nothing", &[], ""), 401, "Unauthorized"),
        (
            call("POST", commands, &[right], &long),
            413,
            "Payload Too Large (11 bytes > 10 bytes)",
        ),
        (
            call("POST", commands, &[right, ("content-length", "12")], &long),
            413,
            "Payload Too Large (12 bytes > 10 bytes)",
        ),
        (call("GET", commands, &[right], ""), 405, "Method Not Allowed"),
        // Valid calls in between have reset the count of failures.
        (call("POST", commands, &[wrong], ""), 401, "Unauthorized"),
        (call("POST", commands, &[wrong], ""), 401, "Unauthorized"),
        (
            call("POST", commands, &[wrong], ""),
            429,
            "Too Many Requests (auth lockout)",
        ),
        (
            call("POST", commands, &[wrong], ""),
            429,
            "Too Many Requests (auth lockout)",
        ),
        (
            call("GET", "/api/gateway/nothing", &[right], ""),
            404,
            "Not Found",
        ),
    ];
    for (index, (request, status, detail)) in cases.into_iter().enumerate() {
        let answer = node.send(request).await;
        assert_eq!(answer.refusal(), (status, detail.to_owned()), "case {index}");
        assert!(
            answer.header("x-request-id").is_some_and(|id| id.len() == 32),
            "case {index}"
        );
        assert_eq!(answer.header("vary"), Some("Origin"));
        match status {
            401 => assert_eq!(answer.header("www-authenticate"), Some("Bearer")),
            429 => assert!(answer.header("retry-after").is_some()),
            _ => {}
        }
        let charset = answer
            .header("content-type")
            .is_some_and(|kind| kind.ends_with("; charset=utf-8"));
        assert_eq!(charset, !matches!(status, 404 | 405), "case {index}");
    }
}

/// No operation behind the security layer answers without a credential, and outside of it only the public ones exist.
#[tokio::test]
async fn every_operation_wants_a_credential_or_is_public() {
    let node = Node::with(|config| config.auth.lockout_after = 100_000);
    for operation in routes::FAMILIES.iter().flat_map(|family| family.operations) {
        let public = ag_auth::PUBLIC_ROUTES
            .iter()
            .any(|route| (route.method, route.path) == (operation.method, operation.path));
        if !ag_auth::is_gated(operation.path) {
            assert!(
                public,
                "{} {} is outside of the security layer",
                operation.method, operation.path
            );
            continue;
        }
        let path: String = operation.path.replace(['{', '}'], "");
        let request = Request::builder()
            .method(operation.method)
            .uri(&path)
            .body(Body::empty())
            .expect("request");
        let answer = node.send(request).await;
        assert_eq!(
            answer.status == StatusCode::UNAUTHORIZED,
            !public,
            "{} {path}: {}",
            operation.method,
            answer.status
        );
    }
}

/// A run of another plane answers exactly like one that does not exist (architecture D8).
#[tokio::test]
async fn foreign_runs_are_absent() {
    let mut node = Node::new();
    let key = ag_types::PlaneKey {
        tenant_id: "t".into(),
        runtime_id: "r".into(),
    };
    node.scope = node
        .store
        .plane(&ag_types::SystemScope::new("test"), &key)
        .await
        .expect("plane");
    let run = node
        .store_run(crate::testkit::Seed {
            records: 3,
            ..crate::testkit::Seed::default()
        })
        .await;
    let absent = "00000000-0000-4000-8000-000000000001";
    for path in ["", "/ledger", "/ledger/stream", "/input_data", "/history_bundle"] {
        let of = async |id: &str| {
            let answer = node.get(&format!("/api/gateway/runs/{id}{path}")).await;
            (answer.status, answer.text().replace(id, "<id>"))
        };
        let foreign = of(&run.to_string()).await;
        assert_eq!(foreign.0, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(foreign, of(absent).await, "{path}");
    }
    let batch = node
        .post(
            "/api/gateway/runs/ledger/batch",
            &json!({"runs": [{"run_id": run.to_string()}]}),
        )
        .await;
    assert_eq!(batch.json(), json!({"runs": {}}));
    let cancel = json!({"command_id": "c", "run_id": run.to_string(), "type": "cancel"});
    assert_eq!(
        node.post("/api/gateway/commands", &cancel).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(node.get("/api/gateway/runs").await.json()["items"], json!([]));
}

#[tokio::test]
async fn places_are_limited() {
    let node = Node::with(|config| config.limits.max_sse = 1);
    let run = node.store_run(crate::testkit::Seed::default()).await;
    let path = format!("/api/gateway/runs/{run}/ledger/stream");
    let stream = || request("GET", &path).body(Body::empty()).expect("request");
    let first = node.open(stream()).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(
        first.headers()["content-type"],
        "text/event-stream; charset=utf-8"
    );
    let second = node.send(stream()).await;
    assert_eq!(
        second.refusal(),
        (429, "Too Many Requests (concurrency limit)".to_owned())
    );
    assert_eq!(second.header("retry-after"), Some("1"));
    assert_eq!(
        node.get("/api/gateway/ping").await.status,
        StatusCode::OK,
        "requests have places of their own"
    );
    drop(first);
    assert_eq!(
        node.open(stream()).await.status(),
        StatusCode::OK,
        "the place was given back"
    );
}

#[tokio::test]
async fn cors_is_on_every_answer() {
    let node = Node::new();
    let origin = "http://localhost:3000";
    let refused = Request::builder()
        .uri("/api/gateway/me")
        .header("origin", origin)
        .body(Body::empty());
    let answer = node.send(refused.expect("request")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    let preflight = Request::builder()
        .method("OPTIONS")
        .uri("/api/gateway/runs/start")
        .header("origin", "https://any.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-a");
    let answer = node.send(preflight.body(Body::empty()).expect("request")).await;
    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "OK"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("x-a"));
    assert_eq!(answer.header("access-control-max-age"), Some("600"));
}

#[tokio::test]
async fn writes_are_audited_and_reads_are_not() {
    let node = Node::new();
    node.get("/api/gateway/ping").await;
    let body = json!({"command_id": "c", "run_id": "r", "type": "emit_event", "payload": {"name": "n"}});
    let mut request = json_request("/api/gateway/commands?secret=1", &body);
    request
        .headers_mut()
        .insert("x-request-id", HeaderValue::from_static(" mine "));
    let answer = node.send(request).await;
    assert_eq!(
        (answer.status, answer.header("x-request-id")),
        (StatusCode::OK, Some("mine"))
    );
    let bad = Request::builder()
        .method("POST")
        .uri("/api/gateway/commands")
        .header("authorization", "Bearer no");
    node.send(bad.body(Body::empty()).expect("request")).await;
    let records = node.audit.0.lock();
    let [accepted, refused] = records.as_slice() else {
        panic!("two writes: {records:?}")
    };
    assert_eq!((accepted.status, accepted.request_id.as_str()), (200, "mine"));
    assert_eq!(accepted.query, "secret=<redacted>");
    assert_eq!(accepted.principal_user_id.as_deref(), Some("local-admin"));
    assert_eq!(
        accepted.auth_token_fp.as_deref(),
        Some(ag_auth::fingerprint(TOKEN).as_str())
    );
    assert_eq!(
        (refused.status, refused.principal_user_id.as_deref()),
        (401, None)
    );
    assert!(refused.auth_token_fp.is_some());
}

#[tokio::test]
async fn an_unhandled_failure_is_audited() {
    async fn boom() -> &'static str {
        panic!("for the test")
    }
    let node = Node::new();
    let app = Router::new()
        .route("/api/gateway/boom", axum::routing::post(boom))
        .layer(from_fn_with_state(node.state.clone(), middleware::guard))
        .layer(from_fn_with_state(node.state.clone(), middleware::outer))
        .with_state(node.state.clone());
    let request = request("POST", "/api/gateway/boom")
        .header("content-length", "0")
        .body(Body::empty());
    let answer = tower::ServiceExt::oneshot(app, request.expect("request"))
        .await
        .expect("infallible");
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let records = node.audit.0.lock();
    assert_eq!(
        (records[0].status, records[0].error.as_deref()),
        (0, Some("unhandled failure"))
    );
}

#[tokio::test]
async fn without_security_everybody_is_the_local_admin() {
    let node = Node::with(|config| config.auth.security = false);
    let answer = node
        .send(
            Request::builder()
                .uri("/api/gateway/me")
                .body(Body::empty())
                .expect("request"),
        )
        .await;
    assert_eq!(answer.json()["principal"]["token_fingerprint"], "");
    assert_eq!(answer.header("x-request-id"), None);
}

#[tokio::test]
async fn a_panic_is_a_plain_500_and_reaches_no_other_request() {
    async fn boom() -> &'static str {
        panic!("for the test")
    }
    let node = Node::new();
    let app = Router::new()
        .route("/boom", axum::routing::any(boom))
        .layer(from_fn_with_state(node.state.clone(), middleware::outer))
        .with_state(node.state.clone());
    for method in ["GET", "POST"] {
        let request = Request::builder()
            .method(method)
            .uri("/boom")
            .header("origin", "http://localhost:1");
        let request = request.body(Body::empty()).expect("request");
        let answer = tower::ServiceExt::oneshot(app.clone(), request)
            .await
            .expect("infallible");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers()["connection"], "close");
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
        let body = http_body_util::BodyExt::collect(answer.into_body())
            .await
            .expect("body")
            .to_bytes();
        assert_eq!(body, "Internal Server Error");
    }
}

#[tokio::test]
async fn a_write_outlives_its_connection() {
    async fn slow(State(gate): State<std::sync::Arc<tokio::sync::Semaphore>>) {
        gate.acquire().await.expect("open").forget();
        gate.close();
    }
    let node = Node::new();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let app = Router::new()
        .route("/slow", axum::routing::post(slow))
        .with_state(gate.clone())
        .layer(from_fn_with_state(node.state.clone(), middleware::outer));
    let request = Request::builder()
        .method("POST")
        .uri("/slow")
        .body(Body::empty())
        .expect("request");
    {
        let mut call = std::pin::pin!(tower::ServiceExt::oneshot(app, request));
        assert!(futures::poll!(call.as_mut()).is_pending());
        // The connection goes away: its future is dropped.
    }
    gate.add_permits(1);
    node.state.tasks().close();
    tokio::time::timeout(std::time::Duration::from_secs(20), node.state.tasks().wait())
        .await
        .expect("in time");
    assert!(gate.is_closed(), "the handler came to its end");
}

#[test]
fn operations_are_unique() {
    let mut ids = std::collections::HashSet::new();
    let mut routes = std::collections::HashSet::new();
    for operation in routes::FAMILIES.iter().flat_map(|family| family.operations) {
        assert!(ids.insert(operation.id), "operation id {} twice", operation.id);
        assert!(
            routes.insert((operation.method, operation.path)),
            "{} {} twice",
            operation.method,
            operation.path
        );
        assert!(
            !operation.summary.is_empty() && !operation.id.contains([':', ' ']),
            "{}",
            operation.id
        );
    }
}
