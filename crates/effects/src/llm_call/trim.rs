//! Trimming the conversation to a token budget.

use ag_providers::{ChatMessage, Role};

/// Characters per token, where nothing better is known.
const CHARS_PER_TOKEN: usize = 4;

/// Drops the oldest turns until the estimate fits. System messages and the last turn always stay; the results of a
/// dropped call go with it.
pub(super) fn trim(messages: &mut Vec<ChatMessage>, limit: u64) {
    let Some(last) = messages.iter().rposition(|message| message.role != Role::System) else {
        return;
    };
    let costs: Vec<u64> = messages.iter().map(estimate).collect();
    let mut total: u64 = costs.iter().sum();
    let mut keep = vec![true; messages.len()];
    let mut at = 0;
    while total > limit && at < last {
        let dropped_calls = messages[at].role != Role::System && !messages[at].tool_calls.is_empty();
        if messages[at].role != Role::System {
            keep[at] = false;
            total = total.saturating_sub(costs[at]);
        }
        at += 1;
        while dropped_calls && at < last && messages[at].role == Role::Tool {
            keep[at] = false;
            total = total.saturating_sub(costs[at]);
            at += 1;
        }
    }
    let mut kept = keep.into_iter();
    messages.retain(|_| kept.next().unwrap_or(true));
}

fn estimate(message: &ChatMessage) -> u64 {
    let content = message.content.text();
    let calls: usize = message
        .tool_calls
        .iter()
        .map(|call| call.name.len() + serde_json::to_string(&call.arguments).map_or(0, |text| text.len()))
        .sum();
    let chars = message.role.as_str().len() + 2 + content.chars().count() + calls;
    chars.div_ceil(CHARS_PER_TOKEN) as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn roles(messages: &[ChatMessage]) -> String {
        messages
            .iter()
            .map(|message| message.content.text())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn oldest_turns_go_first() {
        let long = "x".repeat(40);
        let all = || {
            vec![
                ChatMessage::system("S"),
                ChatMessage::user(format!("a{long}")),
                ChatMessage::assistant("b"),
                ChatMessage::system("T"),
                ChatMessage::user("c"),
            ]
        };
        for (limit, expected) in [
            (100, format!("S a{long} b T c")),
            (15, "S b T c".to_owned()),
            (1, "S T c".to_owned()),
        ] {
            let mut messages = all();
            trim(&mut messages, limit);
            assert_eq!(roles(&messages), expected, "{limit}");
        }
    }

    #[test]
    fn results_go_with_their_call() {
        let mut asking = ChatMessage::assistant("ask");
        asking.tool_calls = vec![ag_providers::ToolCall::from_wire(
            Some("1".into()),
            "t".into(),
            json!({"a": "x".repeat(80)}),
        )];
        let mut messages = vec![
            asking,
            ChatMessage::tool("1", "result"),
            ChatMessage::user("next"),
            ChatMessage::user("last"),
        ];
        trim(&mut messages, 10);
        assert_eq!(roles(&messages), "next last");
    }
}
