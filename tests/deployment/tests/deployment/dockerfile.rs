//! `deploy/Dockerfile`.

use crate::{is_variable, read, root};

/// Instructions with their arguments, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let text = read("deploy/Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name.to_uppercase(), rest.trim().to_owned()))
        .collect()
}

fn arguments<'a>(of: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let found = of.iter().filter(|(found, _)| found == name);
    found.map(|(_, rest)| rest.as_str()).collect()
}

#[test]
fn stages() {
    let all = instructions();
    let stages: Vec<&str> = arguments(&all, "FROM")
        .iter()
        .filter_map(|from| from.split(" AS ").nth(1))
        .collect();
    assert_eq!(stages, ["build", "gateway"]);
    for from in arguments(&all, "FROM") {
        let image = from.split(' ').next().expect("image");
        assert!(image.contains(':') && !image.ends_with(":latest"), "{image}");
    }
    for copy in arguments(&all, "COPY") {
        match copy.split(' ').find_map(|word| word.strip_prefix("--from=")) {
            Some(stage) => assert!(stages.contains(&stage), "{copy}"),
            None => {
                let words: Vec<&str> = copy.split(' ').filter(|word| !word.starts_with("--")).collect();
                for source in &words[..words.len() - 1] {
                    assert!(root().join(source).exists(), "{source}");
                }
            }
        }
    }
}

/// Every folder that the workspace's manifest names is in the image's context, and nothing hides it.
#[test]
fn the_build_sees_the_workspace() {
    let manifest = read("Cargo.toml");
    let members = manifest
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .expect("members")
        .0;
    let all = instructions();
    let copied: Vec<&str> = arguments(&all, "COPY")
        .into_iter()
        .filter(|copy| !copy.starts_with("--from"))
        .flat_map(|copy| copy.split(' '))
        .collect();
    let shown = read(".dockerignore");
    for member in members.split(',') {
        let folder = member.trim().trim_matches('"').split('/').next().expect("folder");
        if folder.is_empty() {
            continue;
        }
        assert!(copied.contains(&folder), "COPY {folder}");
        assert!(
            shown.contains(&format!("!{folder}\n")),
            ".dockerignore hides {folder}"
        );
    }
    assert!(copied.contains(&"migrations") && shown.contains("!migrations\n"));
}

#[test]
fn the_compiler_is_the_pinned_one() {
    let pinned = read("rust-toolchain.toml");
    let version = pinned
        .lines()
        .find_map(|line| line.strip_prefix("channel = \""))
        .expect("channel")
        .trim_end_matches('"');
    let all = instructions();
    assert_eq!(arguments(&all, "ARG")[0], format!("RUST_VERSION={version}"));
    assert!(read("Cargo.toml").contains("[profile.dist]"));
    let build = arguments(&all, "RUN").join(" ");
    assert!(build.contains("--locked") && build.contains("--profile dist"));
}

#[test]
fn what_runs() {
    let all = instructions();
    let last = all.iter().rposition(|(name, _)| name == "FROM").expect("a stage");
    let stage = &all[last..];
    assert_eq!(arguments(stage, "USER"), ["10001:10001"]);
    assert!(arguments(stage, "RUN").is_empty(), "there is no shell");
    let health = arguments(stage, "HEALTHCHECK");
    assert!(
        health.len() == 1 && health[0].contains("healthcheck\"]"),
        "{health:?}"
    );
    assert_eq!(
        arguments(stage, "ENTRYPOINT"),
        [r#"["/usr/local/bin/abstractgateway"]"#]
    );
    for variable in arguments(stage, "ENV").join(" ").split_whitespace() {
        let name = variable.split('=').next().expect("name");
        assert!(is_variable(name), "{name}");
    }
}
