//! `POST /visualflows/code/simulate`: a code node's function on one input, outside of any run.

use std::{sync::Arc, time::Duration};

use ag_sandbox::{CodeOutcome, CodeRequest, CodeSandbox, ExecutionStats, Limits, Permissions, Phase};
use axum::Json;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{BodyRule, Reader, Request, any, string},
    routes::blocking::blocking,
};

/// A person waits for the answer, and the thread is taken meanwhile.
const WALL_TIME: Duration = Duration::from_secs(10);

/// The interpreter of this node, as an extension of its state.
#[derive(Clone)]
pub struct CodeService(pub Arc<dyn CodeSandbox>);

/// Code with its input.
pub(super) struct SimulateCode {
    code: String,
    input: Value,
    function_name: String,
    permissions: String,
}

impl Request for SimulateCode {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.strict_body();
        Self {
            code: body.or_default("code", string()),
            input: body.or("input", any(), json!({})),
            function_name: body.or("function_name", string(), "transform".to_owned()),
            permissions: body.or("permissions", string(), "sandbox".to_owned()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Simulation {
    ok: bool,
    success: bool,
    output: Value,
    execution: Option<ExecutionStats>,
    error: Option<String>,
    diagnostics: Diagnostics,
}

#[derive(Serialize)]
struct Diagnostics {
    source: &'static str,
    phase: &'static str,
    requested_mode: String,
    effective_mode: &'static str,
    allowed: bool,
}

pub(super) async fn simulate_code(
    ctx: CallContext,
    Input(request): Input<SimulateCode>,
) -> ApiResult<Json<Simulation>> {
    let service = ctx.state().extension::<CodeService>();
    let service = service
        .ok_or_else(|| ApiError::not_implemented("Code execution is not available on this gateway"))?;
    let requested_mode = match Permissions::parse(&request.permissions) {
        Ok(permissions) => permissions.as_str().to_owned(),
        Err(_) => request.permissions.trim().to_lowercase(),
    };
    let outcome = blocking(move || {
        service.0.run(CodeRequest {
            source: &request.code,
            function_name: &request.function_name,
            input: &request.input,
            permissions: &request.permissions,
            limits: Limits {
                wall_time: WALL_TIME,
                ..Limits::default()
            },
        })
    })
    .await?;
    Ok(Json(simulation(outcome, requested_mode)))
}

fn simulation(outcome: CodeOutcome, requested_mode: String) -> Simulation {
    let (output, error, phase, stats) = match outcome {
        CodeOutcome::Ok { value, stats } => (value, None, Phase::Runtime, stats),
        CodeOutcome::Failed { error, phase, stats } => (Value::Null, Some(error), phase, stats),
        CodeOutcome::Unserialisable { error, stats, .. } => (Value::Null, Some(error), Phase::Runtime, stats),
    };
    let ok = error.is_none();
    Simulation {
        ok,
        success: ok,
        output,
        execution: Some(stats),
        error,
        diagnostics: Diagnostics {
            source: "abstractruntime.code_executor",
            phase: phase.as_str(),
            requested_mode,
            effective_mode: "sandbox",
            allowed: ok,
        },
    }
}
