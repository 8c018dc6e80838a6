//! The effects that need nothing but the run: questions, answers, and waits for events and times (kernel spec §8.1–§8.3).

use ag_pyvalue::pystr;
use ag_types::{EffectKind, Object, RunState, Timestamp, Wait, WaitReason};
use serde_json::{Value, json};

use crate::{OpenEffect, Outcome, StepEnv};

/// Performs the effect, or returns `None` when it needs the driver.
pub(crate) fn perform(open: &OpenEffect, run: &RunState, env: &StepEnv<'_>) -> Option<Outcome> {
    let outcome = match open.kind {
        EffectKind::AskUser => ask_user(open, run),
        EffectKind::AnswerUser => answer_user(&open.payload),
        EffectKind::WaitEvent => wait_event(open, run),
        EffectKind::WaitUntil => wait_until(open, env.now),
        _ => return None,
    };
    Some(outcome.unwrap_or_else(Outcome::Failed))
}

type Attempt = Result<Outcome, String>;

fn done(result: Value) -> Outcome {
    Outcome::Done { result, state: None }
}

/// Unless it is absent, null or blank.
fn text<'p>(payload: &'p Object, key: &str) -> Option<&'p str> {
    payload
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())
}

/// A wait that resumes where the effect says (or at the planned successor) and stores where the plan said.
pub fn wait_for(open: &OpenEffect, reason: WaitReason, key: Option<String>) -> Wait {
    let mut wait = Wait::new(reason, key);
    wait.resume_to_node = text(&open.payload, "resume_to_node")
        .map(str::to_owned)
        .or_else(|| open.next_node.clone());
    wait.result_key = open.result_key.clone();
    wait
}

fn question(wait: &mut Wait, payload: &Object) {
    wait.prompt = payload
        .get("prompt")
        .filter(|p| !p.is_null())
        .map(|prompt| pystr(prompt).into_owned());
    wait.choices = payload
        .get("choices")
        .filter(|choices| choices.is_array())
        .cloned();
    wait.allow_free_text = payload.get("allow_free_text").is_none_or(ag_pyvalue::truthy);
}

fn ask_user(open: &OpenEffect, run: &RunState) -> Attempt {
    text(&open.payload, "prompt").ok_or("ask_user requires payload.prompt")?;
    let key = text(&open.payload, "wait_key").map_or_else(
        || format!("user:{}:{}", run.head.run_id, open.node_id),
        str::to_owned,
    );
    let mut wait = wait_for(open, WaitReason::User, Some(key));
    question(&mut wait, &open.payload);
    Ok(Outcome::Waiting(wait))
}

fn answer_user(payload: &Object) -> Attempt {
    let message = ["message", "text", "content"]
        .iter()
        .find_map(|key| payload.get(*key).filter(|value| !value.is_null()))
        .ok_or("answer_user requires payload.message")?;
    let level = payload
        .get("level")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let level = match level.as_str() {
        "warn" | "warning" => "warning",
        "error" => "error",
        _ => "message",
    };
    Ok(done(json!({"message": pystr(message), "level": level})))
}

fn wait_event(open: &OpenEffect, run: &RunState) -> Attempt {
    let payload = &open.payload;
    let key = match text(payload, "wait_key") {
        Some(key) => key.to_owned(),
        None if payload.get("name").is_some_and(|name| !name.is_null()) => {
            event_key(payload, run).map_err(|error| format!("wait_event invalid payload: {error}"))?
        }
        None => return Err("wait_event requires payload.wait_key or payload.name".into()),
    };
    let mut wait = wait_for(open, WaitReason::Event, Some(key));
    question(&mut wait, payload);
    wait.details = payload
        .get("details")
        .filter(|details| details.is_object())
        .cloned();
    Ok(Outcome::Waiting(wait))
}

/// The key an event of this payload has: `evt:<scope>:<scope id>:<name>`.
///
/// # Errors
/// The text that names what is missing.
pub fn event_key(payload: &Object, run: &RunState) -> Result<String, String> {
    let name = text(payload, "name").ok_or("event name is required")?.trim();
    let scope =
        text(payload, "scope").map_or_else(|| "session".to_owned(), |scope| scope.trim().to_lowercase());
    let given = |key: &str| text(payload, key).map(|id| id.trim().to_owned());
    let id = match scope.as_str() {
        "session" => given("session_id")
            .or_else(|| run.head.session_id.as_deref().map(str::to_owned))
            .or_else(|| Some(run.head.run_id.to_string())),
        "workflow" => given("workflow_id").or_else(|| Some(run.head.workflow_id.to_string())),
        "run" => given("run_id").or_else(|| Some(run.head.run_id.to_string())),
        "global" => Some("global".to_owned()),
        other => return Err(format!("unknown event scope: '{other}'")),
    };
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| format!("missing scope id for scope='{scope}'"))?;
    Ok(format!("evt:{scope}:{id}:{name}"))
}

fn wait_until(open: &OpenEffect, now: Timestamp) -> Attempt {
    let text = open
        .payload
        .get("until")
        .filter(|until| !until.is_null())
        .map(|until| pystr(until).into_owned());
    let text = text
        .filter(|text| !text.is_empty())
        .ok_or("wait_until requires payload.until (ISO timestamp)")?;
    let until = Timestamp::parse(&text).map_err(|_| format!("wait_until: not an ISO timestamp: '{text}'"))?;
    if now >= until {
        return Ok(done(json!({"until": text, "ready": true})));
    }
    let mut wait = wait_for(open, WaitReason::Until, None);
    wait.until = Some(until);
    Ok(Outcome::Waiting(wait))
}

#[cfg(test)]
mod tests;
