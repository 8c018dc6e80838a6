use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::test_archive::zip_of;

const FLOW: &str = r#"{"id":"main","nodes":[],"edges":[]}"#;

/// The bundle a recorded case uploads: the usual manifest with changes (null removes), the usual flow.
fn upload(changes: &Value, files: &[(&str, &str)]) -> Vec<u8> {
    let mut manifest = json!({
        "bundle_format_version": "1", "bundle_id": "vec-x", "bundle_version": "1.0.0",
        "created_at": "2024-01-01T00:00:00+00:00",
        "entrypoints": [{"flow_id": "main", "name": "main", "description": "", "interfaces": []}],
        "default_entrypoint": "main", "flows": {"main": "flows/main.json"},
        "artifacts": {}, "assets": {}, "metadata": {}
    });
    for (key, value) in changes.as_object().unwrap() {
        manifest[key] = value.clone();
    }
    let manifest = serde_json::to_string_pretty(&manifest).unwrap();
    let mut all = vec![("manifest.json", manifest.as_str()), ("flows/main.json", FLOW)];
    for (name, content) in files {
        all.retain(|(known, _)| known != name);
        if !content.is_empty() {
            all.push((name, content));
        }
    }
    zip_of(&all)
}

fn inspect(bytes: Vec<u8>) -> Result<Package, InstallError> {
    inspect_upload(Bytes::from(bytes), ".upload_1.flow", &Limits::default())
}

#[test]
fn recorded_refusals() {
    let plain = json!({});
    let main = json!({"flow_id": "main"});
    let table = [
        (Vec::new(), 400, "Bundle content is empty"),
        (
            b"not a zip".to_vec(),
            500,
            "Failed installing bundle: File is not a zip file",
        ),
        (
            upload(&json!({"bundle_format_version": "2"}), &[]),
            500,
            "Failed installing bundle: Unsupported WorkflowBundle bundle_format_version '2'. Supported: 1",
        ),
        (
            upload(&json!({"entrypoints": [main, main]}), &[]),
            500,
            "Failed installing bundle: Duplicate entrypoint flow_id 'main'",
        ),
        (
            upload(&plain, &[("manifest.json", "[]")]),
            500,
            "Failed installing bundle: manifest.json must be a JSON object",
        ),
        (
            upload(&json!({"entrypoints": []}), &[]),
            500,
            "Failed installing bundle: manifest.entrypoints must be a non-empty list",
        ),
        (
            upload(&json!({"bundle_id": ""}), &[]),
            500,
            "Failed installing bundle: bundle_id must be a non-empty string",
        ),
        (
            upload(&plain, &[("manifest.json", "")]),
            500,
            "Failed installing bundle: manifest.json not found in bundle: .upload_1.flow",
        ),
        (
            upload(&json!({"flows": {"main": "../main.json"}}), &[]),
            500,
            "Failed installing bundle: manifest.flows entry 'main' has unsafe path '../main.json'",
        ),
        (
            upload(&json!({"bundle_id": "vec bad/id"}), &[]),
            400,
            "Bundle id 'vec bad/id' contains unsafe characters. Publish with a safe bundle_id (suggested: 'vec-bad-id').",
        ),
        (
            upload(&json!({"bundle_version": "1.0+x"}), &[]),
            400,
            "Bundle version '1.0+x' contains unsafe characters. Publish with a safe bundle_version (suggested: '1.0-x').",
        ),
        (
            upload(&plain, &[("../evil", "x")]),
            400,
            "Failed installing bundle: archive entry name \"../evil\" is unsafe: relative path segment",
        ),
    ];
    for (bytes, status, message) in table {
        let error = inspect(bytes).expect_err(message);
        assert_eq!(
            (error.status().http_status(), error.to_string().as_str()),
            (status, message)
        );
    }
}

#[test]
fn recorded_uploads_that_are_taken() {
    // (changes, files, what loading says)
    let table = [
        (json!({}), vec![], None),
        (json!({"bundle_version": "draft.1"}), vec![], None),
        (json!({"bundle_version": null}), vec![], None),
        (
            json!({"flows": {"main": "flows/other.json"}}),
            vec![],
            Some("Bundle file not found: flows/other.json"),
        ),
        (
            json!({}),
            vec![("flows/main.json", "[1]")],
            Some("VisualFlow JSON for 'vec-x@1.0.0:main' must be an object"),
        ),
        (
            json!({"flows": {}}),
            vec![],
            Some("Bundle 'vec-x@1.0.0' has no flows (manifest.flows is empty)"),
        ),
    ];
    for (changes, files, expected) in table {
        let package = inspect(upload(&changes, &files)).unwrap();
        let loaded = package
            .load()
            .map(|bundle| bundle.flows().len())
            .map_err(|error| error.to_string());
        match expected {
            None => assert_eq!(loaded, Ok(1), "{changes}"),
            Some(message) => assert_eq!(loaded, Err(message.to_owned()), "{changes}"),
        }
    }
    let package = inspect(upload(&json!({"bundle_version": null}), &[])).unwrap();
    assert_eq!(package.manifest().bundle_ref(), "vec-x@0.0.0");
}

#[test]
fn size_limit() {
    let limits = Limits {
        max_archive_bytes: 5,
        ..Limits::default()
    };
    let error = inspect_upload(Bytes::from_static(b"123456"), "x", &limits).unwrap_err();
    assert_eq!(error.to_string(), "Bundle too large (6 bytes > 5 bytes)");
    assert_eq!(error.status().http_status(), 413);
}

#[test]
fn names() {
    assert_eq!(
        install_name("a_B-1", "1.0.0-rc.1").unwrap(),
        "a_B-1@1.0.0-rc.1.flow"
    );
    assert_eq!(
        install_name(" ", "1").unwrap_err().to_string(),
        "Uploaded bundle has empty manifest.bundle_id"
    );
    for (id, safe) in [
        ("vec bad/id", "vec-bad-id"),
        ("-a--b-", "a-b"),
        ("ünï", "n"),
        ("a.b", "a-b"),
        ("ok_1", "ok_1"),
        ("//", ""),
    ] {
        assert_eq!(sanitize_id(id), safe);
        assert_eq!(sanitize_id(safe), safe);
        assert_eq!(install_name(id, "1").is_ok(), id == safe, "{id}");
    }
    for (version, safe) in [("1.0.0", "1.0.0"), ("1 0", "1-0"), ("1/../2", "1-..-2"), ("", "")] {
        assert_eq!(sanitize_version(version), safe);
    }
    assert!(
        install_name("a", "")
            .unwrap_err()
            .to_string()
            .contains("(suggested: '0.0.0')")
    );
    assert!(
        install_name("//", "1")
            .unwrap_err()
            .to_string()
            .contains("(suggested: 'bundle')")
    );
    assert_eq!(
        InstallError::AlreadyInstalled("a@1.flow".into()).to_string(),
        "Bundle already installed: a@1.flow"
    );
}

proptest! {
    #[test]
    fn arbitrary_manifests_and_flows_never_panic(manifest in ".{0,200}", flow in ".{0,200}") {
        let bytes = upload(&json!({}), &[("flows/main.json", &flow)]);
        if let Ok(package) = inspect(bytes) {
            let _ = package.load();
        }
        let _ = inspect(zip_of(&[("manifest.json", &manifest)]));
    }

    #[test]
    fn sanitised_names_are_installable(text in ".{0,40}") {
        let (id, version) = (sanitize_id(&text), sanitize_version(&text));
        if !id.is_empty() && !version.is_empty() {
            prop_assert!(install_name(&id, &version).is_ok());
        }
    }
}
