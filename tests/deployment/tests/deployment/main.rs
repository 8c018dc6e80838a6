//! What is shipped beside the binary, checked without a container engine: the image's recipe, the compose file, what
//! it mounts, the unit of systemd, and the configuration of the observers.

mod compose;
mod dockerfile;
mod observability;
mod secrets;
mod systemd;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// Root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether the gateway reads a variable of this name.
fn is_variable(name: &str) -> bool {
    use ag_config::env_map::{Kind, VARIABLES};
    // Provider variables are a family; one that nobody knows is reported like any other.
    let reported = || {
        let env: ag_config::EnvSource = [(name, "http://value")].into_iter().collect();
        let loaded = ag_config::load(ag_config::Inputs {
            config_file: None,
            env: &env,
            flags: &ag_config::Overrides::default(),
        });
        match loaded {
            Ok(loaded) => loaded.config.providers.is_set(name),
            Err(_) => true,
        }
    };
    VARIABLES.iter().any(|variable| {
        let stem = name
            .strip_suffix("_FILE")
            .filter(|_| variable.kind == Kind::Secret);
        variable
            .names
            .iter()
            .any(|known| *known == name || Some(*known) == stem)
    }) || name
        .strip_suffix("_API_KEY_FILE")
        .is_some_and(|_| is_variable(name.trim_end_matches("_FILE")))
        || reported()
}

#[test]
fn the_check_of_variables_can_fail() {
    for (name, known) in [
        ("ABSTRACTGATEWAY_DATA_DIR", true),
        ("ABSTRACTGATEWAY_DATABASE_URL_FILE", true),
        ("ABSTRACTGATEWAY_ENCRYPTION_KEYS_FILE", true),
        ("OPENAI_BASE_URL", true),
        ("OPENAI_API_KEY_FILE", true),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", true),
        ("ABSTRACTGATEWAY_DATA_DIRR", false),
        ("ABSTRACTGATEWAY_DATA_DIR_FILE", false),
        ("OPENAI_BASE_ULR", false),
    ] {
        assert_eq!(is_variable(name), known, "{name}");
    }
}
