//! References to artifacts in a start must name what exists and what the run may see.

use std::collections::HashMap;

use ag_artifacts::{ArtifactMeta, is_artifact_id, is_visible_to_run};
use ag_types::Object;
use serde_json::Value;

use crate::{ApiError, ApiResult, CallContext};

/// A reference found in the input.
struct Reference<'a> {
    /// Where, as `$.a.b[0]`.
    path: String,
    id: &'a str,
    /// Run that the reference names.
    run: Option<&'a str>,
}

/// Checks every reference; each artifact is looked up once.
pub(super) async fn check(ctx: &CallContext, vars: &Object, session: Option<&str>) -> ApiResult<()> {
    let mut references = Vec::new();
    for (key, value) in vars {
        collect(value, &|| format!("$.{key}"), &mut references);
    }
    let mut known: HashMap<&str, ArtifactMeta> = HashMap::new();
    for reference in &references {
        if !is_artifact_id(reference.id) {
            return Err(ApiError::bad_request(format!(
                "Invalid artifact id: {}",
                reference.id
            )));
        }
        if !known.contains_key(reference.id) {
            let meta = find(ctx, reference.id).await?;
            known.insert(reference.id, meta);
        }
        if let Some(meta) = known.get(reference.id) {
            allowed(reference, meta, session)?;
        }
    }
    Ok(())
}

async fn find(ctx: &CallContext, id: &str) -> ApiResult<ArtifactMeta> {
    let row = ctx.store().artifact(ctx.scope(), id).await?;
    let row = row.ok_or_else(|| ApiError::not_found(format!("Artifact '{id}' not found")))?;
    serde_json::from_str(&row.meta)
        .map_err(|error| ApiError::internal("artifact metadata unreadable", &error))
}

fn allowed(reference: &Reference<'_>, meta: &ArtifactMeta, session: Option<&str>) -> ApiResult<()> {
    let path = &reference.path;
    let owner = meta.run_id.as_deref().filter(|owner| !owner.is_empty());
    if reference.run.is_some() && reference.run != owner {
        return Err(ApiError::bad_request(format!(
            "Artifact ref at {path} has mismatched run_id"
        )));
    }
    match (session, reference.run) {
        (_, Some(_)) => Ok(()),
        (Some(session), None) if is_visible_to_run(meta, "", Some(session)) => Ok(()),
        (Some(_), None) => Err(ApiError::not_found(format!(
            "Artifact ref at {path} is not visible to session"
        ))),
        (None, None) => Err(ApiError::bad_request(format!(
            "Artifact ref at {path} requires run_id or a run session_id"
        ))),
    }
}

/// Walks the input; nesting is bounded by the reader of the body. Paths are made only for what is found.
fn collect<'a>(value: &'a Value, path: &dyn Fn() -> String, out: &mut Vec<Reference<'a>>) {
    match value {
        Value::Object(object) => {
            let text = |key: &str| {
                object
                    .get(key)
                    .and_then(Value::as_str)
                    .map(str::trim)
                    .filter(|text| !text.is_empty())
            };
            if let Some(id) = text("$artifact").or_else(|| text("artifact_id")) {
                let run = text("run_id").or_else(|| text("artifact_run_id"));
                out.push(Reference {
                    path: path(),
                    id,
                    run,
                });
            }
            for (key, value) in object {
                collect(value, &|| format!("{}.{key}", path()), out);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &|| format!("{}[{index}]", path()), out);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use ag_artifacts::NewArtifact;
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_with_their_paths() {
        let value = json!({"a": [1, {"$artifact": "x"}], "b": {"artifact_id": "y", "run_id": "r"}, "c": {"$artifact": " "}});
        let mut found = Vec::new();
        collect(&value, &|| "$".to_owned(), &mut found);
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.path.as_str(), found.id, found.run))
            .collect();
        assert_eq!(found, [("$.a[1]", "x", None), ("$.b", "y", Some("r"))]);
    }

    #[test]
    fn what_a_run_may_name() {
        let meta = |run: Option<&str>| {
            ArtifactMeta::new(
                NewArtifact {
                    run_id: run.map(str::to_owned),
                    ..NewArtifact::default()
                },
                b"",
                "t",
            )
        };
        for (owner, named, session, status) in [
            (Some("r"), Some("r"), None, 200),
            (Some("r"), Some("other"), None, 400),
            (Some("r"), None, None, 400),
            (Some("r"), None, Some("s"), 404),
            (Some("r"), Some("r"), Some("s"), 200),
            (Some("session_memory_s"), None, Some("s"), 200),
            (None, None, Some("s"), 200),
        ] {
            let reference = Reference {
                path: "$.f".to_owned(),
                id: "x",
                run: named,
            };
            let answer = allowed(&reference, &meta(owner), session);
            let code = answer.map_or_else(|error| error.status().as_u16(), |()| 200);
            assert_eq!(code, status, "{owner:?} {named:?} {session:?}");
        }
    }
}
