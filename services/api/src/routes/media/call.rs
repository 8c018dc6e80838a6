//! One call: a child run is started, and its end awaited.

use std::{future::Future, time::Duration};

use ag_engine::CallRequest;
use ag_messaging::FeedItem;
use ag_store::RunRow;
use ag_types::{Object, RunId, RunStatus};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tracing::Instrument as _;

use crate::{
    ApiError, ApiResult, CallContext,
    routes::artifacts::owner::{Owner, owner},
};

/// The store is asked at least this often, whatever the feed says.
const LOOK: Duration = Duration::from_secs(5);
/// The same while announcements are known to get lost.
const LOOK_ALONE: Duration = Duration::from_millis(500);
/// When a client may ask again after a node has left.
const RETRY_AFTER_S: u64 = 5;

/// The run that media is made for, or an owner of session files.
pub(super) struct Addressed {
    pub(super) owner: Owner,
    run: Option<Box<RunRow>>,
}

/// Finds it. The owner of a session's files is made where it is missing.
///
/// # Errors
/// 404.
pub(super) async fn addressed(ctx: &CallContext, run_id: &str) -> ApiResult<Addressed> {
    let owner = owner(ctx, run_id).await?;
    let run = match run_id.parse::<RunId>() {
        Ok(id) => ctx.store().run(ctx.scope(), id).await?,
        Err(_) => None,
    };
    Ok(Addressed {
        owner,
        run: run.map(Box::new),
    })
}

/// What to do.
pub(super) struct Call {
    /// End of the workflow id.
    pub(super) task: &'static str,
    /// For error texts.
    pub(super) label: &'static str,
    /// `prompt` or `text`, and the words; none for tasks without.
    pub(super) words: Option<(&'static str, String)>,
    pub(super) media: Option<Value>,
    /// The specification of the output.
    pub(super) output: Object,
    /// Text provider and model of the child, where the request names them.
    pub(super) text_model: (Option<String>, Option<String>),
}

/// The end of a call.
pub(super) struct Done {
    pub(super) child_run_id: RunId,
    /// The result of the model call.
    pub(super) result: Value,
}

/// The id of a request: the client's own, else a new one.
pub(super) fn request_id(ctx: &CallContext, given: Option<String>) -> String {
    let given = given.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
    given.unwrap_or_else(|| ctx.ids().uuid().to_string())
}

/// Runs work that a closed connection does not stop.
///
/// # Errors
/// Those of the work.
pub(super) async fn detached<T: Send + 'static>(
    ctx: &CallContext,
    work: impl Future<Output = ApiResult<T>> + Send + 'static,
) -> ApiResult<T> {
    let task = ctx.state().tasks().spawn(work.in_current_span());
    task.await
        .unwrap_or_else(|error| Err(ApiError::internal("a media call broke", &error)))
}

/// Starts the child run and waits for its end.
///
/// # Errors
/// 500 with the child's error, 503 when the node leaves before.
pub(super) async fn perform(
    ctx: &CallContext,
    at: &Addressed,
    request_id: &str,
    call: Call,
) -> ApiResult<Done> {
    let mut payload = Object::new();
    if let Some((name, words)) = call.words {
        payload.insert(name.to_owned(), words.into());
    }
    if let Some(media) = call.media {
        payload.insert("media".to_owned(), media);
    }
    payload.insert("output".to_owned(), call.output.into());
    let mut trace = Object::new();
    trace.insert("run_id".to_owned(), at.owner.id.as_str().into());
    if let Some(run) = &at.run {
        trace.insert("workflow_id".to_owned(), (&*run.head.workflow_id).into());
    }
    if let Some(session) = &at.owner.session_id {
        trace.insert("session_id".to_owned(), session.as_str().into());
    }
    trace.insert("request_id".to_owned(), request_id.into());
    payload.insert("params".to_owned(), json!({ "trace_metadata": trace }));
    let request = CallRequest {
        task: call.task,
        parent: at.run.as_ref().map(|run| run.head.run_id),
        session_id: at.owner.session_id.clone(),
        payload,
        runtime: runtime(at, call.text_model),
        owners: vec![],
    };
    let run = ctx.start_call(request).await?;
    let ended = end_of(ctx, run).await?;
    let columns = ended.columns;
    if columns.status != RunStatus::Completed {
        let error = columns
            .error
            .unwrap_or_else(|| columns.status.as_str().to_owned());
        return Err(ApiError::new(
            http::StatusCode::INTERNAL_SERVER_ERROR,
            format!("{} child run did not complete successfully: {error}", call.label),
        ));
    }
    let output: Value = match &columns.output {
        Some(output) => {
            serde_json::from_str(output).map_err(|error| ApiError::internal("stored output", &error))?
        }
        None => Value::Null,
    };
    Ok(Done {
        child_run_id: run,
        result: output.get("result").cloned().unwrap_or_default(),
    })
}

/// The settings of the addressed run, with the request's own text model.
fn runtime(at: &Addressed, (provider, model): (Option<String>, Option<String>)) -> Object {
    let vars = at
        .run
        .as_ref()
        .and_then(|run| serde_json::from_str::<Object>(&run.columns.vars).ok());
    let runtime = vars.and_then(|mut vars| match vars.remove("_runtime") {
        Some(Value::Object(runtime)) => Some(runtime),
        _ => None,
    });
    let mut runtime = runtime.unwrap_or_default();
    // What belongs to that run alone.
    for name in ["control", "pending_media", "memory_spans", "inbox", "node_traces"] {
        runtime.remove(name);
    }
    for (name, value) in [("provider", provider), ("model", model)] {
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            runtime.insert(name.to_owned(), value.trim().into());
        }
    }
    runtime
}

async fn end_of(ctx: &CallContext, run: RunId) -> ApiResult<RunRow> {
    let mut feed = ctx.feed().subscribe(ctx.key(run)).await;
    let draining = ctx.state().draining().clone();
    loop {
        let row = ctx.store().run(ctx.scope(), run).await?;
        let row = row.ok_or_else(|| ApiError::no_run(&run.to_string()))?;
        if row.columns.status.is_terminal() {
            return Ok(row);
        }
        let pause = match ctx.feed().healthy() {
            true => LOOK,
            false => LOOK_ALONE,
        };
        tokio::select! {
            () = draining.cancelled() => {
                let text = format!("The gateway is shutting down; run '{run}' goes on");
                return Err(ApiError::unavailable(text, RETRY_AFTER_S));
            }
            () = until_end(&mut feed.items) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Returns at the end of the run, or when something may have been missed.
async fn until_end(items: &mut tokio::sync::broadcast::Receiver<FeedItem>) {
    loop {
        match items.recv().await {
            Ok(FeedItem::Terminal { .. }) | Err(RecvError::Lagged(_)) => return,
            Ok(FeedItem::Record { .. }) => {}
            // Nobody announces any more: the regular look finds the end.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
