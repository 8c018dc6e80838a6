//! One layer: a tree of sections and keys on its way into the `config` crate.

use std::path::{Path, PathBuf};

use config::{Map, Source, Value, ValueKind};

use crate::{ConfigError, env_map, sections::providers};

/// A tree of sections and keys, weaker or stronger than another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer(Map<String, Value>);

impl Layer {
    pub(crate) fn new(tree: Map<String, Value>) -> Self {
        Self(tree)
    }

    /// Sets `section.name`.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<ValueKind>) {
        let (section, name) = key.split_once('.').unwrap_or(("", key));
        self.section_mut(section)
            .insert(name.to_owned(), Value::new(None, value.into()));
    }

    /// The value at `section.name`, unless it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        let (section, name) = key.split_once('.')?;
        match &self.0.get(section)?.kind {
            ValueKind::Table(table) => table.get(name).filter(|value| value.kind != ValueKind::Nil),
            _ => None,
        }
    }

    /// The text at `section.name`.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.kind {
            ValueKind::String(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    fn section_mut(&mut self, section: &str) -> &mut Map<String, Value> {
        let entry = self
            .0
            .entry(section.to_owned())
            .or_insert_with(|| Value::new(None, ValueKind::Table(Map::new())));
        if !matches!(entry.kind, ValueKind::Table(_)) {
            entry.kind = ValueKind::Table(Map::new());
        }
        match &mut entry.kind {
            ValueKind::Table(table) => table,
            _ => unreachable!("the section was made a table above"),
        }
    }

    /// Replaces every `…_file` key of this layer by the content of its file.
    ///
    /// Done per layer, so that a stronger layer may give a secret in either form and still win over a weaker
    /// one that used the other.
    pub(crate) fn resolve_secret_files(&mut self) -> Result<(), ConfigError> {
        for key in env_map::secrets_with_file() {
            let key_file = format!("{key}_file");
            let Some(path) = self.text(&key_file).map(PathBuf::from) else {
                if self.get(key).is_some() {
                    self.set(&key_file, ValueKind::Nil);
                }
                continue;
            };
            if self.get(key).is_some() {
                return Err(ConfigError::SecretTwice {
                    key: (*key).to_owned(),
                    key_file,
                });
            }
            let secret = read_secret(&key_file, &path)?;
            self.set(key, secret);
        }
        self.resolve_provider_files()
    }

    fn resolve_provider_files(&mut self) -> Result<(), ConfigError> {
        let Some(Value {
            kind: ValueKind::Table(table),
            ..
        }) = self.0.get_mut(providers::SECTION)
        else {
            return Ok(());
        };
        let files: Vec<String> = table
            .keys()
            .filter(|name| providers::secret_of_file(name).is_some())
            .cloned()
            .collect();
        for name_file in files {
            let Some(name) = providers::secret_of_file(&name_file).map(str::to_owned) else {
                continue;
            };
            if table.contains_key(&name) {
                return Err(ConfigError::SecretTwice {
                    key: name,
                    key_file: name_file,
                });
            }
            let path = table
                .remove(&name_file)
                .and_then(|value| value.into_string().ok())
                .unwrap_or_default();
            let secret = read_secret(&name_file, Path::new(path.trim()))?;
            table.insert(name, Value::new(None, secret));
        }
        Ok(())
    }
}

/// The file's text without surrounding white space; editors and mounted secrets end it with a newline.
fn read_secret(key: &str, path: &Path) -> Result<String, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(ConfigError::ReadSecret {
            key: key.to_owned(),
            path: path.to_owned(),
            source,
        }),
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// What the command line says, as dotted keys; the strongest layer.
#[derive(Debug, Clone, Default)]
pub struct Overrides(Layer);

impl Overrides {
    /// Sets a text, for example `data.dir`.
    #[must_use]
    pub fn text(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.set(key, value.into());
        self
    }

    /// Sets a switch, for example `runner.enabled`.
    #[must_use]
    pub fn flag(mut self, key: &str, value: bool) -> Self {
        self.0.set(key, value);
        self
    }

    /// Sets a whole number, for example `server.port`.
    #[must_use]
    pub fn number(mut self, key: &str, value: i64) -> Self {
        self.0.set(key, value);
        self
    }

    pub(crate) fn layer(&self) -> &Layer {
        &self.0
    }
}
