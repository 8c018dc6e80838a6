//! What lies in the folders and is not imported, with counts: nothing is left behind unsaid.

use std::path::Path;

use serde_json::Value;

use super::{
    documents,
    plan::PlanOptions,
    report::Report,
    source::{self, DATABASE, PlaneFolder, StoreKind, is_database},
};
use crate::ImportError;

/// Names at the top of a plane's folder that other parts of the import read, or that mean nothing elsewhere.
const KNOWN: &[&str] = &[
    "artifacts",
    "commands.jsonl",
    "commands_cursor.json",
    "config",
    "dynamic_flows",
    "gateway_runner.lock",
    "tmp",
    "users",
    "visualflows",
    "workflow_deprecations.json",
    "workspaces",
    // Told apart below, or by `graph`.
    "abstractmemory",
    "auth",
    "workflow_catalog",
    "workflow_catalog.json",
    ".workflow_policy_secret",
    // This gateway's own, where both share a folder.
    "blobs",
    "gateway.lock",
    "gateway.toml",
];
/// Folders of parts that this gateway does not have.
const OTHER_FAMILIES: &[(&str, &str)] = &[
    ("abstractcore", "caches of the model library"),
    ("backlog_exec_queue", "the backlog's queue"),
    ("backlog_exec_runs", "the backlog's executions"),
    ("bug_reports", "bug reports"),
    ("email_bridge", "state of the mail bridge"),
    ("feature_requests", "feature requests"),
    ("process_logs", "logs of managed processes"),
    ("process_manager", "state of managed processes"),
    ("prompt_cache_exports", "exported prompt caches"),
    ("telegram_bridge", "state of the Telegram bridge"),
    ("triage_queue", "triage decisions"),
];
/// Folders whose members other parts of the import name one by one; a `*` stands for any end.
const NAMED_MEMBERS: &[(&str, &[&str])] = &[
    ("abstractmemory", &["kg", "kg.sqlite3*"]),
    (
        "auth",
        &[
            "bootstrap-admin-token",
            "encryption-keys",
            "local-token",
            "session_secret",
            "sessions.json",
            "users.json",
        ],
    ),
    (
        "config",
        &["abstractcore.json", "provider_endpoint_profiles.json"],
    ),
];
/// Names of unknown things that are shown.
const SHOWN: usize = 8;

/// A plane's folder.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn plane(
    folder: &PlaneFolder,
    user_settings: Option<&Path>,
    report: &mut Report,
) -> Result<(), ImportError> {
    let data = &folder.data;
    for (name, what) in OTHER_FAMILIES {
        let files = count_files(&data.join(name))?;
        if files > 0 {
            report.warn(format!("{name}: {files} files are left behind: {what}"));
        }
    }
    let own = data.join("config/abstractcore.json");
    for settings in [Some(own.as_path()), user_settings].into_iter().flatten() {
        provider_keys(settings, report)?;
    }
    if folder.kind == StoreKind::File && is_database(&data.join(DATABASE)) {
        report.warn(format!(
            "{DATABASE} holds another copy of the runs, which may be the newer one: --from sqlite reads it"
        ));
    }
    unknown(folder, report)
}

/// Keys of providers outside connections: here they come from the environment.
fn provider_keys(path: &Path, report: &mut Report) -> Result<(), ImportError> {
    let Some(file) = documents::load(path, report)? else {
        return Ok(());
    };
    let keys = file.get("api_keys").and_then(Value::as_object);
    let set = keys.into_iter().flatten().filter(|(_, key)| {
        let text = key.as_str();
        text.is_some_and(|text| !text.trim().is_empty())
    });
    let names: Vec<&str> = set.map(|(provider, _)| provider.as_str()).collect();
    if !names.is_empty() {
        report.warn(format!(
            "{}: {} provider keys are left behind ({}): set them in the environment of this gateway \
             (OPENAI_API_KEY and the like)",
            path.display(),
            names.len(),
            names.join(", ")
        ));
    }
    Ok(())
}

fn unknown(folder: &PlaneFolder, report: &mut Report) -> Result<(), ImportError> {
    let mut names = Vec::new();
    let mut runs = 0u64;
    let entries = std::fs::read_dir(&folder.data).map_err(ImportError::read(&folder.data))?;
    for entry in entries {
        let entry = entry.map_err(ImportError::read(&folder.data))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_run = name.starts_with("run_") && name.ends_with(".json")
            || name.starts_with("ledger_") && name.ends_with(".jsonl");
        let is_known = KNOWN.contains(&name.as_str())
            || OTHER_FAMILIES.iter().any(|(known, _)| *known == name)
            || name.starts_with(DATABASE)
            || entry.path() == folder.store
            || name.starts_with("audit_log") && name.ends_with(".jsonl");
        if is_run {
            runs += u64::from(name.starts_with("run_"));
        } else if !is_known {
            names.push(name);
        }
    }
    for (name, members) in NAMED_MEMBERS {
        let is_known = |member: &str| {
            members.iter().any(|known| match known.strip_suffix('*') {
                Some(start) => member.starts_with(start),
                None => *known == member,
            })
        };
        let found = members_of(&folder.data.join(name))?.into_iter();
        names.extend(
            found
                .filter(|member| !is_known(member))
                .map(|member| format!("{name}/{member}")),
        );
    }
    if folder.kind == StoreKind::Sqlite && runs > 0 {
        report.warn(format!(
            "{runs} run files beside the database are not read: they are what was moved into it, unless the Python \
             gateway used its file store since"
        ));
    }
    names.sort();
    if !names.is_empty() {
        let more = if names.len() > SHOWN { ", …" } else { "" };
        let count = names.len();
        names.truncate(SHOWN);
        report.warn(format!(
            "{count} files and folders that the import does not know are left behind: {}{more}",
            names.join(", ")
        ));
    }
    Ok(())
}

/// What belongs to all planes together.
///
/// # Errors
/// A folder cannot be read.
pub(super) fn installation(options: &PlanOptions, report: &mut Report) -> Result<(), ImportError> {
    let root = match options.path.is_file() {
        true => options.path.parent().unwrap_or(Path::new(".")).to_owned(),
        false => options.path.clone(),
    };
    let entries = |file: &Option<Value>, key: &str| {
        let list = file.as_ref().and_then(|file| file.get(key));
        list.and_then(Value::as_array).map_or(0, Vec::len)
    };
    let users = documents::load(&root.join("auth/users.json"), report)?;
    if users.is_some() {
        report.warn(format!(
            "auth/users.json: {} users with their tokens and {} reserved runtimes are left behind: this gateway has \
             no users mode yet; the data of each user is imported into a plane of its own",
            entries(&users, "users"),
            entries(&users, "runtime_reservations")
        ));
    }
    let sessions = documents::load(&root.join("auth/sessions.json"), report)?;
    if sessions.is_some() {
        report.warn(format!(
            "auth/sessions.json: {} browser sessions are left behind: their users sign in again",
            entries(&sessions, "sessions")
        ));
    }
    let secrets = [
        "auth/session_secret",
        "auth/bootstrap-admin-token",
        ".workflow_policy_secret",
    ];
    let secrets: Vec<&str> = secrets
        .into_iter()
        .filter(|name| root.join(name).is_file())
        .collect();
    if !secrets.is_empty() {
        report.warn(format!(
            "{} secrets are left behind ({}): nothing here uses them",
            secrets.len(),
            secrets.join(", ")
        ));
    }
    if let Some(catalogue) = documents::load(&root.join("workflow_catalog.json"), report)? {
        let versions = versions(&catalogue);
        if versions > 0 {
            report.warn(format!(
                "workflow_catalog.json: {versions} bundle versions of tenant catalogues are left behind: upload them \
                 again"
            ));
        }
    }
    let logs = source::files(&root, "jsonl")?.into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("audit_log")
    });
    let logs = logs.count();
    if logs > 0 {
        report.warn(format!(
            "{logs} audit logs stay where they are: this gateway begins its own"
        ));
    }
    Ok(())
}

fn versions(catalogue: &Value) -> usize {
    let members = |value: &Value, key: &str| -> Vec<Value> {
        let found = value.get(key).and_then(Value::as_object);
        found
            .into_iter()
            .flatten()
            .map(|(_, value)| value.clone())
            .collect()
    };
    members(catalogue, "catalogs")
        .iter()
        .flat_map(|catalogue| members(catalogue, "bundles"))
        .map(|bundle| members(&bundle, "versions").len())
        .sum()
}

/// Names in a folder; none if it is absent.
fn members_of(folder: &Path) -> Result<Vec<String>, ImportError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ImportError::read(folder)(error)),
    };
    entries
        .map(|entry| {
            let entry = entry.map_err(ImportError::read(folder))?;
            Ok(entry.file_name().to_string_lossy().into_owned())
        })
        .collect()
}

/// Files below a folder; none if it is absent.
fn count_files(folder: &Path) -> Result<u64, ImportError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(ImportError::read(folder)(error)),
    };
    let mut files = 0;
    for entry in entries {
        let entry = entry.map_err(ImportError::read(folder))?;
        let kind = entry.file_type().map_err(ImportError::read(entry.path()))?;
        files += match kind.is_dir() {
            true => count_files(&entry.path())?,
            false => 1,
        };
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        folder
    }

    fn warnings(files: &[(&str, &str)], kind: StoreKind) -> Vec<String> {
        let folder = folder(files);
        let data = folder.path().to_owned();
        let mut report = Report::default();
        let plane = PlaneFolder {
            tenant_id: "default".to_owned(),
            runtime_id: "default".to_owned(),
            data: data.clone(),
            store: data.clone(),
            kind,
            flows: None,
        };
        super::plane(&plane, None, &mut report).expect("read");
        let options = PlanOptions {
            kind,
            path: data,
            flows_dirs: Vec::new(),
            user_settings: None,
            ledgers: false,
            seals: true,
            limits: ag_bundles::Limits::default(),
        };
        installation(&options, &mut report).expect("read");
        report.warnings
    }

    #[test]
    fn what_is_left_behind_is_named_with_its_count() {
        let users = r#"{"users": [{}, {}], "runtime_reservations": [{}]}"#;
        let catalogue = r#"{"catalogs": {"t": {"bundles": {"a": {"versions": {"1": {}, "2": {}}}, "b": {"versions": {"1": {}}}}}}}"#;
        for (file, text, parts) in [
            ("auth/users.json", users, &["2 users", "1 reserved runtimes"][..]),
            (
                "auth/sessions.json",
                r#"{"sessions": [{}, {}, {}]}"#,
                &["3 browser sessions"],
            ),
            (
                ".workflow_policy_secret",
                "canary",
                &["1 secrets", ".workflow_policy_secret"],
            ),
            ("workflow_catalog.json", catalogue, &["3 bundle versions"]),
            ("audit_log.jsonl", "{}", &["1 audit logs"]),
            ("bug_reports/a/b.md", "x", &["bug_reports: 1 files"]),
            (
                "config/abstractcore.json",
                r#"{"api_keys": {"openai": "canary", "google": "canary", "vllm": null, "x": " "}}"#,
                &["2 provider keys", "openai, google"],
            ),
            ("invention/x", "", &["1 files and folders", "invention"]),
            (
                "config/invention.json",
                "{}",
                &["1 files and folders", "config/invention.json"],
            ),
        ] {
            let found = warnings(&[(file, text)], StoreKind::File);
            assert_eq!(found.len(), 1, "{file}: {found:?}");
            for part in parts {
                assert!(found[0].contains(part), "{file}: {found:?}");
            }
            assert!(!found[0].contains("canary"), "{file}: {found:?}");
        }
    }

    #[test]
    fn what_is_imported_is_no_news() {
        let files = [
            ("run_a.json", "{}"),
            ("ledger_a.jsonl", ""),
            ("commands.jsonl", ""),
            ("visualflows/x.json", "{}"),
            ("abstractmemory/kg.sqlite3-wal", ""),
            ("auth/local-token", "t"),
            ("config/abstractcore.json", r#"{"api_keys": {"openai": null}}"#),
            ("workflow_catalog.json", r#"{"catalogs": {}}"#),
        ];
        assert_eq!(warnings(&files, StoreKind::File), Vec::<String>::new());
        let beside = warnings(&files, StoreKind::Sqlite);
        assert!(
            beside[0].starts_with("1 run files beside the database"),
            "{beside:?}"
        );
    }
}
