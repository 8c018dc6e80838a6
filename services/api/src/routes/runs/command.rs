//! Commands: durable requests to runs (runs contract §4).

use ag_engine::{CommandRequest, commands::COMMAND_TYPES};
use ag_store::CommandRow;
use ag_types::Object;
use axum::Json;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    ApiError, ApiResult, CallContext, Input, Request,
    input::{BodyRule, Reader, object, string},
};

/// A command.
pub(super) struct SubmitCommand {
    command_id: String,
    run_id: String,
    kind: String,
    payload: Object,
    ts: Option<String>,
    client_id: Option<String>,
}

impl Request for SubmitCommand {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        Self {
            command_id: body.required("command_id", string()),
            run_id: body.required("run_id", string()),
            kind: body.required("type", string()),
            payload: body.or_default("payload", object()),
            ts: body.optional("ts", string()),
            client_id: body.optional("client_id", string()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Receipt {
    accepted: bool,
    duplicate: bool,
    seq: i64,
}

/// Stores a command with its mail.
pub(super) async fn submit_command(
    ctx: CallContext,
    Input(asked): Input<SubmitCommand>,
) -> ApiResult<Json<Receipt>> {
    let kind = COMMAND_TYPES
        .into_iter()
        .find(|known| *known == asked.kind)
        .ok_or_else(|| ApiError::bad_request(format!("type must be one of {}", COMMAND_TYPES.join("|"))))?;
    if asked.run_id.trim().is_empty() {
        return Err(ApiError::bad_request(
            "Failed to append command: CommandRecord.run_id must be non-empty",
        ));
    }
    let command_id = match asked.command_id.trim() {
        "" => ctx.ids().hex32(),
        id => id.to_owned(),
    };
    let ids = [
        Some(&command_id),
        Some(&asked.run_id),
        asked.client_id.as_ref(),
        asked.ts.as_ref(),
    ];
    if ids.into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(ApiError::bad_request(
            "Failed to append command: ids must not contain U+0000",
        ));
    }
    let request = CommandRequest {
        command_id,
        run_id: asked.run_id,
        kind: kind.to_owned(),
        payload: asked.payload,
        ts: asked.ts,
        client_id: asked.client_id,
    };
    let receipt = ctx.post_command(request).await?;
    Ok(Json(Receipt {
        accepted: receipt.accepted,
        duplicate: receipt.duplicate,
        seq: receipt.seq,
    }))
}

/// A command in the path.
pub(super) struct OneCommand {
    command_id: String,
}

impl Request for OneCommand {
    fn read(reader: &mut Reader) -> Self {
        Self {
            command_id: reader.path().required("command_id", string()),
        }
    }
}

/// A command and what became of it (difference X3).
#[derive(Serialize)]
pub(super) struct CommandState {
    command_id: String,
    seq: i64,
    run_id: String,
    #[serde(rename = "type")]
    kind: String,
    payload: Option<Box<RawValue>>,
    ts: String,
    client_id: Option<String>,
    /// True while some run it reaches has not read it.
    pending: bool,
    /// Why it was refused, or a remark; null while unread and after plain success.
    outcome: Option<String>,
}

impl From<CommandRow> for CommandState {
    fn from(row: CommandRow) -> Self {
        Self {
            command_id: row.command_id,
            seq: row.seq,
            run_id: row.run_id,
            kind: row.kind,
            payload: RawValue::from_string(row.payload).ok(),
            ts: row.ts,
            client_id: row.client_id,
            pending: row.pending,
            outcome: row.outcome,
        }
    }
}

/// Shows a command.
pub(super) async fn get_command(
    ctx: CallContext,
    Input(asked): Input<OneCommand>,
) -> ApiResult<Json<CommandState>> {
    let absent = || ApiError::not_found(format!("Command '{}' not found", asked.command_id));
    if asked.command_id.contains('\0') {
        return Err(absent());
    }
    let row = ctx.store().command(ctx.scope(), &asked.command_id).await?;
    row.map(|row| Json(row.into())).ok_or_else(absent)
}

/// The same under the path that is ours alone.
pub(super) async fn get_command_v1(
    ctx: CallContext,
    asked: Input<OneCommand>,
) -> ApiResult<Json<CommandState>> {
    get_command(ctx, asked).await
}
