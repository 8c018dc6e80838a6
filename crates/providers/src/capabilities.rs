//! What a model can do, from a table.
//!
//! The built-in table is `capabilities/models.toml`; an operator's table has the same format and is looked at first,
//! so that a new model needs no release.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How a model gets tools or a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// Through the protocol.
    Native,
    /// Through the prompt.
    Prompted,
    /// Not at all.
    #[default]
    None,
}

/// How a model sees films.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoInput {
    /// Not at all.
    #[default]
    None,
    /// As single pictures.
    Frames,
    /// As they are.
    Native,
}

/// One row of the table.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelCapabilities {
    /// Names and family prefixes this row speaks for, lower case.
    ids: Vec<String>,
    /// Context length in tokens.
    pub max_tokens: u64,
    /// Longest answer in tokens; 0 = the model does not write.
    pub max_output_tokens: u64,
    /// Tool calls.
    pub tools: Support,
    /// Schema-bound answers.
    pub structured: Support,
    /// Several calls in one answer.
    pub parallel_tools: bool,
    /// Pictures in.
    pub vision: bool,
    /// Sound in.
    pub audio: bool,
    /// Films in.
    pub video_input: VideoInput,
    /// Reasons before it answers.
    pub thinking: bool,
    /// Text switch in the prompt that turns reasoning off.
    pub thinking_control: Option<String>,
    /// `budget` or `effort`.
    pub thinking_control_mode: Option<String>,
    /// Accepted efforts, least first.
    pub reasoning_levels: Vec<String>,
    /// Tokens for reasoning.
    pub thinking_budget: Option<u64>,
    /// Fill in the middle.
    pub fim: bool,
    /// Length of the vectors of an embedding model.
    pub embedding_dimension: Option<u32>,
    /// `max_completion_tokens` and no sampling parameters on OpenAI's own API.
    pub no_sampling: bool,
    /// Chat format family.
    pub architecture: String,
    /// For people.
    pub notes: Option<String>,
    /// How the row was found: `model_table`, `model_family` or `default`.
    #[serde(skip)]
    pub source: &'static str,
}

impl ModelCapabilities {
    /// The answer for a model that no row speaks for (recorded).
    fn unknown() -> Self {
        Self {
            max_tokens: 16384,
            max_output_tokens: 4096,
            tools: Support::Prompted,
            architecture: "generic".to_owned(),
            source: "default",
            ..Self::default()
        }
    }

    /// Whether it makes vectors instead of text.
    #[must_use]
    pub fn is_embedding(&self) -> bool {
        self.embedding_dimension.is_some()
    }

    /// Tool calls per answer: -1 = any number, 0 = not natively.
    #[must_use]
    pub fn max_tools(&self) -> i64 {
        if self.tools == Support::Native { -1 } else { 0 }
    }

    /// Modalities in and out; `None` for an unknown model.
    #[must_use]
    pub fn routes(&self) -> Option<(Vec<&'static str>, Vec<&'static str>)> {
        if self.source == "default" {
            return None;
        }
        let mut input = vec!["text"];
        if self.vision {
            input.push("image");
        }
        if self.video_input != VideoInput::None {
            input.push("video");
        }
        if self.audio {
            input.extend(["sound", "music"]);
        }
        Some((
            input,
            vec![if self.is_embedding() { "embedding" } else { "text" }],
        ))
    }

    /// The `capabilities` member of the discovery answer.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "max_tokens": self.max_tokens,
            "max_output_tokens": self.max_output_tokens,
            "tool_support": self.tools,
            "structured_output": self.structured,
            "parallel_tools": self.parallel_tools,
            "max_tools": self.max_tools(),
            "vision_support": self.vision,
            "audio_support": self.audio,
            "video_support": self.video_input == VideoInput::Native,
            "video_input_mode": self.video_input,
            "thinking_support": self.thinking,
            "fim_support": self.fim,
            "embedding_support": self.is_embedding(),
            "model_type": if self.is_embedding() { "embedding" } else { "chat" },
            "architecture": self.architecture,
            "source": self.source,
        });
        let mut set = |key: &str, extra: Option<Value>| {
            if let (Some(map), Some(extra)) = (value.as_object_mut(), extra) {
                map.insert(key.to_owned(), extra);
            }
        };
        set("thinking_control", self.thinking_control.clone().map(Value::from));
        set(
            "thinking_control_mode",
            self.thinking_control_mode.clone().map(Value::from),
        );
        set(
            "reasoning_levels",
            (!self.reasoning_levels.is_empty()).then(|| json!(self.reasoning_levels)),
        );
        set("thinking_budget", self.thinking_budget.map(Value::from));
        set("embedding_dimension", self.embedding_dimension.map(Value::from));
        set("notes", self.notes.clone().map(Value::from));
        set(
            "capability_routes",
            self.routes()
                .map(|(input, output)| json!({ "input": input, "output": output })),
        );
        value
    }
}

/// A table file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Not TOML, or unknown keys.
    #[error("model capability table is not readable")]
    Format(#[from] toml::de::Error),
    /// A row without names would never be found.
    #[error("model capability table: row {row} has no ids")]
    NoIds {
        /// Counted from 1.
        row: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    #[serde(default)]
    model: Vec<ModelCapabilities>,
}

/// Rows by name.
#[derive(Debug, Default)]
struct Layer {
    rows: HashMap<String, Arc<ModelCapabilities>>,
    longest: usize,
}

impl Layer {
    fn parse(text: &str) -> Result<Self, TableError> {
        let file: TableFile = toml::from_str(text)?;
        let mut layer = Self::default();
        for (index, mut row) in file.model.into_iter().enumerate() {
            let ids = std::mem::take(&mut row.ids);
            if ids.iter().all(|id| id.trim().is_empty()) {
                return Err(TableError::NoIds { row: index + 1 });
            }
            row.source = "model_table";
            if row.architecture.is_empty() {
                "generic".clone_into(&mut row.architecture);
            }
            let row = Arc::new(row);
            for id in ids {
                let id = id.trim().to_ascii_lowercase();
                layer.longest = layer.longest.max(id.len());
                layer.rows.insert(id, Arc::clone(&row));
            }
        }
        Ok(layer)
    }

    /// The longest row name that `name` starts with.
    fn family(&self, name: &str) -> Option<&Arc<ModelCapabilities>> {
        let longest = self.longest.min(name.len());
        (1..=longest)
            .rev()
            .filter_map(|length| name.get(..length))
            .find_map(|prefix| self.rows.get(prefix))
    }
}

static BUILT_IN: LazyLock<Layer> = LazyLock::new(|| {
    Layer::parse(include_str!("capabilities/models.toml")).expect("the built-in table is read by a test")
});

/// The built-in table under an operator's own.
#[derive(Debug, Default)]
pub struct CapabilityTable {
    operator: Layer,
}

impl CapabilityTable {
    /// The built-in table alone.
    #[must_use]
    pub fn built_in() -> Self {
        Self::default()
    }

    /// The built-in table under rows of the same TOML format.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn with_overrides(toml_text: &str) -> Result<Self, TableError> {
        Ok(Self {
            operator: Layer::parse(toml_text)?,
        })
    }

    /// Exact name, then the name without provider prefix and tag, then the longest family prefix, then the unknown
    /// row. At each step the operator's rows come first.
    #[must_use]
    pub fn lookup(&self, model: &str) -> Arc<ModelCapabilities> {
        let full = model.trim().to_ascii_lowercase();
        let bare = bare_name(&full);
        let layers = [&self.operator, &*BUILT_IN];
        for name in [full.as_str(), bare] {
            if let Some(row) = layers.iter().find_map(|layer| layer.rows.get(name)) {
                return Arc::clone(row);
            }
        }
        match layers.iter().find_map(|layer| layer.family(bare)) {
            Some(row) => Arc::new(ModelCapabilities {
                source: "model_family",
                ..ModelCapabilities::clone(row)
            }),
            None => Arc::new(ModelCapabilities::unknown()),
        }
    }

    /// Known names, for listings.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .operator
            .rows
            .keys()
            .chain(BUILT_IN.rows.keys())
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Without `vendor/` and `:tag`.
fn bare_name(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split(':').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows recorded on the reference.
    #[test]
    fn recorded_rows() {
        let table = CapabilityTable::built_in();
        let rows = [
            (
                "gpt-4o-mini",
                128_000,
                16_000,
                "native",
                "native",
                true,
                -1,
                true,
                Some("text image video>text"),
                "gpt",
            ),
            (
                "gpt-4o",
                128_000,
                16_384,
                "native",
                "native",
                true,
                -1,
                true,
                Some("text image video>text"),
                "gpt",
            ),
            (
                "claude-sonnet-4-5",
                200_000,
                64_000,
                "native",
                "native",
                true,
                -1,
                true,
                Some("text image video>text"),
                "claude",
            ),
            (
                "qwen3:4b",
                131_072,
                8_192,
                "native",
                "native",
                false,
                -1,
                false,
                Some("text>text"),
                "qwen3",
            ),
            (
                "text-embedding-3-small",
                8_192,
                0,
                "none",
                "none",
                false,
                0,
                false,
                Some("text>embedding"),
                "generic",
            ),
            (
                "no-such-model",
                16_384,
                4_096,
                "prompted",
                "none",
                false,
                0,
                false,
                None,
                "generic",
            ),
        ];
        for (model, max, out, tools, structured, parallel, max_tools, vision, routes, architecture) in rows {
            let value = table.lookup(model).to_value();
            assert_eq!(value["max_tokens"], max, "{model}");
            assert_eq!(value["max_output_tokens"], out, "{model}");
            assert_eq!(value["tool_support"], tools, "{model}");
            assert_eq!(value["structured_output"], structured, "{model}");
            assert_eq!(value["parallel_tools"], parallel, "{model}");
            assert_eq!(value["max_tools"], max_tools, "{model}");
            assert_eq!(value["vision_support"], vision, "{model}");
            assert_eq!(value["architecture"], architecture, "{model}");
            let found = value.get("capability_routes").map(|routes| {
                let join = |key: &str| {
                    let list = routes[key].as_array().cloned().unwrap_or_default();
                    list.iter()
                        .filter_map(Value::as_str)
                        .collect::<Vec<_>>()
                        .join(" ")
                };
                format!("{}>{}", join("input"), join("output"))
            });
            assert_eq!(found.as_deref(), routes, "{model}");
        }
    }

    #[test]
    fn lookup_order() {
        let table = CapabilityTable::built_in();
        assert_eq!(table.lookup("openai/GPT-4o").max_output_tokens, 16_384);
        assert_eq!(table.lookup("openai/gpt-4o").source, "model_table");
        let dated = table.lookup("gpt-4o-mini-2024-07-18");
        assert_eq!((dated.max_output_tokens, dated.source), (16_000, "model_family"));
        assert_eq!(
            table.lookup("lmstudio-community/Qwen3-30B-A3B-GGUF").architecture,
            "qwen3"
        );
        assert_eq!(table.lookup("").source, "default");
        assert_eq!(table.lookup("ü").source, "default");
    }

    #[test]
    fn operator_rows_win() {
        let table = CapabilityTable::with_overrides(
            "[[model]]\nids = [\"gpt-4o-mini\", \"acme-\"]\nmax_tokens = 7\nmax_output_tokens = 3\ntools = \"native\"\n",
        )
        .expect("table");
        assert_eq!(table.lookup("gpt-4o-mini").max_tokens, 7);
        assert_eq!(table.lookup("acme-large").max_output_tokens, 3);
        assert_eq!(table.lookup("gpt-4o").max_output_tokens, 16_384);
        assert!(CapabilityTable::with_overrides("[[model]]\nmax_tokens = 1\n").is_err());
        assert!(CapabilityTable::with_overrides("[[model]]\nids=['x']\nmax_tokenz = 1\n").is_err());
    }

    #[test]
    fn every_row_is_plausible() {
        for (name, row) in &BUILT_IN.rows {
            assert!(row.max_tokens >= 512, "{name}");
            assert!(row.max_output_tokens <= row.max_tokens, "{name}");
            assert_eq!(row.max_output_tokens == 0, row.is_embedding(), "{name}");
            assert_eq!(name, &name.to_ascii_lowercase());
        }
    }
}
