//! `vars_query`: reads variables of this run or another one (effects spec §4).
//!
//! `_runtime.memory_spans` is no variable but a view of the run's memory rows (architecture D2a): it is put in place
//! where a path can reach it.

use std::borrow::Cow;

use ag_effects::{Answer, EffectClass, EffectCtx, EffectHandler, Failure};
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
        let path = text(&["path", "var_path"], "scratchpad");
        let found = match target.is_empty() || target == ctx.run.head.run_id.to_string() {
            true => match with_spans(ctx, &ctx.run.head.run_id.to_string(), &ctx.run.vars, &path).await {
                Ok(vars) => query(&vars, &path, payload).map_err(Failure::Text),
                Err(error) => Err(error),
            },
            false => match foreign(ctx, &target, &path).await {
                Ok(Some(vars)) => query(&vars, &path, payload).map_err(Failure::Text),
                Ok(None) => Err(Failure::Text(format!("Unknown target_run_id: {target}"))),
                Err(error) => Err(error),
            },
        };
        let (output, error) = match found {
            Ok(output) => (Value::String(output), Value::Null),
            Err(Failure::Text(error)) => (Value::Null, Value::String(error)),
            Err(failure) => return failure.into(),
        };
        Answer::done(json!({"mode": "executed", "results": [{
            "call_id": text(&["call_id"], "vars"), "name": text(&["tool_name"], "inspect_vars"),
            "success": error.is_null(), "output": output, "error": error,
        }]}))
    }
}

/// The variables with the view of the run's spans, where the path can reach it; else as they are.
async fn with_spans<'v>(
    ctx: &EffectCtx<'_>,
    owner: &str,
    vars: &'v Object,
    path: &str,
) -> Result<Cow<'v, Object>, Failure> {
    let segments = segments(path);
    let reaches = match segments.as_slice() {
        [] => true,
        [first] => first == "_runtime",
        [first, second, ..] => first == "_runtime" && second == "memory_spans",
    };
    if !reaches {
        return Ok(Cow::Borrowed(vars));
    }
    let spans = ag_effects::memory::view(ctx.store, ctx.scope, owner).await?;
    let mut vars = vars.clone();
    ag_kernel::vars::object_at(&mut vars, "_runtime").insert("memory_spans".to_owned(), spans);
    Ok(Cow::Owned(vars))
}

async fn foreign(ctx: &EffectCtx<'_>, target: &str, path: &str) -> Result<Option<Object>, Failure> {
    let Ok(run) = target.parse::<RunId>() else {
        return owner_vars(ctx, target, path).await;
    };
    let row = ctx.store.run(ctx.scope, run).await?;
    let Some(row) = row else { return Ok(None) };
    let vars: Object =
        serde_json::from_str(&row.columns.vars).map_err(|error| Failure::Text(error.to_string()))?;
    Ok(Some(with_spans(ctx, target, &vars, path).await?.into_owned()))
}

/// Owners of memory look like runs whose variables hold nothing but their spans.
async fn owner_vars(ctx: &EffectCtx<'_>, target: &str, path: &str) -> Result<Option<Object>, Failure> {
    if target.contains('\0') {
        return Ok(None);
    }
    let owner = ctx.store.owner(ctx.scope, target).await?;
    if owner.is_none() {
        return Ok(None);
    }
    let vars = json!({
        "context": {"task": "", "messages": []}, "scratchpad": {}, "_runtime": {"memory_spans": []}, "_temp": {},
        "_limits": {},
    });
    let vars = vars.as_object().cloned().unwrap_or_default();
    Ok(Some(with_spans(ctx, target, &vars, path).await?.into_owned()))
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
