//! Tool names that protocols refuse.
//!
//! Function names on the wires are `[A-Za-z0-9_-]{1,64}`. Ours may hold more (`mcp::<server>::<tool>`), so a request
//! goes out with a readable substitute and the reply comes back with the name the caller knows.

use std::collections::{BTreeMap, BTreeSet};

use crate::chat::{ChatReply, ChatRequest, ToolChoice};

const MAX_LENGTH: usize = 64;

/// Substitutes in use, by themselves.
#[derive(Debug, Default)]
pub(super) struct SafeNames(BTreeMap<String, String>);

impl SafeNames {
    /// Replaces names of tools and of earlier calls. Requests without such names stay as they are.
    pub(super) fn apply(req: &mut ChatRequest) -> Self {
        let mut taken: BTreeSet<String> = req.tools.iter().map(|tool| tool.name.clone()).collect();
        let mut safe: BTreeMap<String, String> = BTreeMap::new();
        let calls = req.messages.iter().flat_map(|message| &message.tool_calls);
        let names = req
            .tools
            .iter()
            .map(|tool| &tool.name)
            .chain(calls.map(|call| &call.name));
        for name in names {
            if !is_safe(name) && !safe.contains_key(name) {
                let substitute = substitute(name, &taken);
                taken.insert(substitute.clone());
                safe.insert(name.clone(), substitute);
            }
        }
        rename(req, &safe);
        Self(
            safe.into_iter()
                .map(|(name, substitute)| (substitute, name))
                .collect(),
        )
    }

    /// Puts the names of a reply back.
    pub(super) fn restore(&self, reply: &mut ChatReply) {
        for call in &mut reply.tool_calls {
            if let Some(name) = self.0.get(&call.name) {
                call.name.clone_from(name);
            }
        }
    }

    /// Puts the names of the request itself back.
    pub(super) fn restore_request(&self, req: &mut ChatRequest) {
        rename(req, &self.0);
    }
}

fn rename(req: &mut ChatRequest, to: &BTreeMap<String, String>) {
    if to.is_empty() {
        return;
    }
    let set = |name: &mut String| {
        if let Some(other) = to.get(name) {
            name.clone_from(other);
        }
    };
    req.tools.iter_mut().for_each(|tool| set(&mut tool.name));
    let calls = req
        .messages
        .iter_mut()
        .flat_map(|message| &mut message.tool_calls);
    calls.for_each(|call| set(&mut call.name));
    if let ToolChoice::Named(name) = &mut req.tool_choice {
        set(name);
    }
}

fn is_safe_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn is_safe(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_LENGTH && name.chars().all(is_safe_char)
}

fn substitute(name: &str, taken: &BTreeSet<String>) -> String {
    let base: String = name
        .chars()
        .map(|c| if is_safe_char(c) { c } else { '_' })
        .take(MAX_LENGTH - 4)
        .collect();
    let base = if base.is_empty() { "tool".to_owned() } else { base };
    (1..1000)
        .map(|n| {
            if n == 1 {
                base.clone()
            } else {
                format!("{base}_{n}")
            }
        })
        .find(|candidate| !taken.contains(candidate))
        .unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{ToolCall, ToolSpec};

    #[test]
    fn names_go_out_safe_and_come_back() {
        let mut req = ChatRequest::prompt("m", "x");
        let names = ["read_file", "mcp::a::b", "mcp__a__b", "mcp::a:.b"];
        req.tools = names
            .iter()
            .map(|name| ToolSpec {
                name: (*name).to_owned(),
                description: String::new(),
                parameters: serde_json::Value::Null,
            })
            .collect();
        let safe = SafeNames::apply(&mut req);
        let sent: Vec<&str> = req.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(sent, ["read_file", "mcp__a__b_2", "mcp__a__b", "mcp__a__b_3"]);
        let mut reply = ChatReply {
            tool_calls: sent
                .iter()
                .map(|name| ToolCall::from_wire(None, (*name).to_owned(), serde_json::Value::Null))
                .collect(),
            ..ChatReply::default()
        };
        safe.restore(&mut reply);
        let back: Vec<&str> = reply.tool_calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(back, names);
    }
}
