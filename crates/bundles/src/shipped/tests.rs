use serde_json::json;

use super::*;
use crate::{flow, flow_check, input_schema, install::inspect_upload, namespace};

#[test]
fn the_basic_agent() {
    let packages = shipped_packages();
    let [package] = packages.as_slice() else {
        panic!("one bundle")
    };
    inspect_upload(package.bytes().clone(), "x", &Limits::default()).unwrap();
    assert_eq!(
        package.sha256(),
        shipped_packages()[0].sha256(),
        "packing is deterministic"
    );

    let bundles = shipped_bundles();
    let bundle = &bundles[0];
    assert_eq!(bundle.manifest().bundle_ref(), "basic-agent@0.1.0");
    assert_eq!(bundle.manifest().default_entrypoint.as_deref(), Some("81795ea9"));
    assert_eq!(
        bundle.manifest().entrypoints[0].interfaces,
        ["abstractcode.agent.v1"]
    );
    let document = bundle.flow("81795ea9").unwrap();
    assert_eq!(document["id"], "81795ea9");
    crate::visual_flow::validate(document).unwrap();

    let inputs = input_schema::inputs(document);
    let ids: Vec<&str> = inputs.iter().map(|input| input.id.as_str()).collect();
    assert_eq!(
        ids.join(" "),
        "use_context context provider model system prompt tools max_iterations max_in_tokens temperature seed resp_schema"
    );
    let defaults = json!({"use_context": false, "max_iterations": 20, "temperature": 0.7, "seed": -1,
        "tools": ["analyze_code", "edit_file", "execute_command", "fetch_url", "list_files", "read_file", "search_files", "web_search", "write_file"]});
    for input in &inputs {
        assert_eq!(input.default.as_ref(), defaults.get(&input.id), "{}", input.id);
    }
    assert_eq!(
        flow_check::default_route([&**document]),
        None,
        "the gateway's own route applies"
    );
    assert!(flow_check::Needs::of(document).tools);
}

/// Every edge joins pins that exist; every start pin reaches the agent and every result the end.
#[test]
fn the_basic_agent_is_wired() {
    let bundles = shipped_bundles();
    let document = bundles[0].flow("81795ea9").unwrap();
    let pins = |node: &str, side: &str| -> Vec<String> {
        let node = flow::nodes(document)
            .find(|found| flow::node_id(found) == Some(node))
            .unwrap();
        flow::objects(flow::data(node).unwrap().get(side))
            .map(|pin| pin["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut wired = Vec::new();
    for edge in flow::edges(document) {
        let part = |key| flow::text(edge, key).unwrap();
        assert!(
            pins(part("source"), "outputs")
                .iter()
                .any(|pin| pin == part("sourceHandle")),
            "{edge:?}"
        );
        assert!(
            pins(part("target"), "inputs")
                .iter()
                .any(|pin| pin == part("targetHandle")),
            "{edge:?}"
        );
        wired.push((part("target").to_owned(), part("targetHandle").to_owned()));
    }
    for (node, side) in [("agent", "inputs"), ("end", "inputs")] {
        for pin in pins(node, side) {
            assert!(wired.contains(&(node.to_owned(), pin.clone())), "{node}.{pin}");
        }
    }
    assert_eq!(
        pins("end", "inputs"),
        ["exec-in", "response", "success", "meta", "scratchpad"]
    );
    let own_id = namespace::workflow_id("basic-agent@0.1.0", "81795ea9");
    assert_eq!(
        namespace::agent_workflow_id(&own_id, "agent"),
        "visual_react_agent_basic-agent_0_1_0_81795ea9_agent"
    );
}
