//! The environment as a value, so that tests need no process environment.

use std::{collections::BTreeMap, fmt};

/// A snapshot of environment variables, taken once at start.
///
/// A blank value counts as unset, for every variable and every reader.
#[derive(Clone, Default)]
pub struct EnvSource {
    vars: BTreeMap<String, String>,
}

impl EnvSource {
    /// Reads the environment of this process. Variables that are not UTF-8 are left out.
    #[must_use]
    pub fn from_process() -> Self {
        let vars = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { vars }
    }

    /// The trimmed value of a variable, unless it is unset or blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// The first of `names` that is set, with its value.
    #[must_use]
    pub fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// All variables that are set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vars
            .keys()
            .filter_map(|name| Some((name.as_str(), self.get(name)?)))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for EnvSource {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(iter: T) -> Self {
        Self {
            vars: iter
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for EnvSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.vars.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_is_unset_and_values_are_trimmed() {
        let env: EnvSource = [("A", "  "), ("B", " b "), ("C", "")].into_iter().collect();
        assert_eq!(env.get("A"), None);
        assert_eq!(env.get("B"), Some("b"));
        assert_eq!(env.first(&["A", "C", "B"]), Some(("B", "b")));
        assert_eq!(env.iter().collect::<Vec<_>>(), [("B", "b")]);
    }

    #[test]
    fn debug_shows_no_value() {
        let env: EnvSource = [("TOKEN", "canary-value")].into_iter().collect();
        let text = format!("{env:?}");
        assert!(text.contains("TOKEN") && !text.contains("canary"), "{text}");
    }
}
