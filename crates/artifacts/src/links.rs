//! Relative links of an artifact.

use serde_json::{Map, Value};

use crate::ArtifactMeta;

/// Links that need a run, plus those of the descriptor that stay on this host.
pub fn links(meta: &ArtifactMeta) -> Map<String, Value> {
    let mut links = Map::new();
    if let Some(run) = meta.run_id.as_deref().filter(|run| !run.is_empty()) {
        let run_url = format!("/api/gateway/runs/{run}");
        let detail = format!("{run_url}/artifacts/{}", meta.artifact_id);
        let content = format!("{detail}/content");
        let known = [
            ("preview", format!("{content}?access=preview")),
            ("download", format!("{content}?access=download")),
            ("detail", detail),
            ("content", content),
            ("run_artifacts", format!("{run_url}/artifacts")),
            ("ledger", format!("{run_url}/ledger")),
            ("history_bundle", format!("{run_url}/history_bundle")),
            ("run", run_url),
            ("observe_route", format!("#/observe/{run}")),
        ];
        links.extend(known.map(|(name, url)| (name.to_owned(), Value::String(url))));
    }
    for (name, value) in &meta.descriptor.links {
        if value
            .as_str()
            .is_some_and(|url| url.starts_with("/api/gateway/") || url.starts_with("#/"))
        {
            links.insert(name.clone(), value.clone());
        }
    }
    links
}
