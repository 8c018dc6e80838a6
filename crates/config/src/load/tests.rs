use std::fs;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;

mod derived;

/// Stands in every secret; must come out nowhere.
const CANARY: &str = "canary-b41f";

fn from_env(pairs: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    // A data directory that does not exist: no test may meet a real `./runtime/gateway.toml`.
    let env: EnvSource = [("ABSTRACTGATEWAY_DATA_DIR", "/nonexistent/data")]
        .iter()
        .chain(pairs)
        .copied()
        .collect();
    load(Inputs {
        config_file: None,
        env: &env,
        flags: &Overrides::default(),
    })
}

fn config(pairs: &[(&str, &str)]) -> Config {
    from_env(pairs).expect("the environment is valid").config
}

fn error(pairs: &[(&str, &str)]) -> String {
    from_env(pairs)
        .expect_err("the environment is not valid")
        .to_string()
}

/// A value that differs from the default of its key.
fn sample(key: &str, kind: env_map::Kind) -> String {
    use env_map::Kind;
    let text = match key {
        "data.dir" => "/srv/data",
        "store.backend" => "sqlite",
        "store.db_path" => "/srv/data/other.sqlite3",
        "store.db_sync" => "normal",
        "store.database_url" => "postgres://gateway:canary-b41f@db/gateway",
        "messaging.nats_url" => "nats://user:canary-b41f@nats:4222",
        "messaging.redis_url" => "redis://:canary-b41f@redis:6379",
        "s3.endpoint" => "https://objects:9000",
        "blobs.gc_grace_s" => "20000",
        "runner.pool" => "gpu",
        "workflows.source" => "bundle",
        "users.mode" => "hosted",
        "execution.tool_mode" => "local",
        "telemetry.log_level" => "INFO",
        "telemetry.log_format" => "json",
        "telemetry.metrics_addr" => "0.0.0.0",
        "telemetry.otlp_endpoint" => "http://collector:4318",
        "telemetry.trace_ratio" => "0.5",
        "host.gpu_metrics_provider" => "off",
        "runner.enabled"
        | "runner.workspace"
        | "auth.security"
        | "auth.protect_read"
        | "auth.protect_write"
        | "users.admin_uses_default_runtime"
        | "users.bootstrap_admin"
        | "audit.enabled"
        | "host.silence_gpu_access_log" => "no",
        _ => match kind {
            Kind::Secret | Kind::SecretOnly => CANARY,
            Kind::Bool | Kind::Truthy => "yes",
            Kind::Int { .. } => "123",
            Kind::Seconds => "2.5",
            Kind::List => "one, two",
            Kind::Text | Kind::Choice => return key.replace('.', "-"),
        },
    };
    text.to_owned()
}

fn full_environment() -> Vec<(&'static str, String)> {
    let own = env_map::VARIABLES
        .iter()
        .map(|variable| (variable.names[0], sample(variable.key, variable.kind)));
    own.chain([
        ("OPENAI_BASE_URL", "http://models:1234/v1".to_owned()),
        ("OPENAI_API_KEY", CANARY.to_owned()),
        ("ABSTRACTGATEWAY_VOICE_TTS_ENGINE", "piper".to_owned()),
    ])
    .collect()
}

#[test]
fn every_name_of_every_variable_reaches_its_key() {
    let default = Config::default().redacted();
    for variable in env_map::VARIABLES {
        let pointer = format!("/{}", variable.key.replace('.', "/"));
        for name in variable.names {
            let value = sample(variable.key, variable.kind);
            let env: EnvSource = [(*name, value.as_str())]
                .into_iter()
                .chain(
                    // The SQLite file must lie in the data directory.
                    (variable.key == "store.db_path").then_some(("ABSTRACTGATEWAY_DATA_DIR", "/srv/data")),
                )
                .collect();
            let loaded = load(Inputs {
                config_file: None,
                env: &env,
                flags: &Overrides::default(),
            });
            let redacted = loaded
                .unwrap_or_else(|error| panic!("{name}: {error}"))
                .config
                .redacted();
            let found = redacted
                .pointer(&pointer)
                .unwrap_or_else(|| panic!("{name}: no key {pointer}"));
            let same = found == default.pointer(&pointer).unwrap_or(&Value::Null);
            // The only legal value of this key is its default.
            assert_eq!(same, variable.key == "workflows.source", "{name}: {found}");
        }
    }
}

#[test]
fn full_environment_snapshot() {
    let env: EnvSource = full_environment().into_iter().collect();
    let loaded = load(Inputs {
        config_file: None,
        env: &env,
        flags: &Overrides::default(),
    })
    .expect("valid");
    insta::assert_snapshot!("full_environment", loaded.config.redacted_toml());
    insta::assert_snapshot!("full_environment_warnings", loaded.warnings.join("\n"));
}

#[test]
fn no_secret_is_shown() {
    let env: EnvSource = full_environment().into_iter().collect();
    let loaded = load(Inputs {
        config_file: None,
        env: &env,
        flags: &Overrides::default(),
    })
    .expect("valid");
    let config = &loaded.config;
    for text in [
        config.redacted().to_string(),
        config.redacted_toml(),
        format!("{loaded:?}"),
    ] {
        assert!(!text.contains(CANARY));
    }
    let key = config
        .providers
        .secret("OPENAI_API_KEY")
        .map(|key| key.expose_secret().to_owned());
    assert_eq!(key.as_deref(), Some(CANARY));
}

#[test]
fn defaults_snapshot() {
    insta::assert_snapshot!("defaults", Config::default().redacted_toml());
}

#[test]
fn the_printed_form_can_be_read_back() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("gateway.toml");
    fs::write(&path, Config::default().redacted_toml()).expect("write");
    let loaded = load(Inputs {
        config_file: Some(&path),
        env: &EnvSource::default(),
        flags: &Overrides::default(),
    });
    assert_eq!(
        loaded.expect("valid").config.redacted(),
        Config::default().redacted()
    );
}

#[test]
fn stronger_layers_win() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = "[server]\nport = 1\n[runner]\nslots = 1\npool = \"file\"\n[auth]\nallowed_origins = []\n";
    fs::write(dir.path().join("gateway.toml"), file).expect("write");
    let data_dir = dir.path().to_string_lossy().into_owned();
    let env: EnvSource = [
        ("ABSTRACTGATEWAY_DATA_DIR", data_dir.as_str()),
        ("ABSTRACTGATEWAY_RUNNER_POOL", "env"),
    ]
    .into_iter()
    .collect();
    let flags = Overrides::default()
        .number("server.port", 3)
        .flag("runner.enabled", false);
    let loaded = load(Inputs {
        config_file: None,
        env: &env,
        flags: &flags,
    })
    .expect("valid");
    assert_eq!(
        loaded.file.as_deref(),
        Some(dir.path().join("gateway.toml").as_path())
    );
    let config = loaded.config;
    assert_eq!(
        (
            config.server.port,
            config.runner.slots,
            config.runner.pool.as_str()
        ),
        (3, 1, "env")
    );
    assert!(!config.runner.enabled);
    assert!(config.auth.allowed_origins.is_empty());
}

#[test]
fn the_data_directory_of_a_flag_names_the_file() {
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::write(dir.path().join("gateway.toml"), "[runner]\nslots = 7\n").expect("write");
    let env: EnvSource = [("ABSTRACTGATEWAY_DATA_DIR", "/nonexistent/data")]
        .into_iter()
        .collect();
    let flags = Overrides::default().text("data.dir", dir.path().to_string_lossy());
    let loaded = load(Inputs {
        config_file: None,
        env: &env,
        flags: &flags,
    })
    .expect("valid");
    assert_eq!(loaded.config.runner.slots, 7);
    assert_eq!(loaded.config.data.dir, dir.path());
}

#[test]
fn a_named_file_must_exist() {
    let message = error(&[("ABSTRACTGATEWAY_CONFIG", "/nonexistent/gateway.toml")]);
    assert_eq!(
        message,
        "cannot read configuration file /nonexistent/gateway.toml"
    );
}

#[test]
fn secrets_from_files() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let secret = dir.path().join("secret");
    fs::write(&secret, "from-file\n").expect("write");
    let toml = dir.path().join("gateway.toml");
    fs::write(&toml, "[auth]\ntoken = \"from-toml\"\n").expect("write");
    let (secret, toml) = (
        secret.to_string_lossy().into_owned(),
        toml.to_string_lossy().into_owned(),
    );

    // A file in a stronger layer beats an inline value in a weaker one.
    let pairs = [
        ("ABSTRACTGATEWAY_CONFIG", toml.as_str()),
        ("ABSTRACTGATEWAY_AUTH_TOKEN_FILE", secret.as_str()),
        ("OPENAI_API_KEY_FILE", secret.as_str()),
    ];
    let config = config(&pairs);
    let token = config
        .auth
        .token
        .as_ref()
        .map(|token| token.expose_secret().to_owned());
    assert_eq!(token.as_deref(), Some("from-file"));
    let key = config
        .providers
        .secret("OPENAI_API_KEY")
        .map(|key| key.expose_secret().to_owned());
    assert_eq!(key.as_deref(), Some("from-file"));

    let twice = error(&[
        ("ABSTRACTGATEWAY_AUTH_TOKEN_FILE", &secret),
        ("ABSTRACTGATEWAY_AUTH_TOKEN", CANARY),
    ]);
    assert_eq!(
        twice,
        "auth.token and auth.token_file are both set, keep one of them"
    );
    let twice = error(&[("VLLM_API_KEY_FILE", &secret), ("VLLM_API_KEY", CANARY)]);
    assert_eq!(
        twice,
        "VLLM_API_KEY and VLLM_API_KEY_FILE are both set, keep one of them"
    );
    let missing = error(&[("ABSTRACTGATEWAY_NATS_URL_FILE", "/nonexistent/url")]);
    assert_eq!(missing, "messaging.nats_url_file: cannot read /nonexistent/url");
}

#[test]
fn files_that_the_gateway_creates_are_not_read_here() {
    let config = config(&[("ABSTRACTGATEWAY_SESSION_SECRET_FILE", "/nonexistent/secret")]);
    assert!(config.sessions.secret.is_none());
    assert_eq!(config.session_secret_file(), Path::new("/nonexistent/secret"));
}

#[test]
fn refusals_name_the_key() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("ABSTRACTGATEWAY_WORKFLOW_SOURCE", "visualflow")],
            "workflows.source: must be bundle",
        ),
        (
            &[("ABSTRACTGATEWAY_DB_PATH", "/elsewhere/g.sqlite3")],
            "store.db_path: must lie under the data directory /nonexistent/data",
        ),
        (
            &[("ABSTRACTGATEWAY_DB_PATH", "/nonexistent/data/../g.sqlite3")],
            "store.db_path: must lie under the data directory /nonexistent/data",
        ),
        (
            &[("ABSTRACTGATEWAY_STORE_BACKEND", "postgres")],
            "store.database_url: is needed by store.backend = postgres (ABSTRACTGATEWAY_DATABASE_URL)",
        ),
        (
            &[("ABSTRACTGATEWAY_DATABASE_URL", "mysql://u:canary-b41f@h/d")],
            "store.database_url: must start with postgres:// or postgresql://",
        ),
        (
            &[("ABSTRACTGATEWAY_STORE_BACKEND", "mongo")],
            "store.backend: enum StoreBackend does not have variant constructor mongo",
        ),
        (
            &[
                ("ABSTRACTGATEWAY_S3_BUCKET", "a/b"),
                ("ABSTRACTGATEWAY_S3_ENDPOINT", "objects:9000"),
                ("ABSTRACTGATEWAY_S3_SECRET_ACCESS_KEY", CANARY),
            ],
            "s3.bucket: must be the name of a bucket; s3.endpoint: must start with http:// or https://; \
             s3.access_key_id: and s3.secret_access_key belong together",
        ),
        (
            &[("ABSTRACTGATEWAY_RUNNER_POOL", "GPU!")],
            "runner.pool: must be 1 to 32 of a-z, 0-9 and -",
        ),
        (
            &[
                ("ABSTRACTGATEWAY_RUNNER_POOL", "x."),
                ("ABSTRACTGATEWAY_SESSION_HEADER", "a b"),
            ],
            "runner.pool: must be 1 to 32 of a-z, 0-9 and -; sessions.header: must be an HTTP token",
        ),
        (
            &[("ABSTRACTGATEWAY_METRICS_ADDR", "here")],
            "telemetry.metrics_addr: must be an IP address",
        ),
    ];
    for (pairs, expected) in cases {
        assert_eq!(&error(pairs), expected, "{pairs:?}");
    }
}

#[test]
fn the_file_store_is_answered_with_the_migration() {
    let message = error(&[("ABSTRACTGATEWAY_STORE_BACKEND", "File")]);
    assert_eq!(
        message,
        "store.backend: the `file` store is not served; move the folder over once with `abstractgateway migrate \
         --from file /nonexistent/data --data-dir /nonexistent/data --apply` (without --apply it only says what it \
         would do), then set ABSTRACTGATEWAY_STORE_BACKEND=sqlite"
    );
}

#[test]
fn unknown_keys_and_wrong_types_in_the_file() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("gateway.toml");
    let cases = [
        (
            "[auth]\nprotect_reed = true\n",
            "auth.protect_reed: unknown field `protect_reed`",
        ),
        ("[nonsense]\nx = 1\n", "nonsense: unknown field `nonsense`"),
        (
            "[auth]\nprotect_read = \"canary-b41f\"\n",
            "auth.protect_read: expected a boolean, found a string",
        ),
        ("[runner]\nslots = [1]\n", "runner.slots: expected "),
        (
            "[providers]\nOPENAI_KEY = \"canary-b41f\"\n",
            "providers: unknown provider variable `OPENAI_KEY`",
        ),
    ];
    for (text, expected) in cases {
        fs::write(&path, text).expect("write");
        let env = EnvSource::default();
        let result = load(Inputs {
            config_file: Some(&path),
            env: &env,
            flags: &Overrides::default(),
        });
        let message = result.expect_err("refused").to_string();
        assert!(message.starts_with(expected), "{message}");
        assert!(!message.contains(CANARY), "{message}");
    }
}

#[test]
fn values_out_of_range_are_moved_and_reported() {
    let loaded = from_env(&[
        ("ABSTRACTGATEWAY_SESSION_TTL_S", "5"),
        ("ABSTRACTGATEWAY_MAX_SESSIONS", "99999"),
        ("ABSTRACTGATEWAY_AUDIT_LOG_ROTATIONS", "201"),
        ("ABSTRACTGATEWAY_MAX_SSE", "0"),
        ("ABSTRACTGATEWAY_MAX_CONCURRENCY", "lots"),
        ("ABSTRACTGATEWAY_MAX_ATTACHMENT_BYTES", "0"),
    ])
    .expect("valid");
    let config = loaded.config;
    assert_eq!(
        (config.sessions.ttl_s, config.sessions.max, config.audit.rotations),
        (60, 10_000, 200)
    );
    assert_eq!((config.limits.max_sse, config.limits.max_concurrency), (1, 1_024));
    assert_eq!(
        (
            config.limits.max_attachment_bytes,
            config.limits.attachment_bytes()
        ),
        (None, 26_214_400)
    );
    assert_eq!(
        loaded.warnings,
        [
            "ABSTRACTGATEWAY_MAX_CONCURRENCY: the value cannot be read and is ignored",
            "sessions.ttl_s: 5 is out of range, 60 is used",
            "sessions.max: 99999 is out of range, 10000 is used",
            "audit.rotations: 201 is out of range, 200 is used",
        ]
    );
}

#[test]
fn the_first_name_that_is_set_counts() {
    let first = config(&[
        ("ABSTRACTGATEWAY_POLL_S", "1"),
        ("ABSTRACTFLOW_GATEWAY_POLL_S", "2"),
    ]);
    assert!((first.runner.poll_s - 1.0).abs() < f64::EPSILON);
    // An unreadable value falls back to the default, not to the older name.
    let default = config(&[
        ("ABSTRACTGATEWAY_POLL_S", "x"),
        ("ABSTRACTFLOW_GATEWAY_POLL_S", "2"),
    ]);
    assert!((default.runner.poll_s - 0.25).abs() < f64::EPSILON);
}

#[test]
fn the_schema_knows_every_variable() {
    let schema = Config::schema();
    let sections = schema
        .pointer("/properties")
        .and_then(Value::as_object)
        .expect("sections");
    for variable in env_map::VARIABLES {
        let (section, name) = variable.key.split_once('.').expect("dotted");
        let reference = sections[section]["$ref"]
            .as_str()
            .expect("reference")
            .trim_start_matches('#');
        let properties = schema
            .pointer(&format!("{reference}/properties"))
            .expect("properties");
        assert!(properties.get(name).is_some(), "{}", variable.key);
        if variable.kind == env_map::Kind::Secret {
            assert!(
                properties.get(format!("{name}_file")).is_some(),
                "{}",
                variable.key
            );
        }
    }
    assert_eq!(schema["additionalProperties"], json!(false));
}
