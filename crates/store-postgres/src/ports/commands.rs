//! Client commands.

use ag_store::{CommandRow, CommandStore, NewCommand, PostOutcome, Result};
use ag_types::TenantScope;
use async_trait::async_trait;

use crate::{
    rows::{Cursor, tenant},
    store::PostgresStore,
    writer::Post,
};

pub(super) const COMMAND: &str = tenant!(
    "SELECT c.seq, c.command_id, c.run_id, c.type, c.payload, c.client_id, c.ts, c.outcome, \
     EXISTS (SELECT FROM mail m WHERE m.plane_id = c.plane_id AND m.command_id = c.command_id) AS pending \
     FROM commands c WHERE c.plane_id = s.plane AND c.command_id = $2"
);

#[async_trait]
impl CommandStore for PostgresStore {
    #[tracing::instrument(level = "debug", name = "store.command.post_command", skip_all)]
    async fn post_command(&self, scope: &TenantScope, command: NewCommand) -> Result<PostOutcome> {
        let plane = scope.plane;
        self.posts.send(Post { plane, command }).await
    }

    #[tracing::instrument(level = "debug", name = "store.command.command", skip_all)]
    async fn command(&self, scope: &TenantScope, command_id: &str) -> Result<Option<CommandRow>> {
        let query = sqlx::query(COMMAND).bind(scope.plane.0).bind(command_id);
        let rows = self.database.read(query).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut cursor = Cursor::new(row);
        Ok(Some(CommandRow {
            seq: cursor.long()?,
            command_id: cursor.string()?,
            run_id: cursor.string()?,
            kind: cursor.string()?,
            payload: cursor.string()?,
            client_id: cursor.opt_string()?,
            ts: cursor.string()?,
            outcome: cursor.opt_string()?,
            pending: cursor.flag()?,
        }))
    }
}
