//! The TOML file as a layer.

use std::{io, path::Path};

use config::{File, FileFormat, Source};

use crate::{ConfigError, layer::Layer};

/// Whether a missing file is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Somebody named the file.
    Required,
    /// The default place.
    Optional,
}

/// Reads and parses `path`; `None` if it is absent and may be.
pub(crate) fn read(path: &Path, presence: Presence) -> Result<Option<Layer>, ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && presence == Presence::Optional => {
            return Ok(None);
        }
        Err(source) => {
            return Err(ConfigError::ReadFile {
                path: path.to_owned(),
                source,
            });
        }
    };
    parse(path, &text).map(Some)
}

fn parse(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    // Parsed once by hand for the error: the `config` crate's own message quotes the line.
    if let Err(error) = toml::de::DeTable::parse(text) {
        let offset = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..offset]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        return Err(ConfigError::Toml {
            path: path.to_owned(),
            line,
            message: error.message().to_owned(),
        });
    }
    let tree = File::from_str(text, FileFormat::Toml)
        .collect()
        .map_err(|_| ConfigError::Toml {
            path: path.to_owned(),
            line: 1,
            message: "a number is out of range".to_owned(),
        })?;
    Ok(Layer::new(tree))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_is_named_but_not_shown() {
        let error = parse(
            Path::new("gateway.toml"),
            "[auth]\nprotect_read = true\ntoken = \"canary-9",
        )
        .err();
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(
            text.starts_with("configuration file gateway.toml, line 3: "),
            "{text}"
        );
        assert!(!text.contains("canary"), "{text}");
    }
}
