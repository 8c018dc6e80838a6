//! `migrate`, and what the other commands say to a database that it has not brought up to date.

use std::{
    path::Path,
    process::{Command, Output},
};

use ag_testkit::ScratchPostgres;

fn gateway(folder: &Path, url: Option<&str>, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abstractgateway"));
    command
        .env_clear()
        .arg("--data-dir")
        .arg(folder)
        .args(arguments)
        .current_dir(folder);
    if let Some(url) = url {
        command.env("ABSTRACTGATEWAY_DATABASE_URL", url);
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code(), text)
}

#[tokio::test]
async fn an_unknown_schema_is_refused_with_the_command_to_run() {
    let Some(server) = ScratchPostgres::shared() else {
        return;
    };
    let folder = tempfile::tempdir().expect("folder");
    let database = server.database().await;
    let url = server.url(&database);
    let run = |arguments: &[&str]| gateway(folder.path(), Some(&url), arguments);
    let refused = |state: &str| {
        for arguments in [&["serve", "--no-runner", "--port", "0"][..], &["runner"]] {
            let (code, text) = run(arguments);
            assert_eq!(code, Some(1), "{arguments:?}: {text}");
            assert!(
                text.contains(state) && text.contains("run `abstractgateway migrate`"),
                "{text}"
            );
        }
    };
    refused("the database is empty");
    let (code, text) = run(&["migrate", "--check"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("to apply   0001_initial"), "{text}");

    ag_store_postgres::migrate_to(&url.clone().into(), 1)
        .await
        .expect("an older schema");
    refused("schema version 1");

    let (code, text) = run(&["migrate"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("applied   0003_row_security") && !text.contains("0001"),
        "{text}"
    );
    let (code, text) = run(&["migrate", "--check"]);
    assert_eq!((code, text.as_str()), (Some(0), "the schema is up to date\n"));
    let (code, text) = run(&["migrate"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("applied") && !text.contains("protected"), "{text}");
}

#[test]
fn the_embedded_store_is_checked_as_well() {
    let folder = tempfile::tempdir().expect("folder");
    let (code, text) = gateway(folder.path(), None, &["migrate", "--check"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("to apply"), "{text}");
    assert!(
        !folder.path().join("gateway.sqlite3").exists(),
        "a check made a database"
    );
    let (code, text) = gateway(folder.path(), None, &["migrate"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = gateway(folder.path(), None, &["migrate", "--check"]);
    assert_eq!((code, text.as_str()), (Some(0), "the schema is up to date\n"));
}
