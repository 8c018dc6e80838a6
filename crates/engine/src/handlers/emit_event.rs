//! `emit_event`: mail to every listener, in the commit of the emitting step (kernel spec §8.4, architecture D2).

use ag_effects::{Answer, EffectClass, EffectCtx, EffectHandler};
use ag_kernel::{EffectRequest, Outcome, waits};
use ag_store::{Listener, MailKind, OutMail, StoreError};
use ag_types::Object;
use async_trait::async_trait;
use serde_json::{Value, json};

/// Most listeners named when nobody matched.
const MAX_NAMED_LISTENERS: usize = 15;

/// The handler.
pub struct EmitEvent;

#[async_trait]
impl EffectHandler for EmitEvent {
    fn class(&self) -> EffectClass {
        EffectClass::ReadsStore
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        let payload = &request.open.payload;
        let key = match waits::event_key(payload, ctx.run) {
            Ok(key) => key,
            Err(text) if text == "event name is required" => {
                return Answer::failed("emit_event requires payload.name");
            }
            Err(text) => return Answer::failed(format!("emit_event invalid payload: {text}")),
        };
        match emit(ctx, request, &key).await {
            Ok(answer) => answer,
            Err(error) => {
                let text = format!("emit_event could not look up listeners: {error}");
                Answer::store_failed(error, text)
            }
        }
    }
}

async fn emit(ctx: &EffectCtx<'_>, request: &EffectRequest, key: &str) -> Result<Answer, StoreError> {
    let payload = &request.open.payload;
    let text = |name: &str| {
        payload
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let name = text("name").unwrap_or_default();
    let scope = text("scope").unwrap_or("session").to_lowercase();
    let mut listeners = ctx.store.listeners(ctx.scope, key).await?;
    if let Some(prefix) = key.strip_suffix(name).filter(|_| name != "*") {
        listeners.extend(ctx.store.listeners(ctx.scope, &format!("{prefix}*")).await?);
    }
    listeners.retain(|listener| listener.run_id != ctx.run.head.run_id);
    let envelope = envelope(ctx, request, name, &scope);
    let mail = listeners
        .iter()
        .map(|listener| event_mail(listener, &envelope))
        .collect();
    let mut result = Object::new();
    result.insert("wait_key".into(), key.into());
    result.insert("name".into(), name.into());
    result.insert("scope".into(), scope.into());
    result.insert("delivered".into(), listeners.len().into());
    result.insert(
        "delivered_to".into(),
        listeners
            .iter()
            .map(|listener| listener.run_id.to_string())
            .collect(),
    );
    let resumed = listeners
        .iter()
        .map(|l| json!({"run_id": l.run_id.to_string(), "status": "running"}))
        .collect();
    result.insert("resumed".into(), resumed);
    if listeners.is_empty() {
        let session = ctx.run.head.session_id.as_deref().unwrap_or_default();
        let others = ctx
            .store
            .session_listeners(ctx.scope, session, MAX_NAMED_LISTENERS)
            .await?;
        if !others.is_empty() {
            let mut named: Vec<Value> = Vec::new();
            for listener in &others {
                let name = Value::from(event_name(&listener.wait_key));
                if !named.contains(&name) {
                    named.push(name);
                }
            }
            result.insert("available_listeners_in_session".into(), Value::Array(named));
        }
    }
    let outcome = Outcome::Done {
        result: Value::Object(result),
        state: None,
    };
    Ok(Answer {
        mail,
        ..Answer::of(outcome)
    })
}

fn envelope(ctx: &EffectCtx<'_>, request: &EffectRequest, name: &str, scope: &str) -> Value {
    let payload = &request.open.payload;
    let run = &ctx.run.head;
    let session = payload
        .get("session_id")
        .filter(|id| id.as_str().is_some_and(|text| !text.trim().is_empty()));
    json!({
        "event_id": payload.get("event_id").cloned().unwrap_or_default(),
        "name": name,
        "scope": scope,
        "session_id": session.cloned().unwrap_or_else(|| run.session_id.as_deref().map_or(Value::Null, Value::from)),
        "payload": event_payload(payload.get("payload")),
        "emitted_at": ctx.clock.now(),
        "emitter": {
            "run_id": run.run_id, "workflow_id": &*run.workflow_id, "node_id": request.open.node_id,
        },
    })
}

/// The name in an event key `evt:<scope>:<scope id>:<name>`; a key that somebody chose freely is its own name.
fn event_name(key: &str) -> &str {
    if key.starts_with("evt:") {
        key.rsplit_once(':').map_or(key, |(_, name)| name)
    } else {
        key
    }
}

/// The payload of an event: an object as it is, anything else as `{"value": …}`.
pub fn event_payload(payload: Option<&Value>) -> Value {
    match payload {
        Some(Value::Object(map)) => Value::Object(map.clone()),
        None | Some(Value::Null) => json!({}),
        Some(other) => json!({"value": other}),
    }
}

/// Mail that delivers an envelope to a listener.
pub fn event_mail(listener: &Listener, envelope: &Value) -> OutMail {
    let body = json!({"wait_key": &*listener.wait_key, "envelope": envelope}).to_string();
    OutMail {
        to: listener.run_id,
        kind: MailKind::Event,
        body: body.into(),
        command_id: None,
    }
}
