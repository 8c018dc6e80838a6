//! The tree for different nodes and callers.

use super::*;

fn facts<'a>(caller: Caller, served: &'a dyn Fn(&str) -> bool, configured: bool) -> Facts<'a> {
    let voice = || Voice {
        configured,
        active_model: None,
    };
    Facts {
        caller,
        served,
        tools: 12,
        attachment_bytes: 7,
        image_bytes: 9,
        tts: voice(),
        stt: voice(),
        images: configured,
        videos: false,
        music: configured,
        embedding: None,
    }
}

/// Paths of all keys, lists as leaves.
fn keys(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                keys(value, &format!("{path}/{key}"), out);
            }
        }
        _ => out.push(path.to_owned()),
    }
}

#[test]
fn copies_are_resolved_and_equal_their_source() {
    let tree = fill(&facts(Caller::Admin, &|_| true, true));
    assert!(!tree.to_string().contains("$copy"));
    let contracts = &tree["contracts"];
    for scope in ["flow_editor", "assistant", "abstractcode"] {
        for name in ["runs", "ledger", "artifacts", "model_residency"] {
            assert_eq!(
                contracts[scope][name], contracts["common"][name],
                "{scope} {name}"
            );
        }
    }
    assert_eq!(contracts["assistant"]["voice"], contracts["flow_editor"]["voice"]);
    assert_eq!(contracts["version"], 1);
    assert_eq!(contracts["flow_editor"]["available"], true);
    let mut paths = Vec::new();
    keys(&tree, "", &mut paths);
    // The recorded tree has as many leaves, give or take hints.
    assert!(paths.len() > 700, "{}", paths.len());
}

#[test]
fn nothing_is_announced_that_is_not_served() {
    let served = |path: &str| path != "/api/gateway/runs/start" && !path.contains("/kg/");
    let tree = fill(&facts(Caller::Admin, &served, false));
    let common = &tree["contracts"]["common"];
    assert_eq!(common["runs"]["start"]["available"], false);
    assert_eq!(common["runs"]["list"]["available"], true);
    assert_eq!(common["memory"]["available"], false);
    assert_eq!(common["readiness"]["surfaces"]["runs"]["start"], false);
    assert_eq!(
        tree["contracts"]["assistant"]["runs"]["start"]["available"],
        false
    );
    let nothing = fill(&facts(Caller::Admin, &|_| false, true));
    let common = &nothing["contracts"]["common"];
    assert_eq!(common["model_residency"]["supported_tasks"], json!([]));
    assert!(common["model_residency"].get("mode").is_none());
    assert_eq!(common["prompt_cache"]["session_lifecycle_available"], false);
    assert_eq!(
        nothing["contracts"]["flow_editor"]["visualflows"]["crud"]["available"],
        false
    );
}

#[test]
fn users_are_told_what_is_denied() {
    let tree = fill(&facts(Caller::User, &|_| true, true));
    let contracts = &tree["contracts"];
    assert_eq!(
        contracts["common"]["artifacts"]["import"]["denied_reason"],
        "admin_required"
    );
    assert_eq!(
        contracts["flow_editor"]["workflow_catalog"]["admin"]["set_acl"]["available"],
        false
    );
    assert_eq!(
        contracts["common"]["prompt_cache"]["provider_controls_available"],
        false
    );
    assert_eq!(
        contracts["common"]["readiness"]["surfaces"]["artifacts"]["export"],
        false
    );
    assert_eq!(contracts["common"]["artifacts"]["search"]["available"], true);
}

#[test]
fn values_of_the_node() {
    let tree = fill(&facts(Caller::Admin, &|_| true, false));
    let contracts = &tree["contracts"];
    assert_eq!(contracts["common"]["attachments"]["max_upload_bytes"], 7);
    assert_eq!(contracts["flow_editor"]["voice"]["stt"]["max_upload_bytes"], 7);
    assert_eq!(
        contracts["flow_editor"]["media"]["generated_image"]["direct_endpoint"]["max_image_bytes"],
        9
    );
    assert_eq!(
        contracts["flow_editor"]["media"]["generated_image"]["workflow"]["available"],
        false
    );
    assert_eq!(contracts["flow_editor"]["voice"]["tts"]["available"], false);
    assert_eq!(tree["tools"]["count"], 12);
    assert_eq!(contracts["common"]["memory"]["path"], STORED_IN);
    assert!(
        !tree.to_string().contains("<"),
        "placeholders of the recording are filled"
    );
}
