//! `fetch_url`.

use std::fmt::Write as _;
use std::time::Duration;

use ag_outbound::read_body;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde_json::{Value, json};
use url::Url;

use super::{Outcome, Run, Tool};
use crate::args::Args;
use crate::context::ToolContext;
use crate::html::markdown;
use crate::spec::ArgType::{Boolean, Integer, Object, String as Text};
use crate::spec::{Arg, Example, ToolSpec};
use crate::text::head;
use crate::toolbox::Toolbox;

pub(super) const TOOL: Tool = Tool {
    name: "fetch_url",
    spec,
    run: Run::Async(run),
};

const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// Text shown to the model without `include_full_content`.
const SHORT_CHARS: usize = 8_000;
/// Text shown with it.
const FULL_CHARS: usize = 120_000;
const DEFAULT_AGENT: &str = "AbstractCore-FetchTool/1.0";

fn spec() -> ToolSpec {
    ToolSpec {
        name: "fetch_url",
        description: "Fetch a web address and return its content as text; HTML becomes Markdown. At most 10 MB; binary content is only described.",
        when_to_use: "To read a page or an API answer whose address is known. To find addresses use web_search.",
        args: vec![
            Arg::required("url", Text, "Address with http or https."),
            Arg::optional("method", Text, "GET", "HTTP method."),
            Arg::optional("headers", Object, Value::Null, "Request headers, name to value."),
            Arg::optional(
                "data",
                Text,
                Value::Null,
                "Request body; JSON objects are sent as JSON.",
            ),
            Arg::optional("timeout", Integer, 45, "Seconds for the whole exchange."),
            Arg::optional(
                "include_binary_preview",
                Boolean,
                false,
                "Show the first bytes of binary content.",
            ),
            Arg::optional("keep_links", Boolean, true, "Keep link targets in Markdown."),
            Arg::optional("user_agent", Text, DEFAULT_AGENT, "User-Agent header."),
            Arg::optional(
                "include_full_content",
                Boolean,
                true,
                "Return the whole text instead of its beginning.",
            ),
        ],
        examples: vec![Example {
            description: "Read a page",
            arguments: json!({"url": "https://example.org/"}),
        }],
        toolset: "web",
        tags: &["network"],
    }
}

fn run<'a>(args: &'a Args, _: &'a Toolbox, ctx: &'a ToolContext) -> BoxFuture<'a, Outcome> {
    fetch(args, ctx).map(Ok).boxed()
}

async fn fetch(args: &Args, ctx: &ToolContext) -> Value {
    let given = args.text("url").trim();
    match exchange(args, ctx, given).await {
        Ok(answer) => describe(args, given, &ctx.timestamp, &answer),
        Err(error) => json!({
            "success": false,
            "error": error,
            "url": given,
            "timestamp": ctx.timestamp,
            "rendered": format!("Fetching {given} failed: {error}"),
        }),
    }
}

struct Answer {
    url: Url,
    status: reqwest::StatusCode,
    content_type: String,
    body: bytes::Bytes,
}

async fn exchange(args: &Args, ctx: &ToolContext, given: &str) -> Result<Answer, String> {
    let url = Url::parse(given).map_err(|error| format!("Invalid URL: {error}"))?;
    let method = args.opt_text("method").unwrap_or("GET").trim().to_uppercase();
    let method = reqwest::Method::from_bytes(method.as_bytes())
        .map_err(|_| format!("Invalid HTTP method '{method}'"))?;
    let seconds = args.int("timeout", 45).clamp(1, 600).unsigned_abs();
    let mut request = ctx
        .http
        .request(method, url)
        .map_err(|error| error.to_string())?
        .timeout(Duration::from_secs(seconds))
        .headers(headers(args)?);
    if let Some(data) = args.opt_text("data") {
        if serde_json::from_str::<crate::call::Object>(data).is_ok() {
            request = request.header("content-type", "application/json");
        }
        request = request.body(data.to_owned());
    }
    let response = request.send().await.map_err(|error| in_words(&error, seconds))?;
    let content_type = response
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    Ok(Answer {
        url: response.url().clone(),
        status: response.status(),
        content_type: content_type.unwrap_or_default().to_owned(),
        body: read_body(response, MAX_BODY_BYTES)
            .await
            .map_err(|error| error.to_string())?,
    })
}

fn headers(args: &Args) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let agent = args.opt_text("user_agent").unwrap_or(DEFAULT_AGENT);
    headers.insert(
        USER_AGENT,
        HeaderValue::from_str(agent).map_err(|_| "Invalid user_agent".to_owned())?,
    );
    for (name, value) in args
        .0
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let invalid = || format!("Invalid header '{name}'");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        headers.insert(name, HeaderValue::from_str(&text).map_err(|_| invalid())?);
    }
    Ok(headers)
}

/// The innermost reason: outer ones only say that a request failed, and repeat the address.
fn in_words(error: &reqwest::Error, seconds: u64) -> String {
    if error.is_timeout() {
        return format!("Request timed out after {seconds} seconds");
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    let kind = if error.is_connect() {
        "Connection failed"
    } else {
        "Request failed"
    };
    format!("{kind}: {innermost}")
}

fn describe(args: &Args, given: &str, timestamp: &str, answer: &Answer) -> Value {
    let media = answer
        .content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let text = decode(&answer.body, &answer.content_type, &media);
    let full = args.flag("include_full_content", true);
    let (title, normalized) = match &text {
        Some(text) if is_html(&media, text) => {
            let page = markdown::convert(text, Some(&answer.url), args.flag("keep_links", true));
            (page.title, Some(page.text))
        }
        Some(text) if media.ends_with("json") => {
            let pretty = serde_json::from_str::<Value>(text)
                .ok()
                .map(|value| ag_pyvalue::dumps_pretty(&value));
            (String::new(), Some(pretty.unwrap_or_else(|| text.clone())))
        }
        Some(text) => (String::new(), Some(text.clone())),
        None => (String::new(), None),
    };
    let reason = answer.status.canonical_reason().unwrap_or_default();
    let code = answer.status.as_u16();
    let failed = answer.status.is_client_error() || answer.status.is_server_error();
    let error = failed.then(|| format!("HTTP Error {code}: {reason}"));
    let limit = if full { FULL_CHARS } else { SHORT_CHARS };
    let (shown, cut) = head(normalized.as_deref().unwrap_or_default(), limit);
    let mut rendered = format!(
        "URL: {}\nStatus: {code} {reason}\nContent-Type: {}",
        answer.url, answer.content_type
    );
    let _ = write!(rendered, "\nSize: {} bytes", answer.body.len());
    if !title.is_empty() {
        let _ = write!(rendered, "\nTitle: {title}");
    }
    match &normalized {
        Some(_) => {
            let _ = write!(rendered, "\n\n{shown}");
            if cut {
                let _ = write!(rendered, "\n\n(first {limit} characters shown)");
            }
        }
        None => {
            rendered.push_str("\n\n(binary content)");
            if args.flag("include_binary_preview", false) {
                let _ = write!(
                    rendered,
                    "\nFirst bytes: {}",
                    hex::encode(&answer.body[..answer.body.len().min(64)])
                );
            }
        }
    }
    json!({
        "success": !failed,
        "error": error,
        "url": given,
        "final_url": answer.url.as_str(),
        "timestamp": timestamp,
        "status_code": code,
        "reason": reason,
        "content_type": answer.content_type,
        "size_bytes": answer.body.len(),
        "title": if title.is_empty() { Value::Null } else { Value::String(title) },
        "raw_text": text.as_deref().map(|text| head(text, limit).0),
        "normalized_text": normalized.as_ref().map(|_| shown),
        "truncated": cut,
        "rendered": rendered,
    })
}

/// Text in its declared encoding; `None` for binary content.
fn decode(body: &[u8], content_type: &str, media: &str) -> Option<String> {
    let textual = media.is_empty()
        || media.starts_with("text/")
        || [
            "json",
            "xml",
            "javascript",
            "yaml",
            "x-www-form-urlencoded",
            "toml",
        ]
        .iter()
        .any(|kind| media.ends_with(kind));
    if !textual && std::str::from_utf8(body).is_err() || body.iter().take(1024).any(|byte| *byte == 0) {
        return None;
    }
    let charset = content_type
        .split(';')
        .skip(1)
        .find_map(|part| part.trim().strip_prefix("charset="));
    let encoding = charset
        .and_then(|label| encoding_rs::Encoding::for_label(label.trim_matches(['"', '\'', ' ']).as_bytes()))
        .unwrap_or(encoding_rs::UTF_8);
    Some(encoding.decode(body).0.into_owned())
}

fn is_html(media: &str, text: &str) -> bool {
    let start = text.trim_start().get(..14).unwrap_or_default().to_lowercase();
    media.contains("html")
        || (media.is_empty() && (start.starts_with("<!doctype html") || start.starts_with("<html")))
}
