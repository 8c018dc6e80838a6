//! Answering a run that waits for a person.

use serde_json::{Value, json};

use super::{
    render::compact,
    term::{Style, Terminal},
};

/// Asks the person at the terminal; `None` when they give no answer.
pub(crate) async fn ask(terminal: &mut Terminal, wait: &Value) -> std::io::Result<Option<Value>> {
    if wait.pointer("/details/mode").and_then(Value::as_str) == Some("approval_required") {
        return approval(terminal, wait).await;
    }
    let question = wait["prompt"].as_str().unwrap_or("Answer:");
    let choices: Vec<String> = wait["choices"]
        .as_array()
        .map(|choices| choices.iter().map(|choice| compact(Some(choice))).collect())
        .unwrap_or_default();
    for (i, choice) in choices.iter().enumerate() {
        let number = terminal.paint(Style::Yellow, &format!("{}.", i + 1));
        terminal.line(&format!("  {number} {choice}"));
    }
    let free = wait["allow_free_text"].as_bool().unwrap_or(true);
    loop {
        let mark = terminal.paint(Style::Yellow, "?");
        let Some(text) = terminal.prompt(&format!("{mark} {question} ")).await? else {
            return Ok(None);
        };
        let picked = text
            .trim()
            .parse::<usize>()
            .ok()
            .and_then(|n| choices.get(n.checked_sub(1)?));
        let known = choices
            .iter()
            .find(|choice| choice.eq_ignore_ascii_case(text.trim()));
        match picked.or(known) {
            Some(choice) => return Ok(Some(json!({"response": choice}))),
            None if free || choices.is_empty() => return Ok(Some(json!({"response": text}))),
            None => terminal.line("Please pick one of the offered answers."),
        }
    }
}

async fn approval(terminal: &mut Terminal, wait: &Value) -> std::io::Result<Option<Value>> {
    let calls = wait
        .pointer("/details/tool_calls")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    terminal.line(&terminal.paint(Style::Yellow, "The run wants to use tools:"));
    for call in &calls {
        let name = terminal.paint(Style::Bold, call["name"].as_str().unwrap_or("tool"));
        terminal.line(&format!("  {name} {}", compact(call.get("arguments"))));
    }
    loop {
        let Some(text) = terminal.prompt("Allow? [y]es / [n]o / no, because … ").await? else {
            return Ok(None);
        };
        let text = text.trim().to_owned();
        let first = text.split([',', ' ']).next().unwrap_or_default().to_lowercase();
        match first.as_str() {
            "y" | "yes" => return Ok(Some(json!({"approved": true}))),
            "n" | "no" => {
                let reason = text[first.len()..]
                    .trim_start_matches([',', ' '])
                    .trim_start_matches("because")
                    .trim();
                let mut answer = json!({"approved": false});
                if !reason.is_empty() {
                    answer["reason"] = reason.into();
                }
                return Ok(Some(answer));
            }
            _ => terminal.line("Please answer yes or no."),
        }
    }
}
