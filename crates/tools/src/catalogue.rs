//! The tools as data.

use std::sync::LazyLock;

use serde_json::Value;

use crate::spec::ToolSpec;
use crate::{builtins, tools};

static SPECS: LazyLock<Vec<ToolSpec>> =
    LazyLock::new(|| tools::TOOLS.iter().map(|tool| (tool.spec)()).collect());
static BUILT_INS: LazyLock<Vec<ToolSpec>> = LazyLock::new(builtins::specs);

/// All tools, sorted by toolset and name.
#[must_use]
pub fn specs() -> &'static [ToolSpec] {
    &SPECS
}

/// Tools that agents have beside the catalogue; they are executed as effects and never gated.
#[must_use]
pub fn built_ins() -> &'static [ToolSpec] {
    &BUILT_INS
}

/// The tool with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static ToolSpec> {
    SPECS.iter().find(|spec| spec.name == name)
}

/// The agent built-in with this name.
#[must_use]
pub fn find_built_in(name: &str) -> Option<&'static ToolSpec> {
    BUILT_INS.iter().find(|spec| spec.name == name)
}

/// `items` of `GET /discovery/tools`. `allow_exec` is false on pools that run no commands.
#[must_use]
pub fn discovery(allow_exec: bool) -> Vec<Value> {
    SPECS
        .iter()
        .filter(|spec| allow_exec || spec.name != tools::execute_command::NAME)
        .map(ToolSpec::discovery)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_catalogue_has_the_contract_s_tools_in_order() {
        let names: Vec<(&str, &str)> = specs().iter().map(|spec| (spec.toolset, spec.name)).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted);
        assert_eq!(
            names.iter().map(|(_, name)| *name).collect::<Vec<_>>(),
            [
                "analyze_code",
                "edit_file",
                "list_files",
                "open_attachment",
                "read_file",
                "search_files",
                "skim_files",
                "skim_folders",
                "write_file",
                "execute_command",
                "fetch_url",
                "web_search"
            ]
        );
        assert_eq!(discovery(false).len(), 11);
        assert_eq!(
            built_ins().iter().map(|spec| spec.name).collect::<Vec<_>>(),
            [
                "ask_user",
                "recall_memory",
                "inspect_vars",
                "remember",
                "remember_note",
                "compact_memory",
                "delegate_agent"
            ]
        );
    }

    #[test]
    fn arguments_and_defaults_are_those_of_the_contract() {
        let cases = [
            (
                "edit_file",
                json!({"file_path": null, "pattern": null, "replacement": "D", "use_regex": false,
                "max_replacements": -1, "start_line": "D", "end_line": "D", "preview_only": false}),
            ),
            (
                "list_files",
                json!({"directory_path": ".", "pattern": "*", "recursive": false, "include_hidden": false, "head_limit": 10}),
            ),
            (
                "skim_files",
                json!({"paths": null, "target_percent": 8.0, "head_lines": 25, "tail_lines": 25}),
            ),
            (
                "search_files",
                json!({"pattern": null, "path": ".", "file_pattern": "*", "head_limit": 10, "max_hits": 8,
                "multiline": false, "include_hidden": false}),
            ),
            (
                "execute_command",
                json!({"command": null, "working_directory": "D", "timeout": 300, "capture_output": true,
                "require_confirmation": false, "allow_dangerous": false}),
            ),
            (
                "fetch_url",
                json!({"url": null, "method": "GET", "headers": "D", "data": "D", "timeout": 45,
                "include_binary_preview": false, "keep_links": true, "user_agent": "AbstractCore-FetchTool/1.0",
                "include_full_content": true}),
            ),
            (
                "web_search",
                json!({"query": null, "num_results": 10, "safe_search": "moderate", "region": "wt-wt", "time_range": "D"}),
            ),
            (
                "open_attachment",
                json!({"artifact_id": "D", "handle": "D", "expected_sha256": "D", "start_line": 1,
                "end_line": "D", "max_chars": 8000}),
            ),
        ];
        for (tool, expected) in cases {
            let item = find(tool).expect(tool).discovery();
            let found: crate::call::Object = item["parameters"]
                .as_object()
                .expect("parameters")
                .iter()
                .map(|(name, schema)| {
                    // null here: required; "D": a null default.
                    let default = match schema.get("default") {
                        None => Value::Null,
                        Some(Value::Null) => json!("D"),
                        Some(value) => value.clone(),
                    };
                    (name.clone(), default)
                })
                .collect();
            assert_eq!(Value::Object(found), expected, "{tool}");
        }
    }

    #[test]
    fn items_have_the_published_shape() {
        let item = find("skim_files").expect("tool").discovery();
        assert_eq!(
            item["parameters"]["paths"],
            json!({"type": "array", "items": {"type": "string"}})
        );
        assert_eq!(
            item["parameters"]["head_lines"],
            json!({"type": "integer", "default": 25})
        );
        assert_eq!(
            find("write_file").expect("tool").discovery()["required_args"],
            json!(["content", "file_path"])
        );
        for spec in specs().iter().chain(built_ins()) {
            assert!(
                !spec.description.is_empty() && spec.args.iter().all(|arg| !arg.about.is_empty()),
                "{}",
                spec.name
            );
        }
    }

    #[test]
    fn models_see_a_schema_without_defaults() {
        let model = find("write_file").expect("tool").model();
        assert_eq!(model["parameters"]["required"], json!(["file_path", "content"]));
        assert!(!model.to_string().contains("\"default\""));
        assert_eq!(model["parameters"]["properties"]["mode"]["type"], "string");
    }
}
