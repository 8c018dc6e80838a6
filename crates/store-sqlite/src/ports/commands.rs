//! Client commands.

use ag_store::{CommandRow, CommandStore, NewCommand, PostOutcome, Result};
use ag_types::TenantScope;
use async_trait::async_trait;

use super::mismatch;
use crate::{
    db::Value,
    store::SqliteStore,
    writer::{Answer, Op},
};

#[async_trait]
impl CommandStore for SqliteStore {
    #[tracing::instrument(level = "debug", name = "store.command.post_command", skip_all)]
    async fn post_command(&self, scope: &TenantScope, command: NewCommand) -> Result<PostOutcome> {
        match self
            .write(Op::Post {
                plane: scope.plane,
                command: Box::new(command),
            })
            .await?
        {
            Answer::Posted(outcome) => Ok(outcome),
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.command.command", skip_all)]
    async fn command(&self, scope: &TenantScope, command_id: &str) -> Result<Option<CommandRow>> {
        const SQL: &str = "SELECT c.seq, c.command_id, c.run_id, c.type, c.payload, c.client_id, c.ts, c.outcome, \
             EXISTS (SELECT 1 FROM mail m WHERE m.plane_id = c.plane_id AND m.command_id = c.command_id) \
             FROM commands c WHERE c.plane_id = ? AND c.command_id = ?";
        let values = [scope.plane.into(), Value::text(command_id)];
        self.read(|db| {
            db.first(SQL, &values, |row| {
                Ok(CommandRow {
                    seq: row.int()?,
                    command_id: row.string()?,
                    run_id: row.string()?,
                    kind: row.string()?,
                    payload: row.string()?,
                    client_id: row.opt_string()?,
                    ts: row.string()?,
                    outcome: row.opt_string()?,
                    pending: row.flag()?,
                })
            })
        })
    }
}
