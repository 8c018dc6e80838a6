//! What can be wrong with a configuration. No variant carries a secret.

use std::{fmt, io, path::PathBuf};

/// Why no configuration came about.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read configuration file {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The configuration file is not TOML. The offending line is not shown: it may hold a secret.
    #[error("configuration file {}, line {line}: {message}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The parser's message.
        message: String,
    },
    /// The file that a `…_file` key names cannot be read.
    #[error("{key}: cannot read {}", path.display())]
    ReadSecret {
        /// The key or variable.
        key: String,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A secret and its `…_file` form come from the same layer.
    #[error("{key} and {key_file} are both set, keep one of them")]
    SecretTwice {
        /// The inline form.
        key: String,
        /// The file form.
        key_file: String,
    },
    /// A key is unknown, or its value has the wrong type.
    #[error("{key}: {message}")]
    Value {
        /// Dotted key.
        key: String,
        /// What was expected.
        message: String,
    },
    /// `store.backend = "file"`, the folder-per-run store of the reference.
    #[error(
        "store.backend: the `file` store is not served; move the folder over once with \
         `abstractgateway migrate --from file {0} --data-dir {0} --apply` (without --apply it only says what it would do), \
         then set ABSTRACTGATEWAY_STORE_BACKEND=sqlite",
        data_dir.display()
    )]
    FileStore {
        /// The folder to migrate.
        data_dir: PathBuf,
    },
    /// Values that contradict a rule, all of them at once.
    #[error("{0}")]
    Invalid(Problems),
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Dotted key.
    pub key: &'static str,
    /// What is wrong with its value.
    pub message: String,
}

/// All broken rules of a configuration, in section order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, key: &'static str, message: impl Into<String>) {
        self.0.push(Problem {
            key,
            message: message.into(),
        });
    }

    /// The problems.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }

    pub(crate) fn into_result(self) -> Result<(), ConfigError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::Invalid(self))
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{}: {}", problem.key, problem.message)?;
        }
        Ok(())
    }
}
