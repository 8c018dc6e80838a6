//! The client commands of the command line.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    api::Api,
    follow::{FollowEnd, Follower},
    render::compact,
    term::{Style, Terminal},
};

/// Where the gateway is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// Address of the gateway.
    #[arg(
        long,
        global = true,
        env = "ABSTRACTGATEWAY_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) url: String,
    /// Bearer token; without it the local token below the data directory is tried.
    #[arg(
        long,
        global = true,
        env = "ABSTRACTGATEWAY_AUTH_TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Option<String>,
    /// Plain output.
    #[arg(long, global = true, env = "NO_COLOR", value_parser = clap::builder::BoolishValueParser::new(), default_value = "false", hide = true)]
    pub(crate) no_color: bool,
}

/// Commands that talk to a running gateway.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Start a run and follow it. BUNDLE is an installed bundle (id, id@version, id:flow) or a .flow file to install.
    Run {
        /// Bundle or file.
        bundle: String,
        /// Flow, where the bundle has several.
        #[arg(long)]
        flow: Option<String>,
        /// Input as key=value; values that are JSON are taken as JSON.
        #[arg(long, short, value_name = "KEY=VALUE")]
        input: Vec<String>,
        /// Session id.
        #[arg(long)]
        session: Option<String>,
        /// Print the run id and return at once.
        #[arg(long, short)]
        detach: bool,
        /// Print the whole output at the end.
        #[arg(long)]
        full: bool,
    },
    /// Follow a run: replay its ledger, then live.
    Watch {
        /// Run id.
        run: String,
        /// Print the whole output at the end.
        #[arg(long)]
        full: bool,
    },
    /// Answer a waiting run.
    Answer {
        /// Run id (the run that waits, or the one that started it).
        run: String,
        /// The answer.
        #[arg(required_unless_present_any = ["approve", "deny"])]
        text: Vec<String>,
        /// Approve the tools it wants to use.
        #[arg(long, conflicts_with = "deny")]
        approve: bool,
        /// Refuse the tools; the text is the reason.
        #[arg(long)]
        deny: bool,
    },
    /// List runs.
    Ps {
        /// Only this status.
        #[arg(long)]
        status: Option<String>,
        /// Child runs too.
        #[arg(long, short)]
        all: bool,
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Cancel a run and everything below it.
    Cancel {
        /// Run id.
        run: String,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
    /// List installed bundles.
    Bundles,
}

/// Performs a client command.
pub(crate) async fn run(
    command: ClientCommand,
    connection: &Connection,
    token: Option<String>,
) -> anyhow::Result<ExitCode> {
    let api = Api::new(&connection.url, token)?;
    let mut terminal = Terminal::new(connection.no_color);
    match command {
        ClientCommand::Run {
            bundle,
            flow,
            input,
            session,
            detach,
            full,
        } => {
            let bundle = install_if_file(&api, &mut terminal, bundle).await?;
            let run = start(&api, &bundle, flow, &input, session).await?;
            if detach {
                terminal.line(&run);
                return Ok(ExitCode::SUCCESS);
            }
            terminal.line(&terminal.paint(Style::Dim, &format!("run {run}")));
            Ok(exit_code(
                Follower::follow(&api, &mut terminal, &run, full).await?,
            ))
        }
        ClientCommand::Watch { run, full } => Ok(exit_code(
            Follower::follow(&api, &mut terminal, &run, full).await?,
        )),
        ClientCommand::Answer {
            run,
            text,
            approve,
            deny,
        } => {
            answer(&api, &mut terminal, &run, &text.join(" "), approve, deny).await?;
            Ok(ExitCode::SUCCESS)
        }
        ClientCommand::Ps { status, all, limit } => {
            list(&api, &mut terminal, status, all, limit).await?;
            Ok(ExitCode::SUCCESS)
        }
        ClientCommand::Cancel { run, reason } => {
            api.get(&format!("/runs/{run}")).await?;
            api.command(&run, "cancel", json!({"reason": reason})).await?;
            terminal.line("cancel accepted");
            Ok(ExitCode::SUCCESS)
        }
        ClientCommand::Bundles => {
            bundles(&api, &mut terminal).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// 0 completed, 1 unsuccessful, 3 waiting for somebody.
fn exit_code(end: FollowEnd) -> ExitCode {
    match end {
        FollowEnd::Completed => ExitCode::SUCCESS,
        FollowEnd::Unsuccessful => ExitCode::FAILURE,
        FollowEnd::Waiting => ExitCode::from(3),
    }
}

async fn install_if_file(api: &Api, terminal: &mut Terminal, bundle: String) -> anyhow::Result<String> {
    let path = Path::new(&bundle);
    if !(bundle.ends_with(".flow") && path.is_file()) {
        return Ok(bundle);
    }
    let bytes = tokio::fs::read(path)
        .await
        .with_context(|| format!("cannot read {bundle}"))?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let answer = api.upload(name, bytes).await?;
    if answer["gateway_reloaded"] == false {
        bail!(
            "the bundle was installed but cannot be used: {}",
            compact(answer.get("gateway_reload_error"))
        );
    }
    let reference = answer["bundle_ref"].as_str().unwrap_or_default().to_owned();
    terminal.line(&terminal.paint(Style::Dim, &format!("installed {reference}")));
    Ok(reference)
}

async fn start(
    api: &Api,
    bundle: &str,
    flow: Option<String>,
    input: &[String],
    session: Option<String>,
) -> anyhow::Result<String> {
    let mut body = json!({"input_data": inputs(input)?});
    match (bundle.contains(':'), flow) {
        (true, None) => body["flow_id"] = bundle.into(),
        (_, flow) => {
            body["bundle_id"] = bundle.into();
            if let Some(flow) = flow {
                body["flow_id"] = flow.into();
            }
        }
    }
    if let Some(session) = session {
        body["session_id"] = session.into();
    }
    let answer = api.post("/runs/start", &body).await?;
    answer["run_id"]
        .as_str()
        .map(str::to_owned)
        .context("the answer names no run")
}

fn inputs(pairs: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut out = Map::new();
    for pair in pairs {
        let Some((key, text)) = pair.split_once('=') else {
            bail!("--input wants KEY=VALUE, got '{pair}'")
        };
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        out.insert(key.trim().to_owned(), value);
    }
    Ok(out)
}

async fn answer(
    api: &Api,
    terminal: &mut Terminal,
    run: &str,
    text: &str,
    approve: bool,
    deny: bool,
) -> anyhow::Result<()> {
    let (run, wait) = waiting_run(api, run).await?;
    let approval = wait.pointer("/details/mode").and_then(Value::as_str) == Some("approval_required");
    let payload = match (approve, deny) {
        (true, _) => json!({"approved": true}),
        (_, true) if text.is_empty() => json!({"approved": false}),
        (_, true) => json!({"approved": false, "reason": text}),
        _ if approval => bail!("this run waits for an approval: use --approve or --deny"),
        _ => json!({"response": text}),
    };
    let receipt = api
        .command(
            &run,
            "resume",
            json!({"wait_key": wait["wait_key"], "payload": payload}),
        )
        .await?;
    terminal.line(&format!(
        "answer accepted (command {})",
        compact(receipt.get("seq"))
    ));
    Ok(())
}

/// The run itself, or the descendant that waits for a person.
async fn waiting_run(api: &Api, run: &str) -> anyhow::Result<(String, Value)> {
    let mut current = run.to_owned();
    for _ in 0..64 {
        let summary = api.get(&format!("/runs/{current}")).await?;
        let wait = summary["waiting"].clone();
        match wait["reason"].as_str() {
            Some("subworkflow") => {
                let child = wait.pointer("/details/sub_run_id").and_then(Value::as_str);
                current = child.context("the wait names no child run")?.to_owned();
            }
            Some(_) => return Ok((current, wait)),
            None => bail!(
                "run {current} is {} and does not wait",
                compact(summary.get("status"))
            ),
        }
    }
    bail!("the run tree is too deep")
}

async fn list(
    api: &Api,
    terminal: &mut Terminal,
    status: Option<String>,
    all: bool,
    limit: u32,
) -> anyhow::Result<()> {
    let status = status
        .map(|status| format!("&status={status}"))
        .unwrap_or_default();
    let answer = api
        .get(&format!("/runs?limit={limit}&root_only={}{status}", !all))
        .await?;
    let items = answer["items"].as_array().cloned().unwrap_or_default();
    if items.is_empty() {
        terminal.line("no runs");
        return Ok(());
    }
    let header = format!(
        "{:<36}  {:<9}  {:<19}  {:>7}  WORKFLOW",
        "RUN", "STATUS", "UPDATED", "RECORDS"
    );
    terminal.line(&terminal.paint(Style::Dim, &header));
    for item in items {
        let status = item["status"].as_str().unwrap_or_default();
        let style = match status {
            "completed" => Style::Green,
            "failed" => Style::Red,
            "waiting" => Style::Yellow,
            "running" => Style::Cyan,
            _ => Style::Dim,
        };
        let waits = item
            .pointer("/waiting/reason")
            .and_then(Value::as_str)
            .map(|r| format!(" ({r})"))
            .unwrap_or_default();
        terminal.line(&format!(
            "{:<36}  {}  {:<19}  {:>7}  {}{}",
            item["run_id"].as_str().unwrap_or_default(),
            terminal.paint(style, &format!("{status:<9}")),
            item["updated_at"]
                .as_str()
                .and_then(|t| t.get(..19))
                .unwrap_or_default(),
            compact(item.get("ledger_len")),
            item["workflow_id"].as_str().unwrap_or_default(),
            terminal.paint(Style::Dim, &waits),
        ));
    }
    Ok(())
}

async fn bundles(api: &Api, terminal: &mut Terminal) -> anyhow::Result<()> {
    let answer = api.get("/bundles?include_drafts=true").await?;
    for item in answer["items"].as_array().into_iter().flatten() {
        let reference = item["bundle_ref"].as_str().unwrap_or_default();
        for entry in item["entrypoints"].as_array().into_iter().flatten() {
            let name = entry["name"].as_str().unwrap_or_default();
            let flow = entry["flow_id"].as_str().unwrap_or_default();
            let text = entry["description"].as_str().unwrap_or_default();
            terminal.line(&format!(
                "{}  {name} ({flow})  {}",
                terminal.paint(Style::Bold, reference),
                terminal.paint(Style::Dim, text)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_json_where_they_can_be() {
        let pairs = ["a=1", "b=text", "c={\"d\":[true]}", "e=", "f=x=y"].map(str::to_owned);
        let read = inputs(&pairs).expect("well formed");
        assert_eq!(
            Value::Object(read),
            json!({"a": 1, "b": "text", "c": {"d": [true]}, "e": "", "f": "x=y"})
        );
        assert!(inputs(&["oops".to_owned()]).is_err());
    }
}
