//! `web_search`, behind a port for engines.

mod duckduckgo;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Outcome, Run, Tool};
use crate::args::Args;
use crate::context::ToolContext;
use crate::spec::ArgType::{Integer, String as Text};
use crate::spec::{Arg, Example, ToolSpec};
use crate::toolbox::Toolbox;

pub use duckduckgo::DuckDuckGo;

pub(super) const TOOL: Tool = Tool {
    name: "web_search",
    spec,
    run: Run::Async(run),
};

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    /// Words.
    pub query: String,
    /// Most hits, 1 to 50.
    pub num_results: usize,
    /// `strict`, `moderate` or `off`.
    pub safe_search: String,
    /// Such as `us-en`; `wt-wt` for none.
    pub region: String,
    /// `h`, `d`, `w`, `m` or `y`.
    pub time_range: Option<String>,
}

/// One hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchHit {
    /// Title of the page.
    pub title: String,
    /// Its address.
    pub url: String,
    /// Some of its text.
    pub snippet: String,
}

/// Why a search failed. The texts are shown to models.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The engine cannot be reached.
    #[error("search engine not reachable: {0}")]
    Unreachable(String),
    /// The engine refused, usually because of too many searches.
    #[error("search engine answered with status {0}")]
    Refused(u16),
    /// The engine asks for proof of a person.
    #[error("search engine asks for a challenge; try again later")]
    Challenge,
}

/// A search engine.
#[async_trait]
pub trait SearchEngine: Send + Sync {
    /// Name in results, such as `duckduckgo`.
    fn name(&self) -> &str;

    /// Where results come from, such as `duckduckgo.html`.
    fn source(&self) -> &str;

    /// Hits, best first, at most as many as asked for.
    ///
    /// # Errors
    /// [`SearchError`].
    async fn search(&self, query: &SearchQuery) -> Result<Vec<SearchHit>, SearchError>;
}

fn spec() -> ToolSpec {
    ToolSpec {
        name: "web_search",
        description: "Search the web and return titles, addresses and snippets.",
        when_to_use: "For current facts and for addresses to read with fetch_url.",
        args: vec![
            Arg::required("query", Text, "Search words."),
            Arg::optional("num_results", Integer, 10, "Most results."),
            Arg::optional("safe_search", Text, "moderate", "`strict`, `moderate` or `off`."),
            Arg::optional(
                "region",
                Text,
                "wt-wt",
                "Region and language such as us-en; wt-wt for none.",
            ),
            Arg::optional("time_range", Text, Value::Null, "Age: `h`, `d`, `w`, `m` or `y`."),
        ],
        examples: vec![Example {
            description: "News of the week",
            arguments: json!({"query": "rust release notes", "time_range": "w", "num_results": 5}),
        }],
        toolset: "web",
        tags: &["network"],
    }
}

fn run<'a>(args: &'a Args, toolbox: &'a Toolbox, _: &'a ToolContext) -> BoxFuture<'a, Outcome> {
    search(args, toolbox).boxed()
}

async fn search(args: &Args, toolbox: &Toolbox) -> Outcome {
    let engine = toolbox.search.as_ref().ok_or("web search is not configured")?;
    let query = SearchQuery {
        query: args.text("query").trim().to_owned(),
        num_results: args.count("num_results", 10, 1, 50),
        safe_search: args.opt_text("safe_search").unwrap_or("moderate").to_lowercase(),
        region: args.opt_text("region").unwrap_or("wt-wt").to_lowercase(),
        time_range: args.opt_text("time_range").map(str::to_lowercase),
    };
    if query.query.is_empty() {
        return Err("query must not be empty".to_owned());
    }
    let hits = engine.search(&query).await.map_err(|error| error.to_string())?;
    let results: Vec<Value> = hits
        .into_iter()
        .take(query.num_results)
        .enumerate()
        .map(|(index, hit)| json!({"rank": index + 1, "title": hit.title, "url": hit.url, "snippet": hit.snippet}))
        .collect();
    let answer = json!({
        "engine": engine.name(),
        "source": engine.source(),
        "query": query.query,
        "params": {
            "num_results": query.num_results,
            "safe_search": query.safe_search,
            "region": query.region,
            "time_range": query.time_range,
        },
        "results": results,
    });
    Ok(Value::String(ag_pyvalue::dumps_unicode(&answer)))
}
