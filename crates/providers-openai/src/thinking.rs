//! Reasoning effort in the families' dialects.

use ag_providers::{ModelCapabilities, Object, Thinking};
use serde_json::{Value, json};

/// Adds the body members that ask for `level`. What a family or model cannot express is left out with a warning, never
/// an error.
pub(crate) fn apply(
    family: &str,
    model: &str,
    caps: &ModelCapabilities,
    level: Thinking,
    body: &mut Object,
    warnings: &mut Vec<String>,
) {
    if family == "openrouter" || !caps.thinking {
        warnings.push(format!(
            "thinking is not supported for {model} on {family} and was ignored"
        ));
        return;
    }
    if caps.thinking_control_mode.as_deref() == Some("effort") {
        effort(model, caps, level, body, warnings);
        return;
    }
    if caps.architecture == "seed-oss" {
        if let Some(budget) = seed_budget(level) {
            body.insert(
                "chat_template_kwargs".to_owned(),
                json!({ "thinking_budget": budget }),
            );
        }
        return;
    }
    let on = level != Thinking::Off;
    let switches = json!({ "enable_thinking": on, "enableThinking": on });
    match family {
        "openai-compatible" => {
            body.insert("chat_template_kwargs".to_owned(), switches);
        }
        "lmstudio" => {
            // Its versions disagree on where they look.
            body.insert("enable_thinking".to_owned(), Value::Bool(on));
            body.insert("enableThinking".to_owned(), Value::Bool(on));
            body.insert("chat_template_kwargs".to_owned(), switches);
        }
        "vllm" => {
            body.insert(
                "chat_template_kwargs".to_owned(),
                json!({ "enable_thinking": on }),
            );
            if let Some(budget) = vllm_budget(level) {
                body.insert("thinking_token_budget".to_owned(), Value::from(budget));
            }
        }
        _ => warnings.push(format!(
            "thinking is not supported for {model} on {family} and was ignored"
        )),
    }
}

const SCALE: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];

/// `reasoning_effort`, moved to the nearest level that the model has.
fn effort(
    model: &str,
    caps: &ModelCapabilities,
    level: Thinking,
    body: &mut Object,
    warnings: &mut Vec<String>,
) {
    let Some(wanted) = level.effort() else { return };
    let levels = &caps.reasoning_levels;
    let rank = |word: &str| SCALE.iter().position(|known| *known == word).unwrap_or(0);
    let chosen = if levels.is_empty() || levels.iter().any(|known| known == wanted) {
        wanted
    } else {
        let nearest = levels
            .iter()
            .min_by_key(|known| rank(known).abs_diff(rank(wanted)));
        let nearest = nearest.map_or(wanted, String::as_str);
        warnings.push(format!(
            "{model} has no reasoning effort '{wanted}', '{nearest}' was used"
        ));
        nearest
    };
    body.insert("reasoning_effort".to_owned(), Value::from(chosen));
}

fn vllm_budget(level: Thinking) -> Option<u32> {
    match level {
        Thinking::Off | Thinking::Auto => None,
        Thinking::Minimal => Some(256),
        Thinking::Low => Some(512),
        Thinking::Medium => Some(1024),
        Thinking::High => Some(4096),
        Thinking::XHigh => Some(8192),
    }
}

fn seed_budget(level: Thinking) -> Option<u32> {
    match level {
        Thinking::Auto => None,
        Thinking::Off => Some(0),
        Thinking::Minimal | Thinking::Low => Some(512),
        Thinking::Medium => Some(1024),
        Thinking::High => Some(4096),
        Thinking::XHigh => Some(8192),
    }
}

#[cfg(test)]
mod tests {
    use ag_providers::CapabilityTable;

    use super::*;

    #[test]
    fn dialects() {
        let table = CapabilityTable::built_in();
        let cases = [
            (
                "openai",
                "gpt-5-mini",
                Thinking::High,
                json!({"reasoning_effort":"high"}),
                false,
            ),
            (
                "openai",
                "gpt-5-mini",
                Thinking::Off,
                json!({"reasoning_effort":"low"}),
                true,
            ),
            (
                "openai",
                "gpt-5.1",
                Thinking::Off,
                json!({"reasoning_effort":"none"}),
                false,
            ),
            (
                "openai",
                "gpt-5.2",
                Thinking::XHigh,
                json!({"reasoning_effort":"xhigh"}),
                false,
            ),
            ("openai", "gpt-5-mini", Thinking::Auto, json!({}), false),
            ("openai", "gpt-4o-mini", Thinking::High, json!({}), true),
            (
                "openai-compatible",
                "qwen3-8b",
                Thinking::Off,
                json!({"chat_template_kwargs":{"enable_thinking":false,"enableThinking":false}}),
                false,
            ),
            (
                "lmstudio",
                "qwen3-8b",
                Thinking::Low,
                json!({"enable_thinking":true,"enableThinking":true,
                       "chat_template_kwargs":{"enable_thinking":true,"enableThinking":true}}),
                false,
            ),
            (
                "vllm",
                "qwen3-8b",
                Thinking::Off,
                json!({"chat_template_kwargs":{"enable_thinking":false}}),
                false,
            ),
            (
                "vllm",
                "qwen3-8b",
                Thinking::High,
                json!({"chat_template_kwargs":{"enable_thinking":true},"thinking_token_budget":4096}),
                false,
            ),
            (
                "openai-compatible",
                "seed-oss-36b",
                Thinking::Medium,
                json!({"chat_template_kwargs":{"thinking_budget":1024}}),
                false,
            ),
            ("openrouter", "qwen3-8b", Thinking::High, json!({}), true),
            (
                "vllm",
                "openai/gpt-oss-20b",
                Thinking::XHigh,
                json!({"reasoning_effort":"high"}),
                true,
            ),
        ];
        for (family, model, level, expected, warned) in cases {
            let (mut body, mut warnings) = (Object::new(), Vec::new());
            apply(
                family,
                model,
                &table.lookup(model),
                level,
                &mut body,
                &mut warnings,
            );
            assert_eq!(Value::Object(body), expected, "{family} {model} {level:?}");
            assert_eq!(
                !warnings.is_empty(),
                warned,
                "{family} {model} {level:?}: {warnings:?}"
            );
        }
    }
}
