use std::sync::Arc;

use ag_outbound::{Allowlist, OutboundPolicy};
use serde_json::{Value, json};
use url::Url;

use super::Bench;
use crate::DuckDuckGo;

async fn serve(router: axum::Router) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    Url::parse(&format!("http://{address}/")).expect("url")
}

fn pages() -> axum::Router {
    use axum::http::{HeaderMap, StatusCode, header};
    use axum::response::{Html, IntoResponse as _, Redirect};
    use axum::routing::{any, get};
    axum::Router::new()
        .route("/page", get(|| async { Html("<title>T</title><p>Hello <a href='/next'>next</a></p>") }))
        .route("/latin", get(|| async { ([(header::CONTENT_TYPE, "text/plain; charset=iso-8859-1")], b"caf\xe9".to_vec()) }))
        .route("/missing", get(|| async { (StatusCode::NOT_FOUND, "nothing") }))
        .route("/binary", get(|| async { ([(header::CONTENT_TYPE, "application/octet-stream")], vec![0_u8, 159, 146, 150]) }))
        .route("/big", get(|| async { vec![b'x'; 11 * 1024 * 1024] }))
        .route("/moved", get(|| async { Redirect::temporary("/page") }))
        .route("/metadata", get(|| async { Redirect::temporary("http://169.254.169.254/latest") }))
        .route(
            "/echo",
            any(|headers: HeaderMap, body: String| async move {
                let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
                axum::Json(json!({"agent": header("user-agent"), "x": header("x-test"), "type": header("content-type"), "body": body}))
                    .into_response()
            }),
        )
}

#[tokio::test]
async fn addresses_are_fetched_as_text() {
    let bench = Bench::new();
    let base = serve(pages()).await;
    let fetch = |path: &str| {
        bench.call(
            "fetch_url",
            json!({"url": base.join(path).expect("url").as_str()}),
        )
    };
    let page = fetch("page").await;
    assert!(page.success, "{:?}", page.error);
    assert_eq!(
        page.output["normalized_text"],
        format!("Hello [next]({base}next)")
    );
    assert_eq!(
        (&page.output["status_code"], &page.output["reason"]),
        (&json!(200), &json!("OK"))
    );
    assert_eq!(page.output["timestamp"], "2026-01-02T03:04:05+00:00");
    assert_eq!(fetch("latin").await.output["raw_text"], "café");
    let moved = fetch("moved").await;
    assert_eq!(
        moved.output["final_url"],
        base.join("page").expect("url").as_str()
    );
    let missing = fetch("missing").await;
    assert_eq!(missing.error.as_deref(), Some("HTTP Error 404: Not Found"));
    assert_eq!(
        (missing.success, &missing.output["raw_text"]),
        (false, &json!("nothing"))
    );
    let binary = fetch("binary").await;
    assert!(binary.success && binary.output["raw_text"].is_null());
    assert_eq!(
        fetch("big").await.error.as_deref(),
        Some("response body is larger than 10485760 bytes")
    );
    let echo = json!({"url": base.join("echo").expect("url").as_str(), "method": "post", "headers": {"x-test": "1"}, "data": {"a": 1}});
    let echo = bench.call("fetch_url", echo).await;
    let seen: Value = serde_json::from_str(echo.output["raw_text"].as_str().expect("text")).expect("json");
    assert_eq!(
        (&seen["x"], &seen["type"], &seen["agent"]),
        (
            &json!("1"),
            &json!("application/json"),
            &json!("AbstractCore-FetchTool/1.0")
        )
    );
}

#[tokio::test]
async fn addresses_are_guarded() {
    let base = serve(pages()).await;
    let url = base.join("page").expect("url");
    let named = url.as_str().replace("127.0.0.1", "localhost");
    let user = Bench::with(OutboundPolicy::user(Allowlist::default()));
    for url in [url.as_str(), &named] {
        let error = user
            .call("fetch_url", json!({"url": url}))
            .await
            .error
            .expect("refused");
        assert!(error.contains("outbound address not allowed"), "{url}: {error}");
    }
    let operator = Bench::new();
    let metadata = base.join("metadata").expect("url");
    let error = operator
        .call("fetch_url", json!({"url": metadata.as_str()}))
        .await
        .error
        .expect("refused");
    assert!(error.contains("outbound address not allowed"), "{error}");
    let odd = operator
        .call("fetch_url", json!({"url": "file:///etc/passwd"}))
        .await;
    assert!(!odd.success);
}

#[tokio::test]
async fn the_search_engine_is_asked() {
    use axum::extract::RawQuery;
    use axum::response::Html;
    let page = |RawQuery(query): RawQuery| async move {
        assert_eq!(query.as_deref(), Some("q=a+b&kl=us-en&kp=-2&df=w"));
        Html(
            "<div class='result'><a class='result__a' href='https://example.org/'>T</a><a class='result__snippet'>S</a></div>",
        )
    };
    let endpoint = serve(axum::Router::new().route("/html/", axum::routing::get(page)))
        .await
        .join("html/")
        .expect("url");
    let mut bench = Bench::new();
    bench.toolbox.search = Some(Arc::new(DuckDuckGo::new(bench.ctx.http.clone(), endpoint)));
    let arguments = json!({"q": "a b", "region": "us-en", "safe_search": "off", "time_range": "w"});
    let answer: Value = serde_json::from_str(&bench.text("web_search", arguments).await).expect("json");
    assert_eq!(answer["engine"], "duckduckgo");
    assert_eq!(
        answer["results"],
        json!([{"rank": 1, "title": "T", "url": "https://example.org/", "snippet": "S"}])
    );
    assert_eq!(answer["params"]["num_results"], 10);
}
