//! Starts and schedules (runs contract §2).

use std::sync::OnceLock;

use ag_bundles::{StartRequest as Selection, select};
use ag_engine::{ScheduleRequest, StartRequest};
use ag_store::StartKey;
use ag_telemetry::metrics::RUNS_STARTED;
use ag_types::Object;
use axum::Json;
use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::prepare::{self, Prepared};
use crate::{
    ApiError, ApiResult, CallContext, Input, Request,
    input::{BodyRule, InputWithBytes, Reader, boolean, boolean_or_string, int, object, string},
};

/// Longest `Idempotency-Key`.
const MAX_KEY_CHARS: usize = 200;
/// Time for which a key is remembered.
const KEY_LIFE_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// What to start.
pub(super) struct StartRun {
    registry_scope: Option<String>,
    bundle_id: Option<String>,
    bundle_version: Option<String>,
    flow_id: Option<String>,
    input_data: Object,
    thinking: Option<Value>,
    run_lifecycle: Option<Object>,
    session_id: Option<String>,
}

impl Request for StartRun {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        Self {
            registry_scope: body.optional("registry_scope", string()),
            bundle_id: body.optional("bundle_id", string()),
            bundle_version: body.optional("bundle_version", string()),
            flow_id: body.optional("flow_id", string()),
            input_data: body.or_default("input_data", object()),
            thinking: body.optional("thinking", boolean_or_string()),
            run_lifecycle: body.optional("run_lifecycle", object()),
            session_id: body.optional("session_id", string()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Started {
    run_id: String,
}

/// Starts a run; the answer says that it is durable.
pub(super) async fn start_run(
    ctx: CallContext,
    headers: HeaderMap,
    InputWithBytes(asked, bytes): InputWithBytes<StartRun>,
) -> ApiResult<Json<Started>> {
    registry_scope(
        asked.registry_scope.as_deref(),
        asked.bundle_id.as_deref(),
        asked.flow_id.as_deref(),
    )?;
    let selection = Selection {
        bundle_id: asked.bundle_id.as_deref(),
        flow_id: asked.flow_id.as_deref(),
        ..Selection::default()
    };
    select::require_target(&selection)?;
    let key = idempotency_key(&ctx, &headers, &bytes)?;
    let session_id = session(asked.session_id)?;
    let Prepared { mut vars, owners } = prepare::input(&ctx, asked.input_data, session_id.as_deref()).await?;
    prepare::thinking(&mut vars, asked.thinking);
    prepare::lifecycle(&mut vars, asked.run_lifecycle);
    prepare::workspace_root(&ctx, &mut vars);
    let request = StartRequest {
        bundle_id: asked.bundle_id,
        bundle_version: asked.bundle_version,
        flow_id: asked.flow_id,
        vars,
        session_id,
        owners,
        key,
        pool: None,
    };
    let run = ctx.start(request).await?;
    count_start();
    Ok(Json(Started {
        run_id: run.to_string(),
    }))
}

/// Counts a start; the handle is kept because this is the hottest write.
fn count_start() {
    static STARTED: OnceLock<metrics::Counter> = OnceLock::new();
    STARTED.get_or_init(|| RUNS_STARTED.with([])).increment(1);
}

/// What to schedule.
pub(super) struct ScheduleRun {
    registry_scope: Option<String>,
    bundle_id: String,
    bundle_version: Option<String>,
    flow_id: String,
    input_data: Object,
    start_at: Option<String>,
    interval: Option<String>,
    repeat_count: Option<i64>,
    repeat_until: Option<String>,
    share_context: bool,
    session_id: Option<String>,
}

impl Request for ScheduleRun {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        Self {
            registry_scope: body.optional("registry_scope", string()),
            bundle_id: body.required("bundle_id", string()),
            bundle_version: body.optional("bundle_version", string()),
            flow_id: body.required("flow_id", string()),
            input_data: body.or_default("input_data", object()),
            start_at: body.optional("start_at", string()),
            interval: body.optional("interval", string()),
            repeat_count: body.optional("repeat_count", int()),
            repeat_until: body.optional("repeat_until", string()),
            share_context: body.or("share_context", boolean(), true),
            session_id: body.optional("session_id", string()),
        }
    }
}

/// Starts the parent of a schedule; it has no workspace, its executions have.
pub(super) async fn schedule_run(
    ctx: CallContext,
    Input(asked): Input<ScheduleRun>,
) -> ApiResult<Json<Started>> {
    registry_scope(
        asked.registry_scope.as_deref(),
        Some(&asked.bundle_id),
        Some(&asked.flow_id),
    )?;
    let session_id = session(asked.session_id)?;
    let Prepared { vars, owners } = prepare::input(&ctx, asked.input_data, session_id.as_deref()).await?;
    let request = ScheduleRequest {
        bundle_id: asked.bundle_id,
        bundle_version: asked.bundle_version,
        flow_id: asked.flow_id,
        input_data: vars,
        start_at: asked.start_at,
        interval: asked.interval,
        repeat_count: asked.repeat_count,
        repeat_until: asked.repeat_until,
        share_context: asked.share_context,
        session_id,
        owners,
        extra_vars: Object::new(),
    };
    let run = ctx.schedule(request).await?;
    count_start();
    Ok(Json(Started {
        run_id: run.to_string(),
    }))
}

/// Only the caller's own bundles can be started here; the shared catalogue holds none.
fn registry_scope(scope: Option<&str>, bundle_id: Option<&str>, flow_id: Option<&str>) -> ApiResult<()> {
    let given = scope.unwrap_or_default().trim();
    let filled = |text: Option<&str>| text.is_some_and(|text| !text.trim().is_empty());
    match given.to_lowercase().replace('-', "_").as_str() {
        "" | "private" => Ok(()),
        "tenant_catalog" | "catalog" | "tenant" => {
            if !filled(bundle_id) {
                return Err(ApiError::bad_request("catalog bundle_id is required"));
            }
            if !filled(flow_id) {
                return Err(ApiError::bad_request("catalog flow_id is required"));
            }
            let bundle = bundle_id.unwrap_or_default().trim();
            Err(ApiError::not_found(format!(
                "Catalog bundle '{bundle}' not found"
            )))
        }
        other if other == "global" || other.starts_with("framework") => Err(ApiError::not_implemented(
            "framework_catalog is reserved but not loadable yet; use tenant_catalog",
        )),
        _ => Err(ApiError::bad_request(format!(
            "Unsupported registry_scope: {given}"
        ))),
    }
}

/// The session; blank ones are absent. U+0000 cannot stand in a text column.
fn session(given: Option<String>) -> ApiResult<Option<String>> {
    let session = given
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    match session {
        Some(session) if session.contains('\0') => Err(ApiError::bad_request(
            "Failed to start run: session_id must not contain U+0000",
        )),
        session => Ok(session),
    }
}

/// The client's key for a repeatable start, with the hash of what it sent.
fn idempotency_key(ctx: &CallContext, headers: &HeaderMap, body: &[u8]) -> ApiResult<Option<StartKey>> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().map(str::trim).unwrap_or_default();
    if key.is_empty() || key.chars().count() > MAX_KEY_CHARS {
        return Err(ApiError::bad_request(format!(
            "Idempotency-Key must have 1 to {MAX_KEY_CHARS} visible characters"
        )));
    }
    Ok(Some(StartKey {
        key: key.to_owned(),
        body_sha256: Sha256::digest(body).into(),
        expires_before: ctx.now().plus_micros(-KEY_LIFE_MICROS),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_scopes() {
        for (scope, status, detail) in [
            ("Tenant-Catalog", 404, "Catalog bundle 'b' not found"),
            (
                "framework_catalog",
                501,
                "framework_catalog is reserved but not loadable yet; use tenant_catalog",
            ),
            (
                "GLOBAL",
                501,
                "framework_catalog is reserved but not loadable yet; use tenant_catalog",
            ),
            ("mine", 400, "Unsupported registry_scope: mine"),
        ] {
            let error = registry_scope(Some(scope), Some("b"), Some("f")).expect_err(scope);
            assert_eq!(
                (error.status().as_u16(), error.body()["detail"].as_str()),
                (status, Some(detail))
            );
        }
        assert_eq!(registry_scope(Some(" Private "), None, None), Ok(()));
        let error = registry_scope(Some("catalog"), None, None).expect_err("bundle");
        assert_eq!(error.body()["detail"], "catalog bundle_id is required");
    }
}
