//! Schedules: the wrapper flow that runs a target now, later, or again and again (bundles spec §7).

mod wrapper;

use std::sync::Arc;

use ag_bundles::{SelectError, StartRequest as BundleRequest, select};
use ag_store::{Document, DocumentKind, OwnerRow, PutMode};
use ag_types::{Object, RunId, TenantScope, Timestamp};
use serde_json::{Value, json};

pub use wrapper::wire_interval;

use self::wrapper::wrapper;
use crate::{StartError, StartRequest, Starter, interval};

/// Most executions of one schedule.
const MAX_EXECUTIONS: i64 = 10_000;

/// A schedule as the client asked for it.
#[derive(Debug, Clone, Default)]
pub struct ScheduleRequest {
    /// Target bundle.
    pub bundle_id: String,
    /// Target version.
    pub bundle_version: Option<String>,
    /// Target flow.
    pub flow_id: String,
    /// Input of each execution.
    pub input_data: Object,
    /// First execution: nothing or `now`, an interval, or an ISO time.
    pub start_at: Option<String>,
    /// Time between executions.
    pub interval: Option<String>,
    /// Number of executions.
    pub repeat_count: Option<i64>,
    /// End of the executions.
    pub repeat_until: Option<String>,
    /// Whether the executions share the wrapper's session.
    pub share_context: bool,
    /// Session.
    pub session_id: Option<String>,
    /// Owners to create where absent.
    pub owners: Vec<OwnerRow>,
    /// Input data of the wrapper that runs carry (workspace keys, lifecycle).
    pub extra_vars: Object,
}

/// Why a schedule was refused.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// 400 with this text.
    #[error("{0}")]
    Invalid(String),
    /// The target cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl From<SelectError> for ScheduleError {
    fn from(error: SelectError) -> Self {
        Self::Start(error.into())
    }
}

impl From<ag_store::StoreError> for ScheduleError {
    fn from(error: ag_store::StoreError) -> Self {
        Self::Start(error.into())
    }
}

/// When the executions happen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    start: String,
    interval: Option<String>,
    count: Option<i64>,
}

fn filled(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn plan(request: &ScheduleRequest, now: Timestamp) -> Result<Plan, String> {
    let start_at = filled(request.start_at.as_ref()).filter(|text| !text.eq_ignore_ascii_case("now"));
    let start = start_at.unwrap_or("0s").to_owned();
    let interval = filled(request.interval.as_ref());
    let until = filled(request.repeat_until.as_ref());
    let mut count = request.repeat_count;
    if count.is_some_and(|count| count < 1) {
        return Err("repeat_count must be >= 1".into());
    }
    if until.is_some() && count.is_some() {
        return Err("repeat_until cannot be combined with repeat_count".into());
    }
    if count.is_some_and(|count| count > 1) && interval.is_none() {
        return Err("repeat_count > 1 requires interval".into());
    }
    if let Some(until) = until {
        let text = interval.ok_or("repeat_until requires interval")?;
        count = Some(executions_until(until, start_at, text, now)?);
    }
    if count.is_some_and(|count| count > MAX_EXECUTIONS) {
        return Err("Failed to build schedule wrapper: repeat_count is too large (max 10000)".into());
    }
    let interval = interval.filter(|_| count != Some(1)).map(str::to_owned);
    Ok(Plan {
        start,
        interval,
        count: count.filter(|count| *count > 1),
    })
}

fn executions_until(until: &str, start_at: Option<&str>, text: &str, now: Timestamp) -> Result<i64, String> {
    let unreadable = |field: &str, text: &str| {
        // The contract's words.
        format!("Invalid {field}: Invalid isoformat string: '{text}'")
    };
    let until = Timestamp::parse(until).map_err(|_| unreadable("repeat_until", until))?;
    let start = match start_at {
        None => now,
        Some(text) => match interval::parse(text) {
            Some(micros) => now.plus_micros(micros),
            None => Timestamp::parse(text).map_err(|_| unreadable("start_at", text))?,
        },
    };
    // Only whole numbers of seconds, minutes, hours or days here (contract of repeat_until).
    let whole = !text.contains('.') && !text.trim_end().ends_with("ms");
    let micros = interval::parse(text)
        .filter(|micros| whole && *micros > 0)
        .ok_or("Invalid interval: invalid interval (expected like '15m', '1h', '2d')")?;
    if until < start {
        return Err("repeat_until must be >= start_at".into());
    }
    let count = 1 + until.micros_since(start) / micros;
    if count > MAX_EXECUTIONS {
        return Err("repeat_until implies too many executions (max 10000)".into());
    }
    Ok(count)
}

impl Starter {
    /// Stores the wrapper flow and starts it; durable when this returns.
    ///
    /// # Errors
    /// [`ScheduleError`]; no run was started then.
    pub async fn schedule(
        &self,
        scope: &TenantScope,
        request: ScheduleRequest,
    ) -> Result<RunId, ScheduleError> {
        let deps = self.deps();
        let now = deps.clock.now();
        let asked = BundleRequest {
            bundle_id: Some(request.bundle_id.as_str()),
            bundle_version: request.bundle_version.as_deref(),
            flow_id: Some(request.flow_id.as_str()),
            ..BundleRequest::default()
        };
        let registry = deps.workflows.current(scope).await?;
        if request.bundle_id.trim().is_empty() || request.flow_id.trim().is_empty() {
            return Err(SelectError::ScheduleTarget.into());
        }
        let when = plan(&request, now).map_err(ScheduleError::Invalid)?;
        let target = select::select_schedule(&registry.index, &asked)?;
        if let Some(text) = registry.deprecation_text(&target.bundle.bundle_id, &target.flow_id) {
            return Err(StartError::Deprecated(text).into());
        }
        let version = registry
            .index
            .get(&target.bundle.bundle_id, &target.bundle.bundle_version);
        let pool = version.and_then(|version| version.manifest.metadata.get("pool")?.as_str().map(Arc::from));
        let id = format!("scheduled:{}", deps.ids.uuid());
        let document = wrapper(&id, &target.workflow_id(), &when, request.share_context);
        let body = document.to_string();
        deps.store
            .put_document(
                scope,
                DocumentKind::DynamicFlow,
                Document {
                    id: id.clone(),
                    body,
                    updated_at: now,
                },
                PutMode::Create,
            )
            .await?;
        ag_failpoints::hit("sched.flow_stored");
        let vars = wrapper_vars(&request, &target, &id, &when, now);
        let start = StartRequest {
            flow_id: Some(id),
            vars,
            session_id: request.session_id.clone(),
            owners: request.owners.clone(),
            pool,
            ..StartRequest::default()
        };
        Ok(self.start(scope, start).await?)
    }
}

fn wrapper_vars(
    request: &ScheduleRequest,
    target: &ag_bundles::ResolvedFlow,
    id: &str,
    when: &Plan,
    now: Timestamp,
) -> Object {
    let mut vars = Object::new();
    let input = request.input_data.clone();
    if let Some(prompt) = input.get("prompt").filter(|prompt| prompt.is_string()).cloned() {
        vars.insert("prompt".into(), prompt);
    }
    vars.insert("vars".into(), Value::Object(input));
    let prefix = (!request.share_context).then(|| id.to_owned());
    if let Some(prefix) = &prefix {
        vars.insert("session_prefix".into(), prefix.as_str().into());
    }
    let given = |text: &Option<String>| filled(text.as_ref()).map(str::to_owned);
    let start_at = given(&request.start_at).filter(|text| !text.eq_ignore_ascii_case("now"));
    vars.insert(
        "_meta".into(),
        json!({"schedule": {
            "kind": "scheduled_run",
            "target_workflow_id": target.workflow_id(),
            "target_bundle_id": target.bundle.bundle_id,
            "target_bundle_version": target.bundle.bundle_version,
            "target_bundle_ref": target.bundle.bundle_ref(),
            "target_registry_scope": "private",
            "target_host_bundle_id": target.bundle.bundle_id,
            "target_flow_id": target.flow_id,
            "start_at": start_at,
            "interval": when.interval,
            "repeat_count": request.repeat_count.or(when.count),
            "repeat_until": given(&request.repeat_until),
            "share_context": request.share_context,
            "session_prefix": prefix,
            "created_at": now.to_seconds_text(),
        }}),
    );
    vars.extend(request.extra_vars.clone());
    vars
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(start: &str, interval: &str, count: Option<i64>, until: &str) -> ScheduleRequest {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ScheduleRequest {
            start_at: text(start),
            interval: text(interval),
            repeat_count: count,
            repeat_until: text(until),
            ..ScheduleRequest::default()
        }
    }

    #[test]
    fn plans_follow_the_contract() {
        let now = Timestamp::parse("2026-01-01T00:00:00Z").expect("time");
        let ok = |request: ScheduleRequest| {
            plan(&request, now).map(|plan| (plan.start, plan.interval, plan.count))
        };
        assert_eq!(ok(request("now", "", None, "")), Ok(("0s".into(), None, None)));
        assert_eq!(ok(request("", "1h", Some(1), "")), Ok(("0s".into(), None, None)));
        assert_eq!(
            ok(request("5s", "1h", Some(3), "")),
            Ok(("5s".into(), Some("1h".into()), Some(3)))
        );
        assert_eq!(
            ok(request("", "1h", None, "2026-01-01T02:30:00Z")),
            Ok(("0s".into(), Some("1h".into()), Some(3)))
        );
        for (request, text) in [
            (request("", "", Some(0), ""), "repeat_count must be >= 1"),
            (request("", "", Some(2), ""), "repeat_count > 1 requires interval"),
            (
                request("", "1h", Some(2), "2026-02-01"),
                "repeat_until cannot be combined with repeat_count",
            ),
            (
                request("", "", None, "2026-02-01"),
                "repeat_until requires interval",
            ),
            (
                request("", "1x", None, "2026-02-01"),
                "Invalid interval: invalid interval (expected like '15m', '1h', '2d')",
            ),
            (
                request("", "1s", None, "2027-02-01"),
                "repeat_until implies too many executions (max 10000)",
            ),
            (
                request("", "1s", None, "2025-02-01"),
                "repeat_until must be >= start_at",
            ),
        ] {
            assert_eq!(ok(request), Err(text.to_owned()));
        }
    }
}
