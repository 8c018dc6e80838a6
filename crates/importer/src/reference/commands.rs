//! Commands: the applied ones are kept for their ids and numbers, the others still have to be applied once.

use ag_engine::{CommandError, CommandRequest, commands::COMMAND_TYPES};
use ag_store::{CommandRow, ImportBatch};
use ag_types::{Object, Timestamp};
use serde_json::Value;

use super::{
    apply::{Step, WRITE},
    report::Stored,
    source::RawCommand,
};
use crate::{
    ImportError,
    json::{self, Repairs},
};

/// Commands in one transaction.
const CHUNK: usize = 2_000;

/// Stores all commands of a plane that are not stored yet, with the numbers they had.
pub(super) async fn store(step: &Step, stored: &mut Stored) -> Result<(), ImportError> {
    let (applied, pending): (Vec<&RawCommand>, Vec<&RawCommand>) = step
        .plan
        .commands
        .iter()
        .partition(|command| command.seq <= step.plan.cursor);
    for chunk in applied.chunks(CHUNK) {
        let rows = chunk.iter().map(|command| row(command, None)).collect();
        keep(step, stored, rows).await?;
    }
    let imports = &step.target.imports;
    for command in pending {
        if step
            .target
            .deps
            .store
            .command(&step.scope, &command.command_id)
            .await?
            .is_some()
        {
            continue;
        }
        ag_failpoints::hit_of(WRITE, &["command"]);
        // The next number is the one it had.
        imports.raise_command_seq(&step.scope, command.seq - 1).await?;
        ag_failpoints::hit_of(WRITE, &["command"]);
        match post(step, command).await {
            Ok(()) => stored.posted += 1,
            Err(CommandError::UnknownRun(run)) => {
                // The reference accepted it and lost it (difference X2).
                let outcome = format!("Run '{run}' not found");
                keep(step, stored, vec![row(command, Some(outcome))]).await?;
            }
            Err(CommandError::Store(error)) => return Err(error.into()),
        }
    }
    if let Some(last) = step.plan.commands.iter().map(|command| command.seq).max() {
        imports.raise_command_seq(&step.scope, last).await?;
    }
    Ok(())
}

async fn keep(
    step: &Step,
    stored: &mut Stored,
    commands: Vec<(CommandRow, Timestamp)>,
) -> Result<(), ImportError> {
    let batch = ImportBatch {
        commands,
        ..ImportBatch::default()
    };
    ag_failpoints::hit_of(WRITE, &["commands"]);
    stored.rows += step.target.imports.import(&step.scope, batch).await?;
    Ok(())
}

/// As if the client had sent it now: the same rules decide whom it reaches.
async fn post(step: &Step, command: &RawCommand) -> Result<(), CommandError> {
    if !COMMAND_TYPES.contains(&command.kind.as_str()) {
        return Err(CommandError::UnknownRun(command.run_id.clone()));
    }
    let request = CommandRequest {
        command_id: command.command_id.clone(),
        run_id: command.run_id.clone(),
        kind: command.kind.clone(),
        payload: payload(command),
        ts: Some(command.ts.clone()),
        client_id: command.client_id.clone(),
    };
    step.target
        .deps
        .post_command(&step.scope, request)
        .await
        .map(|_| ())
}

fn payload(command: &RawCommand) -> Object {
    let text = json::document(command.payload.as_bytes(), &mut Repairs::default()).ok();
    match text.and_then(|text| serde_json::from_str(&text).ok()) {
        Some(Value::Object(payload)) => payload,
        _ => Object::new(),
    }
}

fn row(command: &RawCommand, outcome: Option<String>) -> (CommandRow, Timestamp) {
    let at = Timestamp::parse(&command.ts).unwrap_or(Timestamp::from_micros(0));
    let row = CommandRow {
        seq: command.seq,
        command_id: command.command_id.clone(),
        run_id: command.run_id.clone(),
        kind: command.kind.clone(),
        payload: Value::Object(payload(command)).to_string(),
        client_id: command.client_id.clone(),
        ts: command.ts.clone(),
        outcome,
        pending: false,
    };
    (row, at)
}
