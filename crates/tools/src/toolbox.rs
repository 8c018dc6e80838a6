//! Runs one call.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::args::Args;
use crate::call::{ToolCall, ToolResult};
use crate::context::{CANCELLED, ExecPolicy, Stop, ToolContext};
use crate::normalise;
use crate::source::{SourcedTool, ToolSource};
use crate::tools::web_search::SearchEngine;
use crate::tools::{self, Files, Run};

/// What the tools of one process share.
#[derive(Clone)]
pub struct Toolbox {
    pub(crate) exec: Arc<ExecPolicy>,
    pub(crate) search: Option<Arc<dyn SearchEngine>>,
    sources: Vec<Arc<dyn ToolSource>>,
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toolbox")
            .field("exec", &self.exec)
            .field("search", &self.search.is_some())
            .field("sources", &self.sources.len())
            .finish()
    }
}

impl Toolbox {
    /// `search` is `None` where no engine may be reached.
    #[must_use]
    pub fn new(exec: ExecPolicy, search: Option<Arc<dyn SearchEngine>>) -> Self {
        Self {
            exec: Arc::new(exec),
            search,
            sources: Vec::new(),
        }
    }

    /// Adds tools from elsewhere.
    #[must_use]
    pub fn with_sources(mut self, sources: impl IntoIterator<Item = Arc<dyn ToolSource>>) -> Self {
        self.sources.extend(sources);
        self
    }

    /// The tools of all sources at this moment, by name.
    #[must_use]
    pub fn sourced(&self) -> Vec<SourcedTool> {
        let mut tools: Vec<SourcedTool> = self.sources.iter().flat_map(|source| source.tools()).collect();
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        tools
    }

    /// Names of sourced tools that the operator lets run without asking.
    #[must_use]
    pub fn auto_approved(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .sources
            .iter()
            .flat_map(|source| source.auto_approved())
            .collect();
        names.sort();
        names
    }

    /// Normalises, runs and records one call. Never fails: what goes wrong is a failure record.
    ///
    /// A call that outlives the context's timeout, or whose token is cancelled, is abandoned: its processes are killed,
    /// its file walk stops at the next file. What it wrote before stays.
    pub async fn execute(&self, call: &ToolCall, ctx: &ToolContext) -> ToolResult {
        if let Some(source) = self.sources.iter().find(|source| source.owns(&call.name)) {
            let (outcome, media) = match bounded(ctx, source.call(call, ctx)).await {
                Ok(answer) => (Ok(answer.output), answer.media),
                Err(error) => (Err(error), Vec::new()),
            };
            let result = normalise::result(call, outcome);
            return ToolResult { media, ..result };
        }
        let outcome = self.run(call, ctx).await;
        normalise::result(call, outcome)
    }

    async fn run(&self, call: &ToolCall, ctx: &ToolContext) -> Result<Value, String> {
        let tool = tools::find(&call.name)
            .filter(|_| self.exec.allowed || call.name != tools::execute_command::NAME)
            .ok_or_else(|| format!("Tool '{}' not found", call.name))?;
        let arguments =
            normalise::arguments(tools::spec(tool), &call.arguments).map_err(|error| error.to_string())?;
        let args = Args(arguments);
        // Whatever ends the wait also ends the work.
        let token = ctx.cancel.child_token();
        let guard = token.clone().drop_guard();
        let work = async {
            match tool.run {
                Run::Blocking(run) => {
                    let files = Files {
                        workspace: Arc::clone(&ctx.workspace),
                        stop: Stop::new(token.clone()),
                    };
                    let task = tokio::task::spawn_blocking(move || {
                        files.workspace.ensure_root().map_err(|error| error.to_string())?;
                        run(&args, &files)
                    });
                    task.await
                        .unwrap_or_else(|error| Err(format!("Tool execution failed: {error}")))
                }
                Run::Async(run) => run(&args, self, ctx).await,
                Run::Runtime => Err(format!("{} is executed by the runtime", call.name)),
            }
        };
        let outcome = bounded(ctx, work).await;
        drop(guard);
        outcome
    }
}

/// Waits for work until the call's time is over or nobody wants its result any more.
async fn bounded<T>(ctx: &ToolContext, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::select! {
        biased;
        () = ctx.cancel.cancelled() => Err(CANCELLED.to_owned()),
        done = tokio::time::timeout(ctx.timeout, work) => {
            done.unwrap_or_else(|_| Err(format!("Tool timeout after {}s", ctx.timeout.as_secs_f64())))
        }
    }
}

#[cfg(test)]
mod tests;
