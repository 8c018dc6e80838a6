//! `deploy/make-secrets.sh` makes what the compose file mounts, and the gateway can read it.

use std::{fs, path::Path, process::Command};

use ag_auth::KeyRing;

use crate::{root, yaml};

fn make(folder: &Path) {
    let made = Command::new("bash")
        .arg(root().join("deploy/make-secrets.sh"))
        .arg(folder)
        .output()
        .expect("bash");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn secrets_are_made_once() {
    let dir = tempfile::tempdir().expect("folder");
    let folder = dir.path().join("secrets");
    make(&folder);
    let read =
        |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for (name, secret) in yaml("docker-compose.yml")["secrets"]
        .as_object()
        .expect("secrets")
    {
        let file = secret["file"]
            .as_str()
            .expect("file")
            .trim_start_matches("./deploy/secrets/");
        let text = read(file);
        assert!(!text.is_empty() || name == "openai_api_key", "{name}");
    }
    KeyRing::parse(&read("encryption_keys").into()).expect("encryption keys");
    for (url, password) in [
        ("database_url_owner", "postgres_password"),
        ("database_url_engine", "engine_password"),
        ("database_url_api", "api_password"),
        ("nats_url", "nats_password"),
        ("redis_url", "redis_password"),
        ("nats_users.conf", "nats_password"),
        ("redis_users.acl", "redis_password"),
        ("s3_identities.json", "s3_secret_key"),
    ] {
        assert!(read(url).contains(read(password).trim()), "{url}");
        assert_eq!(read(password).trim().len(), 64, "{password}");
    }
    let before = read("auth_token");
    make(&folder);
    assert_eq!(read("auth_token"), before, "what exists is kept");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&folder).expect("folder").permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "nobody else on the machine enters");
    }
}

#[test]
fn secrets_are_not_committed() {
    let ignored = crate::read("deploy/secrets/.gitignore");
    assert_eq!(ignored, "*\n!.gitignore\n");
}
