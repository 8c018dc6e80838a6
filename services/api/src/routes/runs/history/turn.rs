//! One turn of a session: what was asked, what was answered, what it cost.

use ag_store::{LedgerPage, RunRow};
use ag_types::{RunId, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::{artifacts, ledgers::duration_ms};
use crate::{
    ApiResult, CallContext,
    routes::runs::{
        summary::is_wrapper,
        vars::{Reserved, TopLevel},
    },
};

/// Runs of a turn's tree whose ledgers count.
const MAX_TREE: usize = 200;
/// Records of one ledger that are looked at.
const MAX_RECORDS: usize = 20_000;
/// Envelope that hosts put before a prompt.
const ENVELOPE: (&str, &str) = ("<runtime_metadata>", "</runtime_metadata>");

/// Kind of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Has a conversation in its context.
    Chat,
    /// Parent of a schedule.
    Scheduled,
    /// Anything else.
    Run,
}

#[derive(Serialize)]
pub(super) struct Turn {
    run_id: String,
    workflow_id: String,
    kind: Kind,
    status: &'static str,
    created_at: Timestamp,
    updated_at: Timestamp,
    prompt: Option<String>,
    prompt_metadata: Option<Value>,
    attachments: Vec<Value>,
    answer: Option<String>,
    answer_meta: Option<Value>,
    stats: Stats,
    artifacts: Vec<Value>,
}

#[derive(Default, Serialize)]
struct Stats {
    duration_ms: Option<f64>,
    llm_calls: u64,
    tool_calls: u64,
    usage: Usage,
    tok_s: Option<f64>,
}

#[derive(Default, Serialize)]
struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
}

/// The kind of a run's turn.
pub(super) fn kind(row: &RunRow) -> Kind {
    let context = TopLevel::read(&row.columns.vars).get("context");
    if context
        .as_ref()
        .and_then(|context| context.get("messages"))
        .is_some_and(Value::is_array)
    {
        Kind::Chat
    } else if is_wrapper(&row.head.workflow_id) || Reserved::read(&row.columns.vars).schedule().is_some() {
        Kind::Scheduled
    } else {
        Kind::Run
    }
}

/// Shows a turn.
pub(super) async fn show(ctx: &CallContext, row: &RunRow, kind: Kind) -> ApiResult<Turn> {
    let run = row.head.run_id;
    let vars = TopLevel::read(&row.columns.vars);
    let context = vars.get("context").unwrap_or_default();
    let (prompt, prompt_metadata) = match prompt(&vars, &context) {
        Some(text) => split_envelope(&text),
        None => (None, None),
    };
    let mut runs: Vec<(RunId, i64)> = vec![(run, row.last_seq)];
    let below = ctx.store().descendants(ctx.scope(), run, MAX_TREE).await?;
    runs.extend(
        below
            .iter()
            .map(|related| (related.head.run_id, related.last_seq)),
    );
    let mut sums = Sums::default();
    for (member, _) in runs.iter().filter(|(_, last_seq)| *last_seq > 0) {
        if let Some(page) = ctx.store().ledger(ctx.scope(), *member, 0, MAX_RECORDS).await? {
            sums.add(&page, *member == run);
        }
    }
    let output: Value = row
        .columns
        .output
        .as_deref()
        .and_then(|output| serde_json::from_str(output).ok())
        .unwrap_or_default();
    let run_id = run.to_string();
    let mut by_run = artifacts::of_runs(ctx, vec![run_id.clone()]).await?;
    let elapsed = row.columns.updated_at.micros_since(row.head.created_at);
    Ok(Turn {
        workflow_id: row.head.workflow_id.to_string(),
        kind,
        status: row.columns.status.as_str(),
        created_at: row.head.created_at,
        updated_at: row.columns.updated_at,
        prompt,
        prompt_metadata,
        attachments: context
            .get("attachments")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default(),
        answer: answer(&output).or_else(|| sums.said.take()),
        answer_meta: output.get("meta").filter(|meta| meta.is_object()).cloned(),
        stats: sums.stats(elapsed),
        artifacts: by_run.remove(&run_id).unwrap_or_default(),
        run_id,
    })
}

fn filled(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn prompt(vars: &TopLevel<'_>, context: &Value) -> Option<String> {
    let direct = ["prompt", "message", "task"]
        .into_iter()
        .find_map(|key| filled(vars.get(key).as_ref()));
    let direct = direct.or_else(|| {
        ["task", "message"]
            .into_iter()
            .find_map(|key| filled(context.get(key)))
    });
    direct.or_else(|| {
        let messages = context.get("messages")?.as_array()?;
        let user = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("user");
        filled(messages.iter().rev().find(user)?.get("content"))
    })
}

/// Splits a leading metadata envelope off.
fn split_envelope(text: &str) -> (Option<String>, Option<Value>) {
    let inner = text
        .strip_prefix(ENVELOPE.0)
        .and_then(|rest| rest.split_once(ENVELOPE.1));
    match inner.and_then(|(metadata, rest)| Some((serde_json::from_str(metadata.trim()).ok()?, rest))) {
        Some((metadata, rest)) => (Some(rest.trim().to_owned()), Some(metadata)),
        None => (Some(text.to_owned()), None),
    }
}

/// The first text of the usual members, then one level down.
fn answer(output: &Value) -> Option<String> {
    const KEYS: [&str; 5] = ["response", "answer", "message", "text", "content"];
    let of = |value: &Value| KEYS.into_iter().find_map(|key| filled(value.get(key)));
    of(output).or_else(|| {
        ["result", "output"]
            .into_iter()
            .find_map(|key| of(output.get(key)?))
    })
}

/// Sums over the ledgers of a tree.
#[derive(Default)]
struct Sums {
    llm_calls: u64,
    tool_calls: u64,
    usage: Usage,
    model_ms: f64,
    /// Last message of the root run to its user.
    said: Option<String>,
}

impl Sums {
    fn add(&mut self, page: &LedgerPage, is_root: bool) {
        for (_, line) in page.records() {
            // Most records are none of these; a look at the text spares the parsing.
            let counts = ["\"llm_call\"", "\"tool_calls\"", "\"answer_user\""]
                .iter()
                .any(|kind| line.contains(kind));
            if !counts {
                continue;
            }
            let record: Value = serde_json::from_str(line).unwrap_or_default();
            if record["status"] != "completed" {
                continue;
            }
            match record["effect"]["type"].as_str() {
                Some("llm_call") => self.add_model_call(&record),
                Some("tool_calls") => {
                    let calls = record["effect"]["payload"]["tool_calls"]
                        .as_array()
                        .map_or(0, Vec::len);
                    self.tool_calls += calls as u64;
                }
                Some("answer_user") if is_root => {
                    self.said = filled(record["result"].get("message")).or(self.said.take());
                }
                _ => {}
            }
        }
    }

    fn add_model_call(&mut self, record: &Value) {
        self.llm_calls += 1;
        let usage = &record["result"]["usage"];
        let number = |keys: [&str; 2]| {
            keys.into_iter()
                .find_map(|key| usage[key].as_u64())
                .unwrap_or_default()
        };
        let (input, output) = (
            number(["input_tokens", "prompt_tokens"]),
            number(["output_tokens", "completion_tokens"]),
        );
        self.usage.input_tokens += input;
        self.usage.output_tokens += output;
        self.usage.total_tokens += usage["total_tokens"].as_u64().unwrap_or(input + output);
        let text = |key: &str| record[key].as_str();
        self.model_ms += duration_ms(text("started_at"), text("ended_at")).unwrap_or_default();
    }

    fn stats(self, elapsed_micros: i64) -> Stats {
        let tok_s = (self.model_ms > 0.0 && self.usage.output_tokens > 0)
            .then(|| (self.usage.output_tokens as f64 / self.model_ms * 100_000.0).round() / 100.0);
        Stats {
            duration_ms: Some((elapsed_micros as f64 / 10.0).round() / 100.0),
            llm_calls: self.llm_calls,
            tool_calls: self.tool_calls,
            usage: self.usage,
            tok_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prompts_and_answers() {
        let vars = r#"{"prompt":" ","context":{"messages":[{"role":"user","content":"first"},{"role":"user","content":"last"}]}}"#;
        let vars = TopLevel::read(vars);
        assert_eq!(
            prompt(&vars, &vars.get("context").unwrap_or_default()).as_deref(),
            Some("last")
        );
        let (text, metadata) = split_envelope("<runtime_metadata>{\"a\":1}</runtime_metadata>\nhello");
        assert_eq!(
            (text.as_deref(), metadata),
            (Some("hello"), Some(json!({"a": 1})))
        );
        assert_eq!(split_envelope("<runtime_metadata>no").1, None);
        assert_eq!(
            answer(&json!({"result": {"text": "deep"}})).as_deref(),
            Some("deep")
        );
        assert_eq!(
            answer(&json!({"answer": "", "content": "c", "result": {"text": "deep"}})).as_deref(),
            Some("c")
        );
    }
}
