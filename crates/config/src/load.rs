//! Putting the layers together: defaults < file < environment < flags.

use std::path::{Path, PathBuf};

use crate::{
    Config, ConfigError, EnvSource, Overrides, Problems, env_map, file, layer::Layer,
    sections::DEFAULT_DATA_DIR,
};

/// What a configuration is made of.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// `--config`: the file to read. Without it `ABSTRACTGATEWAY_CONFIG` counts, else `<DATA_DIR>/gateway.toml`,
    /// which may be absent.
    pub config_file: Option<&'a Path>,
    /// The environment.
    pub env: &'a EnvSource,
    /// The command line.
    pub flags: &'a Overrides,
}

/// A valid configuration and what is worth saying about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// Values that were ignored or moved into their range, and variables that nothing reads. One line each.
    pub warnings: Vec<String>,
}

/// Builds the configuration from all layers, moves values into their ranges and validates them.
pub fn load(inputs: Inputs<'_>) -> Result<Loaded, ConfigError> {
    let mut warnings = Vec::new();
    let mut env_layer = env_map::layer(inputs.env, &mut warnings);
    env_layer.resolve_secret_files()?;
    let mut flags = inputs.flags.layer().clone();
    flags.resolve_secret_files()?;

    let (path, presence) = config_file(inputs, &env_layer);
    let mut file_layer = file::read(&path, presence)?;
    if let Some(layer) = &mut file_layer {
        layer.resolve_secret_files()?;
    }
    let read_file = file_layer.as_ref().map(|_| path);

    let layers: Vec<Layer> = file_layer.into_iter().chain([env_layer, flags]).collect();
    refuse_file_store(&layers)?;
    let mut config = merge(layers)?;
    config.normalise(&mut warnings);
    let mut problems = Problems::default();
    config.validate(&mut problems);
    problems.into_result()?;
    Ok(Loaded {
        config,
        file: read_file,
        warnings,
    })
}

fn config_file(inputs: Inputs<'_>, env_layer: &Layer) -> (PathBuf, file::Presence) {
    if let Some(path) = inputs.config_file {
        return (path.to_owned(), file::Presence::Required);
    }
    if let Some(path) = inputs.env.get(env_map::CONFIG_FILE) {
        return (PathBuf::from(path), file::Presence::Required);
    }
    let data_dir = [inputs.flags.layer(), env_layer]
        .iter()
        .find_map(|layer| layer.text("data.dir"));
    (
        Path::new(data_dir.unwrap_or(DEFAULT_DATA_DIR)).join("gateway.toml"),
        file::Presence::Optional,
    )
}

/// `file` is a value of the reference that deserves a better answer than "unknown variant".
fn refuse_file_store(layers: &[Layer]) -> Result<(), ConfigError> {
    let strongest = |key: &str| layers.iter().rev().find_map(|layer| layer.text(key));
    if strongest("store.backend").is_some_and(|backend| backend.eq_ignore_ascii_case("file")) {
        let data_dir = PathBuf::from(strongest("data.dir").unwrap_or(DEFAULT_DATA_DIR));
        return Err(ConfigError::FileStore { data_dir });
    }
    Ok(())
}

fn merge(layers: Vec<Layer>) -> Result<Config, ConfigError> {
    let mut builder = config::Config::builder();
    for layer in layers {
        builder = builder.add_source(layer);
    }
    let merged = builder.build().map_err(|error| ConfigError::Value {
        key: "configuration".to_owned(),
        message: describe(&error),
    })?;
    serde_path_to_error::deserialize(merged).map_err(|error| ConfigError::Value {
        key: error.path().to_string(),
        message: describe(error.inner()),
    })
}

/// The reason without the value: it may be a secret that slipped into the wrong key.
fn describe(error: &config::ConfigError) -> String {
    use config::ConfigError as E;
    match error {
        E::Type {
            expected, unexpected, ..
        } => {
            let text = unexpected.to_string();
            let found = text.split([' ', '`', '"']).next().unwrap_or_default();
            format!("expected {expected}, found a {found}")
        }
        E::At { error, .. } => describe(error),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
