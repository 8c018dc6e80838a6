//! `config init`: an environment file that only its owner may read.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// What goes into the file.
pub(super) struct Settings {
    pub(super) token: Option<String>,
    pub(super) allowed_origins: String,
    pub(super) data_dir: PathBuf,
    pub(super) flows_dir: PathBuf,
    pub(super) tool_mode: String,
}

/// Writes the file and says how to use it. The token stays in the file.
pub(super) fn write(path: &Path, force: bool, settings: &Settings) -> anyhow::Result<()> {
    if path.exists() && !force {
        bail!(
            "Refusing to overwrite existing env file: {} (use --force)",
            path.display()
        );
    }
    let token = settings.token.clone().unwrap_or_else(fresh_token);
    let text = render(settings, &token);
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "wrote {}", path.display())?;
    writeln!(
        out,
        "next: set -a; . {}; set +a; abstractgateway serve",
        path.display()
    )?;
    Ok(())
}

fn fresh_token() -> String {
    format!(
        "{}{}",
        uuid::Uuid::new_v4().simple(),
        uuid::Uuid::new_v4().simple()
    )
}

fn render(settings: &Settings, token: &str) -> String {
    let data_dir = settings.data_dir.to_string_lossy();
    let flows_dir = settings.flows_dir.to_string_lossy();
    let pairs = [
        ("ABSTRACTGATEWAY_AUTH_TOKEN", token),
        (
            "ABSTRACTGATEWAY_ALLOWED_ORIGINS",
            settings.allowed_origins.as_str(),
        ),
        ("ABSTRACTGATEWAY_DATA_DIR", &data_dir),
        ("ABSTRACTGATEWAY_FLOWS_DIR", &flows_dir),
        ("ABSTRACTGATEWAY_STORE_BACKEND", "sqlite"),
        ("ABSTRACTGATEWAY_TOOL_MODE", settings.tool_mode.as_str()),
    ];
    let mut text = String::from(
        "# Environment of AbstractGateway.\n# It holds a secret: keep it out of version control.\n# Load it with: set -a; . ./.env; set +a\n",
    );
    for (name, value) in pairs {
        text.push_str(&format!("{name}={}\n", quoted(value)));
    }
    text
}

/// Values with blanks or quotes are written as JSON strings.
fn quoted(value: &str) -> String {
    match value.contains([' ', '"', '\'', '#', '*']) {
        true => serde_json::Value::from(value).to_string(),
        false => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_kept_and_the_new_one_is_private() {
        let dir = tempfile::tempdir().expect("scratch");
        let path = dir.path().join("gateway.env");
        let settings = Settings {
            token: Some("secret-token".into()),
            allowed_origins: "http://localhost:*".into(),
            data_dir: "./runtime".into(),
            flows_dir: "./my flows".into(),
            tool_mode: "approval".into(),
        };
        write(&path, false, &settings).expect("first");
        assert!(write(&path, false, &settings).is_err());
        write(&path, true, &settings).expect("forced");
        let text = fs::read_to_string(&path).expect("read");
        assert!(text.contains("ABSTRACTGATEWAY_AUTH_TOKEN=secret-token\n"));
        assert!(text.contains("ABSTRACTGATEWAY_FLOWS_DIR=\"./my flows\"\n"));
        #[cfg(unix)]
        {
            let mode =
                std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).expect("meta").permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
