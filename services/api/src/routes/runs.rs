//! Runs: starts, summaries, ledgers, streams, commands (runs contract).

mod command;
mod history;
mod input_data;
mod ledger;
mod list;
mod lookup;
mod prepare;
mod purge;
mod start;
mod stream;
mod summary;
#[cfg(test)]
mod tests;
mod vars;
mod workspace;

use crate::operation::ops;

ops! {
    /// Runs.
    pub(super) const RUNS: "runs" = {
        POST "/api/gateway/runs/start" start::start_run "Starts a run.";
        POST "/api/gateway/runs/schedule" start::schedule_run "Starts a run now, later, or again and again.";
        POST "/api/gateway/runs/purge_drafts" purge::purge_draft_runs "Deletes expired runs of drafts.";
        GET "/api/gateway/runs" list::list_runs "Lists runs, the last changed first.";
        GET "/api/gateway/runs/{run_id}" summary::get_run "Tells where a run stands.";
        GET "/api/gateway/runs/{run_id}/input_data" input_data::get_run_input_data "Tells what a run was started with.";
        GET "/api/gateway/runs/{run_id}/history_bundle" history::get_run_history_bundle
            "Gives a run with the ledgers of its tree.";
        POST "/api/gateway/runs/{run_id}/workspace/open" workspace::open_run_workspace
            "Opens the workspace folder of a run on the host.";
    }
}

ops! {
    /// Ledgers.
    pub(super) const LEDGERS: "ledger" = {
        GET "/api/gateway/runs/{run_id}/ledger" ledger::get_ledger "Gives records of a ledger after a cursor.";
        POST "/api/gateway/runs/ledger/batch" ledger::get_ledger_batch "Gives records of many ledgers.";
        GET "/api/gateway/runs/{run_id}/ledger/stream" stream::stream_ledger
            "Replays and follows a ledger as server-sent events.";
    }
}

ops! {
    /// Commands.
    pub(super) const COMMANDS: "commands" = {
        POST "/api/gateway/commands" command::submit_command "Accepts a durable command to a run.";
        GET "/api/gateway/commands/{command_id}" command::get_command "Tells what became of a command.";
        GET "/api/v1/commands/{command_id}" command::get_command_v1 "Tells what became of a command.";
    }
}
