//! `vars_query`: reads variables of this run or another one (effects spec §4).

use ag_effects::{Answer, EffectClass, EffectCtx, EffectHandler};
use ag_kernel::EffectRequest;
use ag_types::{Object, RunId};
use async_trait::async_trait;
use serde_json::{Value, json};

/// The handler.
pub struct VarsQuery;

#[async_trait]
impl EffectHandler for VarsQuery {
    fn class(&self) -> EffectClass {
        EffectClass::ReadsStore
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        let payload = &request.open.payload;
        let text = |keys: &[&str], default: &str| {
            let found = keys
                .iter()
                .find_map(|key| payload.get(*key).and_then(Value::as_str));
            found
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .unwrap_or(default)
                .to_owned()
        };
        let target = text(&["target_run_id"], "");
        let found = match target.is_empty() || target == ctx.run.head.run_id.to_string() {
            true => query(&ctx.run.vars, &text(&["path", "var_path"], "scratchpad"), payload),
            false => match foreign(ctx, &target).await {
                Ok(Some(vars)) => query(&vars, &text(&["path", "var_path"], "scratchpad"), payload),
                Ok(None) => Err(format!("Unknown target_run_id: {target}")),
                Err(error) => Err(error),
            },
        };
        let (output, error) = match found {
            Ok(output) => (Value::String(output), Value::Null),
            Err(error) => (Value::Null, Value::String(error)),
        };
        Answer::done(json!({"mode": "executed", "results": [{
            "call_id": text(&["call_id"], "vars"), "name": text(&["tool_name"], "inspect_vars"),
            "success": error.is_null(), "output": output, "error": error,
        }]}))
    }
}

async fn foreign(ctx: &EffectCtx<'_>, target: &str) -> Result<Option<Object>, String> {
    let Ok(run) = target.parse::<RunId>() else {
        return Ok(None);
    };
    let row = ctx
        .store
        .run(ctx.scope, run)
        .await
        .map_err(|error| error.to_string())?;
    row.map(|row| serde_json::from_str(&row.columns.vars).map_err(|error| error.to_string()))
        .transpose()
}

fn query(vars: &Object, path: &str, payload: &Object) -> Result<String, String> {
    let root = Value::Object(Object::new());
    let segments = segments(path);
    let mut value = match segments.first() {
        None => &root,
        Some(first) => vars.get(first).ok_or_else(|| format!("Missing path: {path}"))?,
    };
    let all = segments.is_empty().then(|| Value::Object(vars.clone()));
    for segment in segments.iter().skip(1) {
        value = match value {
            Value::Object(map) => map.get(segment),
            Value::Array(items) => segment.parse::<usize>().ok().and_then(|i| items.get(i)),
            _ => None,
        }
        .ok_or_else(|| format!("Missing path: {path}"))?;
    }
    let value = all.as_ref().unwrap_or(value);
    let mut out = Object::new();
    out.insert("path".into(), path.into());
    out.insert("type".into(), ag_pyvalue::type_name(value).into());
    if payload.get("keys_only").is_some_and(ag_pyvalue::truthy) {
        match value {
            Value::Object(map) => {
                let mut keys: Vec<&str> = map.keys().map(String::as_str).collect();
                keys.sort_unstable();
                out.insert("keys".into(), json!(keys));
            }
            Value::Array(items) => {
                out.insert("length".into(), items.len().into());
            }
            _ => {}
        }
    } else {
        out.insert("value".into(), value.clone());
    }
    let options = ag_pyvalue::DumpOptions::PRETTY.with_sorted_keys(true);
    Ok(ag_pyvalue::dumps(&Value::Object(out), options))
}

/// Dots, `[n]`, or a JSON pointer.
fn segments(path: &str) -> Vec<String> {
    if let Some(pointer) = path.strip_prefix('/') {
        return pointer
            .split('/')
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect();
    }
    path.replace('[', ".")
        .replace(']', "")
        .split('.')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}
