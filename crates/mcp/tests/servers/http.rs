use std::sync::Arc;

use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};

use super::{call, context, error, servers, text, toolbox};

struct Shop;

impl ServerHandler for Shop {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = |value: Value| Arc::new(value.as_object().cloned().unwrap_or_default());
        let price =
            json!({"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]});
        Ok(ListToolsResult {
            tools: vec![Tool::new("price", "Tells a price", schema(price))],
            ..ListToolsResult::default()
        })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let item = request
            .arguments
            .unwrap_or_default()
            .get("item")
            .cloned()
            .unwrap_or_default();
        let result = match item.as_str() {
            Some("tea") => CallToolResult::success(vec![ContentBlock::text("3 coins")]),
            Some("gold") => return Err(ErrorData::invalid_params("not for sale", None)),
            _ => CallToolResult::structured(json!({"price": null})),
        };
        Ok(result.into())
    }
}

async fn shop() -> String {
    let service: StreamableHttpService<Shop, LocalSessionManager> =
        StreamableHttpService::new(|| Ok(Shop), Arc::default(), StreamableHttpServerConfig::default());
    let guard = axum::middleware::from_fn(
        |request: axum::extract::Request, next: axum::middleware::Next| async move {
            match request.headers().get("x-shop-key").map(|value| value.as_bytes()) {
                Some(b"open sesame") => next.run(request).await,
                _ => axum::response::IntoResponse::into_response(http::StatusCode::FORBIDDEN),
            }
        },
    );
    let router = axum::Router::new().nest_service("/mcp", service).layer(guard);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}/mcp", listener.local_addr().expect("address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn a_server_over_http() {
    let dir = tempfile::tempdir().expect("folder");
    let ctx = context(dir.path());
    let url = shop().await;
    let servers = servers(&json!({
        "shop": {"url": url, "headers": {"X-Shop-Key": "open sesame"}},
        "closed": {"url": url},
    }));
    let toolbox = toolbox(&servers);
    // Found at the first call.
    let result = call(&toolbox, "mcp::shop::price", json!({"item": "tea"}), &ctx).await;
    assert_eq!((text(&result), result.error.as_deref()), ("3 coins", None));
    assert_eq!(toolbox.sourced()[0].name, "mcp::shop::price");
    let result = call(&toolbox, "mcp::shop::price", json!({"item": "gold"}), &ctx).await;
    assert!(error(&result).contains("not for sale"), "{:?}", result.error);
    let result = call(&toolbox, "mcp::shop::price", json!({"item": "?"}), &ctx).await;
    assert!(result.success, "{:?}", result.error);
    assert!(
        result.output == json!({"price": null}) || text(&result).contains("null"),
        "{:?}",
        result.output
    );
    let result = call(&toolbox, "mcp::closed::price", json!({"item": "tea"}), &ctx).await;
    assert!(error(&result).contains("cannot be reached"), "{:?}", result.error);
}
