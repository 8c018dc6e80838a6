//! Following a run tree live: one stream a run, one line a record, a moving line while something works.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    api::Api,
    ask, render,
    sse::{Event, Events},
    term::{Style, Terminal},
};

/// Pause before a broken stream is opened again.
const RECONNECT: Duration = Duration::from_millis(500);
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// How a followed run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FollowEnd {
    /// Completed without a soft failure.
    Completed,
    /// Failed, cancelled, or completed with `success: false`.
    Unsuccessful,
    /// It waits for somebody and nobody is here to answer.
    Waiting,
}

struct Message {
    run: String,
    event: Option<(i64, Value)>,
}

/// Follows a run and its children until the run ends.
pub(crate) struct Follower<'a> {
    api: &'a Api,
    terminal: &'a mut Terminal,
    root: String,
    /// May questions be asked at this terminal?
    answer: bool,
    /// Print the whole output, however long.
    full: bool,
    depth: HashMap<String, usize>,
    working: HashMap<String, (String, Instant)>,
    answered: HashSet<String>,
    sender: mpsc::UnboundedSender<Message>,
    output: Option<Value>,
}

impl<'a> Follower<'a> {
    pub(crate) async fn follow(
        api: &'a Api,
        terminal: &'a mut Terminal,
        run: &str,
        full: bool,
    ) -> anyhow::Result<FollowEnd> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut follower = Follower {
            api,
            terminal,
            root: run.to_owned(),
            answer: true,
            full,
            depth: HashMap::from([(run.to_owned(), 0)]),
            working: HashMap::new(),
            answered: HashSet::new(),
            sender,
            output: None,
        };
        follower.open(run);
        let end = follower.watch(receiver).await;
        follower.terminal.clear_status();
        end
    }

    fn open(&self, run: &str) {
        let (api, run, sender) = (self.api.clone(), run.to_owned(), self.sender.clone());
        tokio::spawn(async move {
            let mut after = 0;
            loop {
                if let Ok(response) = api.stream(&run, after).await {
                    let mut events = Events::new(response);
                    while let Some(event) = events.next().await {
                        let event = match event {
                            Event::Step(cursor, record) => {
                                after = cursor;
                                Some((cursor, record))
                            }
                            Event::Done => None,
                        };
                        let done = event.is_none();
                        if sender
                            .send(Message {
                                run: run.clone(),
                                event,
                            })
                            .is_err()
                            || done
                        {
                            return;
                        }
                    }
                }
                if sender.is_closed() {
                    return;
                }
                tokio::time::sleep(RECONNECT).await;
            }
        });
    }

    async fn watch(&mut self, mut receiver: mpsc::UnboundedReceiver<Message>) -> anyhow::Result<FollowEnd> {
        let mut spin = tokio::time::interval(Duration::from_millis(120));
        let mut turn = 0_usize;
        loop {
            tokio::select! {
                message = receiver.recv() => {
                    let message = message.context("the streams ended")?;
                    match message.event {
                        Some((_, record)) => {
                            if let Some(end) = self.record(&message.run, &record).await? {
                                return Ok(end);
                            }
                        }
                        None if message.run == self.root => return self.finished().await,
                        None => {}
                    }
                }
                _ = spin.tick() => {
                    turn += 1;
                    self.show_progress(SPINNER[turn % SPINNER.len()]);
                }
            }
        }
    }

    fn show_progress(&mut self, glyph: &str) {
        let Some((what, since)) = self.working.values().min_by_key(|(_, since)| *since) else {
            self.terminal.clear_status();
            return;
        };
        let text = format!("{glyph} {what} {:.1}s", since.elapsed().as_secs_f64());
        let painted = self.terminal.paint(Style::Dim, &text);
        self.terminal.status(&painted);
    }

    async fn record(&mut self, run: &str, record: &Value) -> anyhow::Result<Option<FollowEnd>> {
        let depth = self.depth.get(run).copied().unwrap_or(0);
        let step = record["step_id"].as_str().unwrap_or_default().to_owned();
        if record["status"] == "started" {
            let kind = record
                .pointer("/effect/type")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let model = record.pointer("/effect/payload/model").and_then(Value::as_str);
            let what = match kind {
                "llm_call" => format!("{} is thinking", model.unwrap_or("the model")),
                "tool_calls" => "tools are working".to_owned(),
                other => other.replace('_', " "),
            };
            self.working.insert(step, (what, Instant::now()));
            return Ok(None);
        }
        self.working.remove(&step);
        if let Some(line) = render::line(self.terminal, record, depth) {
            self.terminal.line(&line);
        }
        if let Some(output) = record.pointer("/result/output").filter(|_| run == self.root) {
            self.output = Some(output.clone());
        }
        if record["status"] != "waiting" {
            return Ok(None);
        }
        let wait = &record["result"]["wait"];
        let child = wait.pointer("/details/sub_run_id").and_then(Value::as_str);
        if let Some(child) = child.filter(|child| !self.depth.contains_key(*child)) {
            self.depth.insert(child.to_owned(), depth + 1);
            self.open(child);
        }
        self.waiting(run, wait).await
    }

    /// Asks the person, if the run still waits for one.
    async fn waiting(&mut self, run: &str, wait: &Value) -> anyhow::Result<Option<FollowEnd>> {
        if wait["reason"] != "user" || wait.pointer("/details/kind").and_then(Value::as_str) == Some("pause")
        {
            return Ok(None);
        }
        let key = wait["wait_key"].as_str().unwrap_or_default().to_owned();
        // A replayed record may ask what was answered long ago.
        let summary = self.api.get(&format!("/runs/{run}")).await?;
        if summary.pointer("/waiting/wait_key").and_then(Value::as_str) != Some(key.as_str()) {
            return Ok(None);
        }
        if !self.answer || !self.terminal.interactive() {
            let text = format!("The run waits. Answer with: abstractgateway answer {run} TEXT");
            self.terminal.line(&self.terminal.paint(Style::Yellow, &text));
            return Ok(Some(FollowEnd::Waiting));
        }
        if !self.answered.insert(format!("{run} {}", summary["updated_at"])) {
            return Ok(None);
        }
        let Some(answer) = ask::ask(self.terminal, wait).await? else {
            return Ok(Some(FollowEnd::Waiting));
        };
        self.api
            .command(
                run,
                "resume",
                serde_json::json!({"wait_key": key, "payload": answer}),
            )
            .await?;
        Ok(None)
    }

    async fn finished(&mut self) -> anyhow::Result<FollowEnd> {
        let summary = self.api.get(&format!("/runs/{}", self.root)).await?;
        let status = summary["status"].as_str().unwrap_or_default().to_owned();
        let soft_failure = self
            .output
            .as_ref()
            .is_some_and(|output| output["success"] == false);
        let (style, end) = match (status.as_str(), soft_failure) {
            ("completed", false) => (Style::Green, FollowEnd::Completed),
            ("completed", true) => (Style::Yellow, FollowEnd::Unsuccessful),
            _ => (Style::Red, FollowEnd::Unsuccessful),
        };
        let error = summary["error"]
            .as_str()
            .map(|error| format!(": {error}"))
            .unwrap_or_default();
        let line = self.terminal.paint(style, &format!("{status}{error}"));
        self.terminal.line(&line);
        if let Some(output) = self.output.take() {
            let text = match self.full {
                true => serde_json::to_string_pretty(&output)?,
                false => summary_of(&output)?,
            };
            self.terminal.line(&text);
        }
        Ok(end)
    }
}

/// What a person wants to see of an output: its answer if it has one, else the JSON, cut to a screenful.
fn summary_of(output: &Value) -> anyhow::Result<String> {
    const LINES: usize = 24;
    let answer = ["response", "answer", "message", "text", "content"]
        .iter()
        .find_map(|key| output.get(*key)?.as_str());
    if let Some(answer) = answer.filter(|answer| !answer.trim().is_empty()) {
        return Ok(answer.to_owned());
    }
    let pretty = serde_json::to_string_pretty(output)?;
    let count = pretty.lines().count();
    if count <= LINES {
        return Ok(pretty);
    }
    let head: Vec<&str> = pretty.lines().take(LINES).collect();
    Ok(format!(
        "{}\n… {} more lines, use --full to see all",
        head.join("\n"),
        count - LINES
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn outputs_are_summarised() {
        assert_eq!(
            summary_of(&json!({"response": "hi", "meta": {}})).expect("text"),
            "hi"
        );
        assert_eq!(summary_of(&json!({"n": 1})).expect("text"), "{\n  \"n\": 1\n}");
        let long: Vec<u32> = (0..100).collect();
        assert!(
            summary_of(&json!({"items": long}))
                .expect("text")
                .ends_with("use --full to see all")
        );
    }
}
