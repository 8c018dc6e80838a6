//! The one table that says which environment variable sets which key.
//!
//! Names are public contract: those of the reference keep working, new ones follow their pattern. A variable
//! with several names is taken from the first that is set. Numbers and switches that cannot be read are ignored
//! with a warning, so that the weaker layer's value stays.

mod family;
mod table;

use config::ValueKind;

pub use table::{IGNORED, VARIABLES};

use crate::{EnvSource, layer::Layer, lists, sections::providers};

/// Names the configuration file when `--config` does not.
pub const CONFIG_FILE: &str = "ABSTRACTGATEWAY_CONFIG";

/// How the text of a variable becomes a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// As it is.
    Text,
    /// In lower case: names of choices.
    Choice,
    /// `1/true/yes/on` or `0/false/no/off`.
    Bool,
    /// `1/true/yes/on`; everything else is off.
    Truthy,
    /// A whole number, raised to the minimum.
    Int {
        /// Smallest value.
        min: i64,
    },
    /// A finite number, raised to 0.
    Seconds,
    /// A comma list.
    List,
    /// A secret; `<NAME>_FILE` names a file that holds it.
    Secret,
    /// A secret whose `…_FILE` variable has a meaning of its own in the contract (created when missing).
    SecretOnly,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Dotted key it sets.
    pub key: &'static str,
    /// Reading of its text.
    pub kind: Kind,
    /// Names, strongest first.
    pub names: &'static [&'static str],
}

/// Keys of secrets that have a generic `…_file` form.
pub(crate) fn secrets_with_file() -> impl Iterator<Item = &'static &'static str> {
    VARIABLES
        .iter()
        .filter(|variable| variable.kind == Kind::Secret)
        .map(|variable| &variable.key)
}

/// The environment as a layer. What cannot be read is reported in `warnings`, by name, never by value.
pub(crate) fn layer(env: &EnvSource, warnings: &mut Vec<String>) -> Layer {
    let mut layer = Layer::default();
    for variable in VARIABLES {
        if let Some((name, text)) = env.first(variable.names) {
            match read(variable.kind, text) {
                Some(value) => layer.set(variable.key, value),
                None => warnings.push(format!("{name}: the value cannot be read and is ignored")),
            }
        }
        if variable.kind == Kind::Secret {
            let file = variable
                .names
                .iter()
                .find_map(|name| env.get(&format!("{name}_FILE")));
            if let Some(path) = file {
                layer.set(&format!("{}_file", variable.key), path);
            }
        }
    }
    for (name, value) in env.iter().filter(|(name, _)| providers::is_known(name)) {
        layer.set(&format!("{}.{name}", providers::SECTION), value);
    }
    family::report(env, warnings);
    layer
}

fn read(kind: Kind, text: &str) -> Option<ValueKind> {
    Some(match kind {
        Kind::Text | Kind::Secret | Kind::SecretOnly => text.into(),
        Kind::Choice => text.to_ascii_lowercase().into(),
        Kind::Bool => read_bool(text)?.into(),
        Kind::Truthy => (read_bool(text) == Some(true)).into(),
        Kind::Int { min } => text.parse::<i64>().ok()?.max(min).into(),
        Kind::Seconds => {
            let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite())?;
            seconds.max(0.0).into()
        }
        Kind::List => lists::split(text).into(),
    })
}

fn read_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings() {
        let cases: &[(Kind, &str, Option<ValueKind>)] = &[
            (Kind::Bool, "YES", Some(true.into())),
            (Kind::Bool, "off", Some(false.into())),
            (Kind::Bool, "maybe", None),
            (Kind::Truthy, "On", Some(true.into())),
            (Kind::Truthy, "maybe", Some(false.into())),
            (Kind::Int { min: 1 }, "0", Some(1_i64.into())),
            (Kind::Int { min: 0 }, "-5", Some(0_i64.into())),
            (Kind::Int { min: 0 }, "12", Some(12_i64.into())),
            (Kind::Int { min: 0 }, "12.5", None),
            (Kind::Int { min: 0 }, "many", None),
            (Kind::Seconds, "0.5", Some(0.5.into())),
            (Kind::Seconds, "-1", Some(0.0.into())),
            (Kind::Seconds, "nan", None),
            (Kind::Seconds, "inf", None),
            (Kind::Choice, "SQLite", Some("sqlite".into())),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(&read(*kind, text), expected, "{kind:?} {text}");
        }
    }
}
