//! `abstractgateway gc` on a folder of the embedded store.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

/// SHA-256 of `abc`.
const ID: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn gc(data: &Path, arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_abstractgateway"))
        .env_clear()
        .arg("--data-dir")
        .arg(data)
        .arg("gc")
        .args(arguments)
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        run.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&run.stderr)
    );
    text
}

/// A blob that was put three days ago.
fn old_blob(data: &Path) -> PathBuf {
    let path = data.join("blobs/default/default/artifacts/blobs/ba").join(ID);
    fs::create_dir_all(path.parent().expect("folder")).expect("folder");
    fs::write(&path, "abc").expect("written");
    let file = File::options().write(true).open(&path).expect("opened");
    let age = Duration::from_secs(3 * 86_400);
    file.set_modified(SystemTime::now() - age).expect("own file");
    path
}

#[test]
fn unreferenced_bytes_are_retired() {
    let dir = tempfile::tempdir().expect("folder");
    let path = old_blob(dir.path());
    let dry = gc(dir.path(), &["--dry-run"]);
    assert!(
        dry.contains("dry run") && dry.contains("retired    1 (3 bytes)"),
        "{dry}"
    );
    assert!(path.exists());
    let real = gc(dir.path(), &[]);
    assert!(
        real.contains("retired    1 (3 bytes)") && real.contains("removed    0"),
        "{real}"
    );
    assert!(!path.exists());
    let again = gc(dir.path(), &[]);
    assert!(
        again.contains("retired    0") && again.contains("removed    0"),
        "{again}"
    );
    let retired = dir.path().join("blobs/default/default/artifacts/retired/ba");
    assert_eq!(
        fs::read_dir(retired).expect("folder").count(),
        1,
        "kept for a grace"
    );
}
