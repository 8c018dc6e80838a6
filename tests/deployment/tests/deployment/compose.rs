//! `docker-compose.yml` and `.env.example`.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};

use crate::{is_variable, read, root, yaml};

/// Containers whose image cannot start as another user.
const STARTS_AS_ROOT: &[&str] = &["objects", "proxy"];
/// Users of these are that of their image: not root.
const IMAGE_USER: &[&str] = &[
    "gateway",
    "api-1",
    "api-2",
    "runner-1",
    "runner-2",
    "runner-gpu",
    "migrate",
];

fn services() -> Map<String, Value> {
    yaml("docker-compose.yml")["services"]
        .as_object()
        .expect("services")
        .clone()
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn is_ours(service: &Value) -> bool {
    service["image"]
        .as_str()
        .is_some_and(|image| image.starts_with("abstractgateway:"))
}

#[test]
fn profiles_have_their_services() {
    let services = services();
    let of = |profile: &str| -> BTreeSet<String> {
        let members = services
            .iter()
            .filter(|(_, service)| texts(&service["profiles"]) == [profile]);
        members.map(|(name, _)| name.clone()).collect()
    };
    let set = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(of("embedded"), set(&["gateway"]));
    assert_eq!(of("demo"), set(&["model"]));
    assert_eq!(
        of("observability"),
        set(&["collector", "tempo", "prometheus", "grafana"])
    );
    let cluster = set(&[
        "api-1",
        "api-2",
        "bucket",
        "migrate",
        "nats",
        "objects",
        "postgres",
        "proxy",
        "redis",
        "runner-1",
        "runner-2",
        "runner-gpu",
    ]);
    assert_eq!(of("cluster"), cluster);
    assert_eq!(services.len(), 18, "every service belongs to one profile");
}

#[test]
fn containers_are_confined() {
    for (name, service) in services() {
        assert_eq!(service["read_only"], true, "{name}: root file system");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}: capabilities");
        assert_eq!(
            texts(&service["security_opt"]),
            ["no-new-privileges:true"],
            "{name}"
        );
        let limits = &service["deploy"]["resources"]["limits"];
        assert!(
            limits["cpus"].is_string() && limits["memory"].is_string(),
            "{name}: limits"
        );
        let user = service["user"].as_str();
        let exempt = STARTS_AS_ROOT.contains(&name.as_str()) || IMAGE_USER.contains(&name.as_str());
        assert!(
            exempt != user.is_some_and(|user| !user.starts_with("0") && user.contains(':')),
            "{name}: user {user:?}"
        );
        assert_eq!(IMAGE_USER.contains(&name.as_str()), is_ours(&service), "{name}");
    }
}

/// The root file system cannot be written: what our processes write has a place, in memory only where it is little.
#[test]
fn what_is_written_has_a_place() {
    for (name, service) in services().iter().filter(|(_, service)| is_ours(service)) {
        let memory = texts(&service["tmpfs"]);
        let places: Vec<&str> = memory
            .iter()
            .filter_map(|place| place.split(':').next())
            .collect();
        let volumes = texts(&service["volumes"]);
        let volume = |path: &str| {
            volumes
                .iter()
                .any(|volume| volume.split(':').nth(1) == Some(path))
        };
        assert!(places.contains(&"/tmp"), "{name}: /tmp");
        assert!(places.contains(&"/data") != volume("/data"), "{name}: /data");
        for place in &memory {
            for part in ["uid=10001", "gid=10001", "mode=0700", "size="] {
                assert!(place.contains(part), "{name}: {part} of {place}");
            }
        }
        // Uploads on their way lie in the data directory.
        let serves = name == "gateway" || name.starts_with("api-");
        assert!(!serves || volume("/data"), "{name}: uploads would lie in memory");
    }
}

#[test]
fn images_are_pinned() {
    // At least a minor version; a digest is better and welcome.
    let pinned = Regex::new(
        r"^[a-z0-9./-]+:(v?\d+\.\d+[\w.-]*|\$\{GATEWAY_VERSION:-\d+\.\d+\.\d+\})(@sha256:[0-9a-f]{64})?$",
    )
    .expect("pattern");
    for (name, service) in services() {
        let image = service["image"].as_str().expect("image");
        assert!(pinned.is_match(image), "{name}: {image}");
        assert!(!image.contains("latest"), "{name}");
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(read(".env.example").contains(&format!("GATEWAY_VERSION={version}\n")));
    assert!(read("docker-compose.yml").contains(&format!("${{GATEWAY_VERSION:-{version}}}")));
}

#[test]
fn everybody_is_asked_how_he_is() {
    // One-shots end, and two images have nothing to ask with.
    let unasked = ["migrate", "bucket", "collector", "tempo"];
    for (name, service) in services() {
        let check = &service["healthcheck"];
        if unasked.contains(&name.as_str()) {
            assert_eq!(check["disable"], true, "{name}");
            continue;
        }
        assert!(texts(&check["test"]).len() > 1, "{name}");
        assert!(
            check["interval"].is_string() && check["timeout"].is_string(),
            "{name}"
        );
        if is_ours(&service) {
            assert_eq!(texts(&check["test"])[2], "healthcheck", "{name}");
        }
    }
}

#[test]
fn starts_wait_for_what_they_need() {
    let services = services();
    for (name, service) in &services {
        let Some(needed) = service["depends_on"].as_object() else {
            continue;
        };
        for (other, how) in needed {
            let target = services
                .get(other)
                .unwrap_or_else(|| panic!("{name} needs {other}"));
            assert_eq!(
                target["profiles"], service["profiles"],
                "{name} needs {other} of another profile"
            );
            let once = target["restart"] == "no";
            let asked = target["healthcheck"]["disable"] != true;
            let expected = match (once, asked) {
                (true, _) => "service_completed_successfully",
                (false, true) => "service_healthy",
                (false, false) => "service_started",
            };
            assert_eq!(how["condition"], expected, "{name} needs {other}");
        }
    }
    for name in ["api-1", "api-2", "runner-1", "runner-2", "runner-gpu"] {
        assert!(services[name]["depends_on"]["migrate"].is_object(), "{name}");
    }
    for name in ["postgres", "bucket"] {
        assert!(services["migrate"]["depends_on"][name].is_object(), "{name}");
    }
}

#[test]
fn variables_exist() {
    for (name, service) in services() {
        let Some(environment) = service["environment"].as_object() else {
            continue;
        };
        for (variable, value) in environment {
            assert!(value.is_string(), "{name}: {variable} is quoted");
            if is_ours(&service) {
                assert!(is_variable(variable), "{name}: {variable}");
            }
        }
    }
    // What people may put into .env is used, and what is used is explained there.
    let used: BTreeSet<String> = Regex::new(r"\$\{([A-Z0-9_]+)")
        .expect("pattern")
        .captures_iter(&read("docker-compose.yml"))
        .map(|found| found[1].to_owned())
        .collect();
    let explained: BTreeSet<String> = read(".env.example")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(used, explained);
}

#[test]
fn secrets_are_files() {
    let compose = yaml("docker-compose.yml");
    let known = compose["secrets"].as_object().expect("secrets");
    for (name, secret) in known {
        let file = secret["file"].as_str().expect("a file");
        assert!(file.starts_with("./deploy/secrets/"), "{name}");
    }
    let careful = Regex::new(r"(?i)(password|secret|token|_key|_keys|_url|dsn)$").expect("pattern");
    let path = Regex::new(r"/run/secrets/[a-z0-9_]+").expect("pattern");
    let mut used = BTreeSet::new();
    for (name, service) in services() {
        let mounted: Vec<String> = service["secrets"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|secret| {
                let source = secret["source"].as_str().or(secret.as_str()).expect("a secret");
                assert!(known.contains_key(source), "{name}: {source}");
                used.insert(source.to_owned());
                let target = secret["target"].as_str().unwrap_or(source);
                format!("/run/secrets/{target}")
            })
            .collect();
        let text = service.to_string();
        for found in path.find_iter(&text) {
            assert!(
                mounted.iter().any(|path| path == found.as_str()),
                "{name}: {}",
                found.as_str()
            );
        }
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let is_address = matches!(variable.as_str(), "OPENAI_BASE_URL");
            let by_file = variable.ends_with("_FILE") || variable.ends_with("__FILE");
            assert!(
                !careful.is_match(variable) || is_address || by_file,
                "{name}: {variable} is a secret in the environment"
            );
            if by_file {
                let path = value.as_str().expect("a path");
                assert!(
                    mounted.iter().any(|mounted| mounted == path),
                    "{name}: {variable} = {path}"
                );
            }
        }
    }
    let unused: Vec<&String> = known.keys().filter(|name| !used.contains(*name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn mounts_exist() {
    let compose = yaml("docker-compose.yml");
    for (name, service) in services() {
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().expect("a source");
            match source.strip_prefix("./") {
                Some(path) => {
                    assert!(root().join(path).exists(), "{name}: {path}");
                    assert!(volume.ends_with(":ro"), "{name}: {path} is not written");
                }
                None => assert!(compose["volumes"].get(source).is_some(), "{name}: {source}"),
            }
        }
        for network in texts(&service["networks"]) {
            assert!(compose["networks"].get(&network).is_some(), "{name}: {network}");
        }
    }
    assert_eq!(compose["networks"]["internal"]["internal"], true);
}

#[test]
fn the_cluster_is_one() {
    let services = services();
    let pool = |name: &str| texts(&services[name]["command"])[2].clone();
    assert_eq!(
        [pool("runner-1"), pool("runner-2"), pool("runner-gpu")],
        ["default", "default", "gpu"]
    );
    for name in ["api-1", "api-2"] {
        assert!(
            texts(&services[name]["command"]).contains(&"--no-runner".to_owned()),
            "{name}"
        );
        assert_eq!(services[name]["environment"]["ABSTRACTGATEWAY_TRUST_PROXY"], "1");
    }
    // Each role has its own user of the database (docs/POSTGRES.md).
    for (name, user) in [
        ("api-1", "api"),
        ("api-2", "api"),
        ("runner-gpu", "engine"),
        ("migrate", "owner"),
    ] {
        let secrets = services[name]["secrets"].as_array().expect("secrets");
        let url = secrets.iter().find(|secret| secret["target"] == "database_url");
        let source = url.and_then(|secret| secret["source"].as_str());
        assert_eq!(source, Some(format!("database_url_{user}").as_str()), "{name}");
    }
    // Whatever a node needs to understand what another one wrote.
    for key in [
        "ABSTRACTGATEWAY_DATABASE_URL_FILE",
        "ABSTRACTGATEWAY_ENCRYPTION_KEYS_FILE",
        "ABSTRACTGATEWAY_S3_BUCKET",
        "ABSTRACTGATEWAY_S3_ENDPOINT",
        "ABSTRACTGATEWAY_WORKSPACES_ROOT",
    ] {
        let of: BTreeSet<String> = services
            .values()
            .filter(|service| is_ours(service) && texts(&service["profiles"]) == ["cluster"])
            .map(|service| service["environment"][key].to_string())
            .collect();
        assert_eq!(of.len(), 1, "{key}: {of:?}");
        assert_ne!(of.first().map(String::as_str), Some("null"), "{key}");
    }
    let proxy = read("deploy/haproxy/haproxy.cfg");
    for api in ["api-1", "api-2"] {
        assert!(proxy.contains(&format!("server {api} {api}:8080")));
    }
    // A heartbeat comes every five seconds; whoever is silent for longer than two of them is gone.
    let timeout = Regex::new(r"(?m)^\s*timeout (server|client) (\d+)s$").expect("pattern");
    let limits: Vec<u64> = timeout
        .captures_iter(&proxy)
        .filter_map(|found| found[2].parse().ok())
        .collect();
    assert!(
        limits.len() == 2 && limits.iter().all(|limit| *limit > 10),
        "{limits:?}"
    );
    // A picture or a video that a client waits for says nothing until it is there.
    assert!(proxy.contains("timeout server 900s"));
    assert!(!proxy.contains("compression"), "streams are not compressed");
}
