use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::{manifest::Manifest, status::ErrorStatus};

/// (id, version, entrypoints, default) — every bundle also has a flow `hidden`.
fn index(bundles: &[(&str, &str, &[&str], Option<&str>)]) -> BundleIndex {
    let mut index = BundleIndex::default();
    for (id, version, entrypoints, default) in bundles {
        let mut flows: serde_json::Map<_, _> = entrypoints
            .iter()
            .map(|flow| ((*flow).to_owned(), json!(format!("flows/{flow}.json"))))
            .collect();
        flows.insert("hidden".into(), json!("flows/hidden.json"));
        let entrypoints: Vec<_> = entrypoints
            .iter()
            .map(|flow| json!({"flow_id": flow, "name": format!("{flow} Name")}))
            .collect();
        let manifest = json!({"bundle_id": id, "bundle_version": version, "entrypoints": entrypoints,
            "default_entrypoint": default, "flows": flows});
        let manifest = Arc::new(Manifest::from_value(&manifest).unwrap());
        index.insert(
            id,
            IndexedVersion {
                manifest,
                sha256: String::new(),
            },
        );
    }
    index
}

fn one() -> BundleIndex {
    index(&[("b", "1.0.0", &["main"], None)])
}

fn many() -> BundleIndex {
    index(&[
        ("b", "1.0.0", &["main"], None),
        ("b", "1.10.0", &["main", "other"], None),
        ("b", "draft.1", &["main"], None),
        ("c", "2.0.0", &["x", "y"], Some("y")),
        ("d", "draft.7", &["main"], None),
        ("__catalog__v2__k", "1.0.0", &["main"], None),
    ])
}

fn start<'a>(bundle_id: &'a str, bundle_version: &'a str, flow_id: &'a str) -> StartRequest<'a> {
    StartRequest {
        bundle_id: Some(bundle_id),
        bundle_version: Some(bundle_version),
        flow_id: Some(flow_id),
        ..StartRequest::default()
    }
}

fn shown(result: Result<Target, SelectError>) -> Result<String, (u16, String)> {
    match result {
        Ok(Target::Flow(flow)) => Ok(flow.workflow_id()),
        Ok(Target::Dynamic(id)) => Ok(format!("dynamic {id}")),
        Err(error) => Err((error.status().http_status(), error.start_detail())),
    }
}

#[test]
fn starts_that_resolve() {
    let table = [
        (one(), start("", "", "main"), "b@1.0.0:main"),
        (one(), start("", "", "hidden"), "b@1.0.0:hidden"),
        (one(), start("b", "", ""), "b@1.0.0:main"),
        (one(), start("", "1.0.0", "main"), "b@1.0.0:main"),
        (one(), start("", "", "scheduled:1"), "dynamic scheduled:1"),
        (one(), start("", "", ":x"), "dynamic :x"),
        (many(), start("b", "", "main"), "b@1.10.0:main"),
        (many(), start("b", "1.0.0", ""), "b@1.0.0:main"),
        (many(), start("b@1.0.0", "1.0.0", ""), "b@1.0.0:main"),
        (many(), start("", "", "b:main"), "b@1.10.0:main"),
        (many(), start("", "", "b@1.0.0:main"), "b@1.0.0:main"),
        (many(), start("", "1.0.0", "b:main"), "b@1.0.0:main"),
        (many(), start("b@1.0.0", "", "b:main"), "b@1.0.0:main"),
        (many(), start("c", "", ""), "c@2.0.0:y"),
        (many(), start(" c ", " 2.0.0 ", " x "), "c@2.0.0:x"),
    ];
    for (index, request, expected) in table {
        require_target(&request).unwrap();
        assert_eq!(
            shown(select_start(&index, &request)).as_deref(),
            Ok(expected),
            "{request:?}"
        );
    }
}

#[test]
fn starts_that_are_refused() {
    let table = [
        (
            many(),
            start("b", "", ""),
            400,
            "Failed to start run: Bundle 'b@1.10.0' has 2 entrypoints; specify flow_id to select which entrypoint to start (or set manifest.default_entrypoint)",
        ),
        (
            many(),
            start("", "", "main"),
            400,
            "Failed to start run: bundle_id is required when multiple bundles are loaded (or pass flow_id as 'bundle:flow')",
        ),
        (
            many(),
            start("", "", ""),
            400,
            "Failed to start run: flow_id is required when multiple bundles are loaded; provide bundle_id (or pass flow_id as 'bundle:flow')",
        ),
        (
            many(),
            start("b@1.0.0", "2.0.0", "main"),
            400,
            "Failed to start run: bundle_version conflicts with bundle_id (bundle_id already includes '@version')",
        ),
        (
            many(),
            start("b", "", "x:y"),
            400,
            "Failed to start run: flow_id 'x:y' is already namespaced, but bundle_id/bundle_version was also provided",
        ),
        (
            many(),
            start("", "1", "x:y"),
            400,
            "Failed to start run: flow_id 'x:y' is already namespaced, but bundle_id/bundle_version was also provided",
        ),
        (
            many(),
            start("c", "", "b:main"),
            400,
            "flow_id bundle prefix does not match bundle_id",
        ),
        (
            many(),
            start("b", "1.10.0", "b@1.0.0:main"),
            400,
            "flow_id version does not match bundle_version",
        ),
        (many(), start("nope", "", "main"), 404, "Bundle 'nope' not found"),
        (many(), start("b", "9", "main"), 404, "Bundle 'b@9' not found"),
        (
            many(),
            start("b", "1.0.0", "ghost"),
            404,
            "Workflow 'b@1.0.0:ghost' not found",
        ),
        (
            many(),
            start("", "", "b@1.0.0:ghost"),
            404,
            "Workflow 'b@1.0.0:ghost' not found",
        ),
        (
            many(),
            start("b", "draft.1", "main"),
            400,
            "draft bundle versions require run_lifecycle.purpose='draft_test'",
        ),
        (
            many(),
            start("d", "", "main"),
            400,
            "draft bundle versions require run_lifecycle.purpose='draft_test'",
        ),
        (
            many(),
            start("b", "Draft.unknown", "main"),
            400,
            "draft bundle versions require run_lifecycle.purpose='draft_test'",
        ),
        (
            many(),
            start("__catalog__v2__k", "", "main"),
            403,
            "Catalog workflows must be started through registry_scope='tenant_catalog'",
        ),
        (
            many(),
            start("", "", "__catalog__v2__k@1.0.0:main"),
            403,
            "Catalog workflows must be started through registry_scope='tenant_catalog'",
        ),
    ];
    for (index, request, status, detail) in table {
        assert_eq!(
            shown(select_start(&index, &request)),
            Err((status, detail.to_owned())),
            "{request:?}"
        );
    }
    assert_eq!(
        require_target(&start(" ", "1", "")).unwrap_err().start_detail(),
        "flow_id is required (or provide bundle_id to start a bundle entrypoint)"
    );
    let draft = StartRequest {
        draft_test: true,
        ..start("b", "draft.1", "main")
    };
    assert_eq!(
        shown(select_start(&many(), &draft)).as_deref(),
        Ok("b@draft.1:main")
    );
    let catalog = StartRequest {
        catalog: true,
        ..start("__catalog__v2__k", "1.0.0", "main")
    };
    assert_eq!(
        shown(select_start(&many(), &catalog)).as_deref(),
        Ok("__catalog__v2__k@1.0.0:main")
    );
}

#[test]
fn schedules() {
    let schedule = |request| {
        select_schedule(&many(), &request)
            .map(|flow| flow.workflow_id())
            .map_err(|e| (e.status().http_status(), e.to_string()))
    };
    assert_eq!(schedule(start("b", "", "main")), Ok("b@1.10.0:main".into()));
    assert_eq!(
        schedule(start("b", "draft.1", "main")),
        Ok("b@draft.1:main".into())
    );
    for request in [start("b", "", ""), start("", "", "b:main")] {
        assert_eq!(
            schedule(request),
            Err((400, "bundle_id and flow_id are required".into()))
        );
    }
    assert_eq!(
        schedule(start("b", "", "ghost")),
        Err((404, "Target workflow 'b@1.10.0:ghost' not found".into()))
    );
    assert_eq!(
        schedule(start("b@1.0.0", "2", "main")).unwrap_err().1,
        SelectError::VersionConflict.to_string()
    );
}

#[test]
fn bundle_operations() {
    let index = many();
    let flow = |bundle, version: &str, flow| {
        select_flow(&index, bundle, Some(version), flow)
            .map(|found| found.workflow_id())
            .map_err(|error| (error.status().http_status(), error.to_string()))
    };
    let table = [
        (("b", "", "main"), Ok("b@1.10.0:main")),
        (("b@1.0.0", "", "main"), Ok("b@1.0.0:main")),
        (("b", "1.0.0", "b:main"), Ok("b@1.0.0:main")),
        (("b", "", "b@1.0.0:hidden"), Ok("b@1.0.0:hidden")),
        (
            ("b@1.0.0", "2", "main"),
            Err((
                400,
                "bundle_version conflicts with bundle_id (bundle_id already includes '@version')",
            )),
        ),
        (
            ("b", "", "c:x"),
            Err((400, "flow_id bundle prefix does not match bundle_id")),
        ),
        (
            ("b", "1.10.0", "b@1.0.0:main"),
            Err((400, "flow_id version does not match bundle_version")),
        ),
        (
            ("b@1.10.0", "", "b@1.0.0:main"),
            Err((400, "flow_id version does not match bundle_id")),
        ),
        (("b", "", "b:"), Err((400, "Invalid flow_id"))),
        (("b", "", ":main"), Err((400, "Invalid flow_id"))),
        (
            ("__catalog__v2__k", "", "main"),
            Err((
                403,
                "Catalog bundles must be accessed through /api/gateway/workflow-catalog",
            )),
        ),
        (("nope", "", "main"), Err((404, "Bundle 'nope' not found"))),
        (("b", "7", "main"), Err((404, "Bundle 'b@7' not found"))),
        (
            ("b", "1.0.0", "ghost"),
            Err((404, "Flow 'ghost' not found in bundle 'b@1.0.0'")),
        ),
    ];
    for ((bundle, version, id), expected) in table {
        let expected = expected
            .map(str::to_owned)
            .map_err(|(status, text)| (status, text.to_owned()));
        assert_eq!(flow(bundle, version, id), expected, "{bundle} {version} {id}");
    }
    assert_eq!(select_bundle(&index, "c", None).unwrap().bundle_ref(), "c@2.0.0");
    assert_eq!(
        select_bundle(&index, "nope", None).unwrap_err().status(),
        ErrorStatus::NotFound
    );
}

#[test]
fn removals_and_deprecations() {
    let index = many();
    let removal = |id, version| {
        select_removal(&index, id, version)
            .map(|found| found.bundle_ref())
            .map_err(|error| error.to_string())
    };
    assert_eq!(removal("b", None), Ok("b".into()));
    assert_eq!(removal("b@1.0.0", None), Ok("b@1.0.0".into()));
    assert_eq!(removal("b", Some("draft.1")), Ok("b@draft.1".into()));
    assert_eq!(
        removal("b@1.0.0", Some("2")),
        Err("bundle_id version does not match bundle_version".into())
    );
    assert_eq!(removal("b", Some("9")), Err("Bundle 'b@9' not found".into()));
    assert_eq!(removal("nope", None), Err("Bundle 'nope' not found".into()));

    let deprecation = |id, flow| select_deprecation(&index, id, flow).map_err(|error| error.to_string());
    assert_eq!(deprecation("b", None), Ok("*".into()));
    assert_eq!(deprecation("b", Some("other")), Ok("other".into()));
    assert_eq!(
        deprecation("b", Some("hidden")),
        Err("Entrypoint 'b:hidden' not found".into())
    );
    assert_eq!(
        deprecation("b@1.0.0", None),
        Err("Bundle 'b@1.0.0' not found".into())
    );
}

#[test]
fn inspections_and_stored_ids() {
    let index = many();
    let inspect = |id| shown(select_inspection(&index, id));
    assert_eq!(inspect("b:main").as_deref(), Ok("b@1.10.0:main"));
    assert_eq!(inspect("scheduled:77").as_deref(), Ok("dynamic scheduled:77"));
    assert_eq!(inspect("plain").as_deref(), Ok("dynamic plain"));
    assert_eq!(
        inspect("nope@1:main"),
        Err((404, "Bundle 'nope' not found".into()))
    );
    assert_eq!(
        inspect("b@1.0.0:ghost"),
        Err((404, "Flow 'ghost' not found in bundle 'b@1.0.0'".into()))
    );
    assert_eq!(inspect("__catalog__v2__k@1.0.0:main").unwrap_err().0, 403);
    assert_eq!(inspect(" ").unwrap_err(), (404, "Workflow ' ' not found".into()));

    let stored = |id| resolve_workflow_id(&index, id).map(|flow| flow.workflow_id());
    assert_eq!(stored("b@1.0.0:main").as_deref(), Some("b@1.0.0:main"));
    assert_eq!(stored("b:main").as_deref(), Some("b@1.10.0:main"));
    for unknown in ["b@9:main", "b:ghost", "scheduled:1", "x"] {
        assert_eq!(stored(unknown), None, "{unknown}");
    }
}

#[test]
fn typed_references() {
    let index = index(&[
        ("b", "1.0.0", &["main"], None),
        ("c", "2.0.0", &["main", "only"], Some("main")),
        ("d", "draft.1", &["try"], None),
    ]);
    let table = [
        ("b", Ok("b@1.0.0:main")),
        ("c@2.0.0", Ok("c@2.0.0:main")),
        ("c:ONLY name", Ok("c@2.0.0:only")),
        ("c:only", Ok("c@2.0.0:only")),
        ("Only Name", Ok("c@2.0.0:only")),
        ("d", Ok("d@draft.1:try")),
        (
            "MAIN",
            Err(
                "Workflow name 'MAIN' matches multiple bundles (b@1.0.0, c@2.0.0); use bundle_id[@version] instead",
            ),
        ),
        ("ghost", Err("Bundle 'ghost' not found")),
        ("c:ghost", Err("Flow 'ghost' not found in bundle 'c@2.0.0'")),
    ];
    for (reference, expected) in table {
        let found = select_by_name(&index, reference)
            .map(|flow| flow.workflow_id())
            .map_err(|e| e.to_string());
        assert_eq!(
            found,
            expected.map(str::to_owned).map_err(str::to_owned),
            "{reference}"
        );
    }
    assert_eq!(
        SelectError::NoVersions("b".into()).start_detail(),
        "Bundle 'b' has no versions loaded"
    );
}
