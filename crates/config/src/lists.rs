//! Lists that may also be written as one comma-separated text, as the environment does.

use serde::{Deserialize, Deserializer};

/// Elements of a comma list, trimmed, without the empty ones.
pub(crate) fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `deserialize_with` for a list of texts or one comma-separated text.
pub(crate) fn comma_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of texts or one comma-separated text")]
    enum Form {
        Text(String),
        List(Vec<String>),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::Text(text) => split(&text),
        Form::List(items) => items.iter().flat_map(|item| split(item)).collect(),
    })
}
