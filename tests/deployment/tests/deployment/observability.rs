//! Dashboards, rules and scrapes name what exists.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

use crate::{read, root, yaml};

const DEFINITIONS: &str = "crates/telemetry/src/metrics/definitions.rs";

/// Metrics as the program defines them: name, whether it is a histogram, labels.
fn defined() -> BTreeMap<String, (bool, BTreeSet<String>)> {
    let source = read(DEFINITIONS);
    let definition =
        Regex::new(r#"(?s)(Counter|Gauge|Histogram)::new\(\s*"(gateway_[a-z0-9_]+)".*?\[([^\]]*)\]\);"#)
            .expect("pattern");
    let found: BTreeMap<_, _> = definition
        .captures_iter(&source)
        .map(|found| {
            let labels = found[3]
                .split(',')
                .map(|label| label.trim().trim_matches('"').to_owned())
                .filter(|label| !label.is_empty())
                .collect();
            (found[2].to_owned(), (&found[1] == "Histogram", labels))
        })
        .collect();
    assert_eq!(
        found.len(),
        source.matches("\"gateway_").count(),
        "every definition was read"
    );
    found
}

/// Checks the metrics of an expression and the labels it selects and groups by.
fn check(
    place: &str,
    expression: &str,
    defined: &BTreeMap<String, (bool, BTreeSet<String>)>,
) -> BTreeSet<String> {
    let name = Regex::new(r"gateway_[a-z0-9_]+").expect("pattern");
    // Those that Prometheus itself adds, and the bound of buckets.
    let mut labels: BTreeSet<String> = ["job", "instance", "le"].map(str::to_owned).into();
    let mut used = BTreeSet::new();
    for found in name.find_iter(expression) {
        let series = found.as_str();
        let stem = series.trim_end_matches("_bucket");
        let (histogram, own) = defined
            .get(stem)
            .unwrap_or_else(|| panic!("{place}: {series} does not exist"));
        assert_eq!(*histogram, series.ends_with("_bucket"), "{place}: {series}");
        labels.extend(own.iter().cloned());
        used.insert(stem.to_owned());
    }
    let selected = Regex::new(r#"([a-z_]+)\s*(?:=~|!=|!~|=)\s*""#).expect("pattern");
    let grouped = Regex::new(r"by \(([^)]*)\)").expect("pattern");
    let named = selected
        .captures_iter(expression)
        .map(|found| found[1].to_owned())
        .chain(grouped.captures_iter(expression).flat_map(|found| {
            let list = found[1].to_owned();
            list.split(',')
                .map(|label| label.trim().to_owned())
                .collect::<Vec<_>>()
        }));
    for label in named {
        assert!(labels.contains(&label), "{place}: label {label} in {expression}");
    }
    used
}

#[test]
fn dashboards_show_what_there_is() {
    let defined = defined();
    let mut shown = BTreeSet::new();
    let folder = root().join("deploy/observability/grafana/dashboards");
    for entry in std::fs::read_dir(folder).expect("dashboards") {
        let path = entry.expect("entry").path();
        let text = std::fs::read_to_string(&path).expect("readable");
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        assert!(dashboard["uid"].is_string() && dashboard["title"].is_string());
        let panels = dashboard["panels"].as_array().expect("panels");
        let mut ids = BTreeSet::new();
        for panel in panels {
            assert!(ids.insert(panel["id"].as_u64()), "ids are unique");
            for target in panel["targets"].as_array().into_iter().flatten() {
                let title = panel["title"].as_str().expect("title");
                let expression = target["expr"].as_str().expect("expression");
                let used = check(title, expression, &defined);
                assert!(!used.is_empty(), "{title}: {expression}");
                shown.extend(used);
            }
        }
    }
    let hidden: Vec<&String> = defined.keys().filter(|name| !shown.contains(*name)).collect();
    assert!(hidden.is_empty(), "on no dashboard: {hidden:?}");
}

#[test]
fn alerts_name_what_there_is() {
    let defined = defined();
    let rules = yaml("deploy/observability/alerts.yml");
    let mut names = BTreeSet::new();
    for group in rules["groups"].as_array().expect("groups") {
        for rule in group["rules"].as_array().expect("rules") {
            let name = rule["alert"].as_str().expect("name");
            assert!(names.insert(name.to_owned()), "{name} twice");
            check(name, rule["expr"].as_str().expect("expression"), &defined);
            let severity = rule["labels"]["severity"].as_str();
            assert!(matches!(severity, Some("page" | "ticket")), "{name}");
            assert!(rule["annotations"]["summary"].is_string(), "{name}");
        }
    }
    for tested in yaml("deploy/observability/alerts_test.yml")["tests"][0]["alert_rule_test"]
        .as_array()
        .expect("tests")
    {
        let name = tested["alertname"].as_str().expect("name");
        assert!(names.contains(name), "{name}");
    }
}

#[test]
fn every_process_is_scraped() {
    let compose = yaml("docker-compose.yml");
    let services = compose["services"].as_object().expect("services");
    let expected: BTreeSet<String> = services
        .iter()
        .filter(|(name, _)| {
            ["gateway", "api-", "runner-"]
                .iter()
                .any(|kind| name.starts_with(kind))
        })
        .map(|(name, _)| format!("{name}:9464"))
        .collect();
    let prometheus = yaml("deploy/observability/prometheus.yml");
    let scraped: BTreeSet<String> = prometheus["scrape_configs"]
        .as_array()
        .expect("jobs")
        .iter()
        .flat_map(|job| {
            job["static_configs"][0]["targets"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        })
        .filter_map(|target| target.as_str().map(str::to_owned))
        .collect();
    assert_eq!(scraped, expected);
}

#[test]
fn traces_find_their_way() {
    let collector = yaml("deploy/observability/collector.yml");
    for kind in ["receivers", "processors", "exporters"] {
        for used in collector["service"]["pipelines"]["traces"][kind]
            .as_array()
            .expect(kind)
        {
            let name = used.as_str().expect("name");
            assert!(collector[kind].get(name).is_some(), "{kind}: {name}");
        }
    }
    let receiver = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].as_str();
    assert_eq!(receiver, Some("0.0.0.0:4318"));
    assert!(read(".env.example").contains("http://collector:4318"));
    let tempo = yaml("deploy/observability/tempo.yml");
    let port = |text: &Value| {
        text.as_str()
            .and_then(|text| text.rsplit(':').next().map(str::to_owned))
    };
    assert_eq!(
        port(&collector["exporters"]["otlp"]["endpoint"]),
        port(&tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"])
    );
    let sources = yaml("deploy/observability/grafana/datasources.yml");
    let known: Vec<&str> = sources["datasources"]
        .as_array()
        .expect("sources")
        .iter()
        .filter_map(|source| source["uid"].as_str())
        .collect();
    let dashboard = read("deploy/observability/grafana/dashboards/gateway.json");
    let uid = Regex::new(r#""type": "prometheus",\s*"uid": "([^"]+)""#).expect("pattern");
    for found in uid.captures_iter(&dashboard) {
        assert!(known.contains(&&found[1]), "{}", &found[1]);
    }
}
