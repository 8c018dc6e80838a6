//! Editor documents, schedules' flows, deprecations and model defaults of a plane; its connections are in
//! [`profiles`].

use std::path::Path;

use ag_effects::routes::Route;
use ag_store::{Document, DocumentKind};
use ag_types::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{profiles, report::Report, source};
use crate::{
    ImportError,
    json::{self, Repairs},
};

/// A document to store.
#[derive(Debug, Clone)]
pub(super) struct FoundDocument {
    pub(super) kind: DocumentKind,
    pub(super) document: Document,
    /// The key of a connection, in the clear: it is encrypted when the document is stored.
    pub(super) key: Option<SecretString>,
}

impl FoundDocument {
    pub(super) const fn label(&self) -> &'static str {
        match self.kind {
            DocumentKind::VisualFlow => "editor documents",
            DocumentKind::DynamicFlow => "flows of schedules",
            DocumentKind::Deprecation => "deprecations",
            DocumentKind::CapabilityDefault => "model defaults",
            DocumentKind::EndpointProfile => "connections",
            _ => "documents",
        }
    }
}

/// Ids of stored flows.
pub(super) fn dynamic_ids(documents: &[FoundDocument]) -> impl Iterator<Item = String> + '_ {
    documents
        .iter()
        .filter(|found| found.kind == DocumentKind::DynamicFlow)
        .map(|found| found.document.id.clone())
}

/// All documents of a plane's data folder.
pub(super) fn find(
    data: &Path,
    user_settings: Option<&Path>,
    report: &mut Report,
) -> Result<Vec<FoundDocument>, ImportError> {
    let mut found = Vec::new();
    for (folder, kind) in [
        ("visualflows", DocumentKind::VisualFlow),
        ("dynamic_flows", DocumentKind::DynamicFlow),
    ] {
        for path in source::files(&data.join(folder), "json")? {
            let Some(body) = load(&path, report)? else {
                continue;
            };
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // The id inside decides for generated flows, whose file names are made safe; the editor's are their ids.
            let inside = body.get("id").and_then(Value::as_str).map(str::to_owned);
            let id = match kind {
                DocumentKind::DynamicFlow => inside.unwrap_or(stem),
                _ => stem,
            };
            let changed = ["updated_at", "created_at"]
                .iter()
                .find_map(|key| Timestamp::parse(body.get(*key)?.as_str()?).ok());
            push(&mut found, kind, id, &body, changed);
        }
    }
    deprecations(data, report, &mut found)?;
    let own = data.join("config/abstractcore.json");
    for settings in [Some(own.as_path()), user_settings].into_iter().flatten() {
        defaults(settings, report, &mut found)?;
    }
    profiles::find(data, report, &mut found)?;
    Ok(found)
}

/// What a connection lacks on a gateway that cannot encrypt.
pub(super) fn without_key(id: &str) -> String {
    format!(
        "connection '{id}' comes without its key: set ABSTRACTGATEWAY_ENCRYPTION_KEYS before the import, or enter it again"
    )
}

pub(super) fn push(
    found: &mut Vec<FoundDocument>,
    kind: DocumentKind,
    id: String,
    body: &Value,
    at: Option<Timestamp>,
) {
    // What came first is nearer to the plane.
    let known = found
        .iter()
        .any(|known| known.kind == kind && known.document.id == id);
    if !known && !id.contains('\0') {
        found.push(FoundDocument {
            kind,
            document: Document {
                id,
                body: body.to_string(),
                updated_at: at.unwrap_or(Timestamp::from_micros(0)),
            },
            key: None,
        });
    }
}

/// A JSON object in a file; nothing if it is absent, or unreadable (then there is a warning).
pub(super) fn load(path: &Path, report: &mut Report) -> Result<Option<Value>, ImportError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ImportError::read(path)(error)),
    };
    let text = json::document(&bytes, &mut Repairs::default()).map_err(|error| error.to_string());
    let value = text.and_then(|text| serde_json::from_str::<Value>(&text).map_err(|error| error.to_string()));
    match value {
        Ok(value) if value.is_object() => Ok(Some(value)),
        Ok(_) => {
            report.warn(format!("{} is no object and is left out", path.display()));
            Ok(None)
        }
        Err(reason) => {
            report.warn(format!("{} is left out: {reason}", path.display()));
            Ok(None)
        }
    }
}

fn deprecations(data: &Path, report: &mut Report, found: &mut Vec<FoundDocument>) -> Result<(), ImportError> {
    let Some(file) = load(&data.join("workflow_deprecations.json"), report)? else {
        return Ok(());
    };
    let bundles = file.get("bundles").and_then(Value::as_object);
    for (bundle, flows) in bundles.into_iter().flatten() {
        for (flow, record) in flows.as_object().into_iter().flatten() {
            // Records without a time are inactive.
            let Some(at) = record.get("deprecated_at").and_then(Value::as_str) else {
                continue;
            };
            let mut body = json!({"deprecated_at": at});
            if let Some(reason) = record.get("reason").and_then(Value::as_str) {
                body["reason"] = reason.into();
            }
            let id = format!("{bundle}\n{flow}");
            push(
                found,
                DocumentKind::Deprecation,
                id,
                &body,
                Timestamp::parse(at).ok(),
            );
        }
    }
    Ok(())
}

fn defaults(path: &Path, report: &mut Report, found: &mut Vec<FoundDocument>) -> Result<(), ImportError> {
    let Some(file) = load(path, report)? else {
        return Ok(());
    };
    let routes = file
        .pointer("/capability_defaults/routes")
        .and_then(Value::as_object);
    for (key, route) in routes.into_iter().flatten() {
        let route = Route::from_value(route);
        let body = serde_json::to_value(&route).unwrap_or_default();
        push(found, DocumentKind::CapabilityDefault, key.clone(), &body, None);
    }
    Ok(())
}
