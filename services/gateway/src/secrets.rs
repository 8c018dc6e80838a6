//! The keys that encrypt stored secrets.

use std::{
    fs,
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use ag_auth::{KeyFile, KeyRing, SecretBox};
use ag_config::{Config, StoreBackend};
use anyhow::{Context as _, bail};
use secrecy::SecretString;

use crate::backend;

/// The configured keys. The embedded store makes a file of its own; the nodes of a cluster need the same keys, which
/// nobody can make for them, and store no secrets without.
pub(crate) fn open(config: &Config) -> anyhow::Result<Option<Arc<dyn SecretBox>>> {
    let settings = &config.encryption;
    let embedded = config.store_backend() == StoreBackend::Sqlite;
    let text = match (&settings.keys, &settings.keys_file) {
        (Some(_), Some(_)) => {
            bail!(
                "encryption: give ABSTRACTGATEWAY_ENCRYPTION_KEYS or ABSTRACTGATEWAY_ENCRYPTION_KEYS_FILE, not both"
            )
        }
        (Some(keys), None) => Some(keys.clone()),
        (None, Some(path)) => match fs::read_to_string(path) {
            Ok(text) => Some(SecretString::from(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && embedded => None,
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read the encryption keys in {}", path.display()));
            }
        },
        (None, None) => None,
    };
    if let Some(text) = text {
        return Ok(Some(Arc::new(KeyRing::parse(&text).context("encryption.keys")?)));
    }
    if !embedded {
        tracing::info!(
            "no ABSTRACTGATEWAY_ENCRYPTION_KEYS: connections to model providers are stored without keys"
        );
        return Ok(None);
    }
    let path = config.encryption_keys_file();
    let file = KeyFile::new(&path);
    let file = file.with_context(|| format!("cannot read the encryption keys in {}", path.display()))?;
    Ok(Some(Arc::new(file)))
}

/// Seals everything with the newest key and says what was done.
pub(crate) async fn reseal(config: &Config, dry_run: bool) -> anyhow::Result<ExitCode> {
    let Some(keys) = open(config)? else {
        bail!("no ABSTRACTGATEWAY_ENCRYPTION_KEYS: nothing is stored encrypted");
    };
    let backend = backend::open(config)
        .await
        .context("an embedded gateway must be stopped first")?;
    backend.check_role(ag_store_postgres::Role::Engine)?;
    let mut out = std::io::stdout().lock();
    if dry_run {
        writeln!(out, "dry run: nothing is changed")?;
    }
    let done = ag_api::reseal_secrets(&*backend.store, &*keys, dry_run, |plane, done| {
        // Somebody who does not read the progress may still want the work done.
        let _ = writeln!(out, "plane {plane}: {} moved so far", done.moved);
    })
    .await;
    backend.close().await?;
    let done = done.context("stopped early; run it again")?;
    writeln!(out, "moved      {}", done.moved)?;
    writeln!(out, "current    {}", done.current)?;
    for (what, reason) in &done.failed {
        writeln!(out, "failed     {what}: {reason}")?;
    }
    Ok(match done.failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::default();
        config.data.dir = "/nonexistent/data".into();
        change(&mut config);
        config
    }

    fn outcome(change: impl FnOnce(&mut Config)) -> Result<bool, String> {
        let opened = open(&config(change));
        opened
            .map(|keys| keys.is_some())
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn where_keys_come_from() {
        let dir = tempfile::tempdir().expect("folder");
        let mounted = dir.path().join("mounted");
        fs::write(&mounted, format!("2026:{}\n", "A".repeat(43))).expect("written");
        let cluster = |config: &mut Config| config.store.backend = Some(StoreBackend::Postgres);
        assert_eq!(outcome(|_| {}), Ok(true), "the embedded store makes its own");
        assert_eq!(outcome(cluster), Ok(false), "a cluster does not");
        let file = |config: &mut Config| config.encryption.keys_file = Some(mounted.clone());
        assert_eq!(
            outcome(|config| {
                cluster(config);
                file(config);
            }),
            Ok(true)
        );
        let absent = outcome(|config| {
            cluster(config);
            config.encryption.keys_file = Some(dir.path().join("absent"));
        });
        assert!(absent.is_err_and(|error| error.contains("absent")));
        let both = outcome(|config| {
            file(config);
            config.encryption.keys = Some("canary".into());
        });
        assert!(both.is_err_and(|error| error.contains("not both")));
        let damaged = outcome(|config| config.encryption.keys = Some("canary".into()));
        assert!(damaged.is_err_and(|error| error.contains("key 1") && !error.contains("canary")));
    }
}
