//! Reasoning effort, one scale for all families.

use serde_json::Value;

/// How much the model should reason before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thinking {
    /// Not at all.
    Off,
    /// The server's own amount.
    Auto,
    /// As little as possible.
    Minimal,
    /// Low effort.
    Low,
    /// Medium effort.
    Medium,
    /// High effort.
    High,
    /// The most the model has.
    XHigh,
}

impl Thinking {
    /// Reads a level, a switch (`on`, `true`) or a boolean. Unknown words are `None`: they change nothing.
    #[must_use]
    pub fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(on) => Some(if *on { Self::Auto } else { Self::Off }),
            Value::String(text) => Self::from_word(text),
            _ => None,
        }
    }

    /// As [`Self::parse`] for text.
    #[must_use]
    pub fn from_word(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "off" | "none" | "false" | "no" | "disabled" => Some(Self::Off),
            "on" | "auto" | "true" | "yes" | "enabled" => Some(Self::Auto),
            "minimal" => Some(Self::Minimal),
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            "xhigh" | "max" => Some(Self::XHigh),
            _ => None,
        }
    }

    /// The word that [`Self::from_word`] reads back.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            other => other.effort().unwrap_or("on"),
        }
    }

    /// The wire word of effort-style parameters; `None` for [`Self::Auto`].
    #[must_use]
    pub fn effort(self) -> Option<&'static str> {
        match self {
            Self::Off => Some("none"),
            Self::Auto => None,
            Self::Minimal => Some("minimal"),
            Self::Low => Some("low"),
            Self::Medium => Some("medium"),
            Self::High => Some("high"),
            Self::XHigh => Some("xhigh"),
        }
    }
}

/// Takes a leading `<think>` block apart. Templates that open the block themselves leave only its end in the answer.
#[must_use]
pub fn split_think(content: Option<String>) -> (Option<String>, Option<String>) {
    let Some(text) = content else { return (None, None) };
    let start = text.trim_start();
    if let Some(rest) = start.strip_prefix("<think>") {
        return match rest.split_once("</think>") {
            Some((thought, answer)) => (Some(answer.trim_start().to_owned()), non_empty(thought)),
            // Cut by the token limit while still thinking.
            None => (Some(String::new()), non_empty(rest)),
        };
    }
    if !start.contains("<think>")
        && let Some((thought, answer)) = start.split_once("</think>")
    {
        return (Some(answer.trim_start().to_owned()), non_empty(thought));
    }
    (Some(text), None)
}

fn non_empty(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
