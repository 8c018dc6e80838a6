//! Rules of capability discovery §5.

use std::sync::Arc;

use ag_providers::{EndpointOrigin, ModelCatalogue, ProviderError, media::ModelInfo};
use ag_store::{Document, DocumentKind, Documents, PutMode};
use ag_types::{Clock, PlaneId, PlaneKey, SystemClock, TenantScope};
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::test_kit::{TestDirectory, World};

fn user_scope() -> TenantScope {
    TenantScope {
        plane: PlaneId(7),
        key: PlaneKey {
            tenant_id: "acme".into(),
            runtime_id: "zoë@x".into(),
        },
    }
}

fn row(answer: &Value, key: &str) -> Value {
    let rows = answer["routes"].as_array().expect("rows");
    rows.iter()
        .find(|row| row["key"] == key)
        .cloned()
        .expect("known key")
}

#[tokio::test]
async fn the_page_has_all_rows() {
    let world = World::new(vec![]);
    let routes = world.routes();
    let answer = routes.rows(&world.scope).await.expect("rows");
    assert_eq!(answer["routes"].as_array().map(Vec::len), Some(22));
    assert_eq!(
        (&answer["authority"], &answer["ok"]),
        (&json!("abstractcore.local"), &json!(true))
    );
    assert_eq!(answer.get("gateway_defaults"), None);
    let expected = json!({"key": "input.voice", "kind": "input", "modality": "voice", "label": "Voice input",
        "task": "speech_to_text", "source": "not_configured", "configured": false});
    assert_eq!(row(&answer, "input.voice"), expected);
}

#[tokio::test]
async fn output_text_is_input_text() {
    let world = World::new(vec![]);
    let routes = world.routes();
    let body = json!({"provider": "openai-compatible", "model": " gpt-4o-mini ", "base_url": "http://h/v1", "options": {"a": 1}});
    routes.set(&world.scope, "output.text", &body).await.expect("set");
    let answer = routes.rows(&world.scope).await.expect("rows");
    for key in ["input.text", "output.text"] {
        let row = row(&answer, key);
        assert_eq!(
            (&row["provider"], &row["model"]),
            (&json!("openai-compatible"), &json!("gpt-4o-mini"))
        );
        assert_eq!(row["source"], "abstractcore.capability_defaults");
        assert_eq!(row["options"], json!({"a": 1}));
    }
    assert_eq!(row(&answer, "output.text")["derived_from"], "input.text");
    assert_eq!(row(&answer, "input.text").get("read_only"), None);
    let route = routes.text_route(&world.scope).await;
    assert_eq!(
        route,
        Some(("openai-compatible".to_owned(), "gpt-4o-mini".to_owned()))
    );
    routes.clear(&world.scope, "output.text").await.expect("clear");
    assert_eq!(routes.text_route(&world.scope).await, None);
}

#[tokio::test]
async fn inputs_that_the_text_model_takes() {
    let world = World::new(vec![]);
    let routes = world.routes();
    routes
        .set(
            &world.scope,
            "input.image",
            &json!({"provider": "ollama", "model": "llava"}),
        )
        .await
        .expect("set");
    routes
        .set(
            &world.scope,
            "input.text",
            &json!({"provider": "openai", "model": "gpt-4o"}),
        )
        .await
        .expect("set");
    let answer = routes.rows(&world.scope).await.expect("rows");
    let image = row(&answer, "input.image");
    assert_eq!(
        (&image["model"], &image["covered_by"]),
        (&json!("gpt-4o"), &json!("input.text"))
    );
    assert_eq!(
        (&image["read_only"], image.get("overrideable")),
        (&json!(true), None)
    );
    let video = row(&answer, "input.video");
    assert_eq!(
        (&video["coverage_mode"], &video["overrideable"]),
        (&json!("video_frames"), &json!(true))
    );
    assert_eq!(
        row(&answer, "input.sound")["configured"],
        false,
        "the model hears nothing"
    );

    routes
        .set(
            &world.scope,
            "input.video",
            &json!({"provider": "p", "model": "m"}),
        )
        .await
        .expect("set");
    let answer = routes.rows(&world.scope).await.expect("rows");
    assert_eq!(
        row(&answer, "input.video")["model"],
        "m",
        "explicit rows win where they may"
    );

    routes
        .set(
            &world.scope,
            "input.text",
            &json!({"provider": "p", "model": "nobody-knows"}),
        )
        .await
        .expect("set");
    let answer = routes.rows(&world.scope).await.expect("rows");
    assert_eq!(row(&answer, "input.image")["model"], "llava");
}

#[tokio::test]
async fn unknown_keys_are_refused_with_the_contract_texts() {
    let world = World::new(vec![]);
    let routes = world.routes();
    let full = json!({"provider": "p"});
    for (key, body) in [
        ("foo.bar", &full),
        ("foo.bar.baz", &full),
        ("foo.bar", &json!({})),
    ] {
        let error = routes.set(&world.scope, key, body).await.expect_err("unknown");
        assert_eq!(error.to_string(), "Failed to set capability default foo.bar");
    }
    let error = routes
        .clear(&world.scope, "foo.bar.baz")
        .await
        .expect_err("unknown");
    assert_eq!(error.to_string(), "Failed to clear capability default foo.bar");
}

#[tokio::test]
async fn users_overlay_the_gateway() {
    let mut world = World::new(vec![]);
    world.levels = RouteLevels::Users;
    let (routes, root, user) = (world.routes(), TenantScope::root(), user_scope());
    routes
        .set(
            &root,
            "input.text",
            &json!({"provider": "openai", "model": "gpt-4o"}),
        )
        .await
        .expect("set");
    let answer = routes.rows(&user).await.expect("rows");
    assert_eq!(answer["authority"], "abstractcore.gateway_runtime");
    assert_eq!(
        (&answer["gateway_defaults"], &answer["principal_defaults"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        row(&answer, "input.text")["source"],
        "abstractcore.gateway_runtime"
    );

    routes
        .set(
            &user,
            "input.text",
            &json!({"provider": "ollama", "model": "qwen3:4b"}),
        )
        .await
        .expect("set");
    let answer = routes.rows(&user).await.expect("rows");
    assert_eq!(answer["authority"], "abstractcore.runtime");
    assert_eq!(row(&answer, "input.text")["source"], "abstractcore.runtime");
    let own = routes.text(&user).await.expect("store").expect("route");
    assert_eq!(
        (own.route.model.as_deref(), own.origin),
        (Some("qwen3:4b"), EndpointOrigin::User)
    );
    let shared = routes.text(&root).await.expect("store").expect("route");
    assert_eq!(
        (shared.route.model.as_deref(), shared.origin),
        (Some("gpt-4o"), EndpointOrigin::Operator)
    );

    routes.clear(&user, "output.text").await.expect("clear");
    let again = routes.text(&user).await.expect("store").expect("route");
    assert_eq!(again.route.model.as_deref(), Some("gpt-4o"));
}

#[tokio::test]
async fn damaged_and_half_routes_do_not_count() {
    let world = World::new(vec![]);
    let document = Document {
        id: "input.voice".to_owned(),
        body: "{".to_owned(),
        updated_at: SystemClock.now(),
    };
    let kind = DocumentKind::CapabilityDefault;
    world
        .store
        .put_document(&world.scope, kind, document, PutMode::Upsert)
        .await
        .expect("put");
    let service = Route {
        provider: Some("ollama".into()),
        model: Some("m".into()),
        ..Route::default()
    };
    let table = Arc::new(CapabilityTable::built_in());
    let routes = CapabilityRoutes::new(
        world.store.clone(),
        table,
        Arc::new(SystemClock),
        RouteLevels::Single,
        Some(service),
    );
    routes
        .set(&world.scope, "input.text", &json!({"provider": "openai"}))
        .await
        .expect("set");
    assert_eq!(
        routes.route(&world.scope, "input.voice").await.expect("store"),
        None
    );
    assert_eq!(
        routes.text_route(&world.scope).await,
        Some(("ollama".to_owned(), "m".to_owned()))
    );
    let found = routes
        .first_route(&world.scope, &["output.image.text_to_image", "input.text"])
        .await
        .expect("store");
    assert_eq!(
        found.and_then(|found| found.route.provider).as_deref(),
        Some("openai")
    );
}

#[test]
fn limits_come_from_the_table() {
    let routes = World::new(vec![]).routes();
    let limits = |model| routes.limits(model);
    let known = ModelLimits {
        max_tokens: 128_000,
        max_output_tokens: 16_000,
        tool_support: "native",
    };
    assert_eq!(limits(Some("gpt-4o-mini")), known);
    let unknown = ModelLimits {
        max_tokens: 16_384,
        max_output_tokens: 4096,
        tool_support: "prompted",
    };
    assert_eq!((limits(None), limits(Some("nobody-knows"))), (unknown, unknown));
}

fn query<'a>(world: &'a World, provider: Option<&'a str>, model: Option<&'a str>) -> ModelQuery<'a> {
    ModelQuery {
        provider,
        model,
        ..ModelQuery::default_for(&world.scope, "chat")
    }
}

#[tokio::test]
async fn models_are_resolved_by_pair_or_default() {
    let world = World::new(vec![]);
    let resolver = world.resolver();
    for (provider, model) in [
        (None, None),
        (Some("openai"), None),
        (None, Some("m")),
        (Some(" "), Some("")),
    ] {
        let error = resolver
            .resolve(query(&world, provider, model))
            .await
            .expect_err("nothing");
        assert!(
            error
                .to_string()
                .starts_with("No provider/model is configured for chat. "),
            "{error}"
        );
    }
    let body = json!({"provider": "endpoint:team", "model": "m", "base_url": "http://route"});
    resolver
        .routes()
        .set(&world.scope, "input.text", &body)
        .await
        .expect("set");
    let by_default = resolver.resolve(query(&world, None, None)).await.expect("model");
    assert_eq!(
        (by_default.provider.as_str(), by_default.model.as_str()),
        ("endpoint:team", "m")
    );
    // As a run carries it.
    resolver
        .resolve(query(&world, Some("ENDPOINT:TEAM"), Some("m")))
        .await
        .expect("model");
    resolver
        .resolve(query(&world, Some("vllm"), Some("m")))
        .await
        .expect("model");
    let own = ModelQuery {
        base_url: Some("http://own"),
        ..query(&world, Some("vllm"), Some("m"))
    };
    resolver.resolve(own).await.expect("model");
    let seen = world.directory.queries.lock();
    let addresses: Vec<_> = seen
        .iter()
        .map(|query| (query.provider.as_str(), query.base_url.as_deref()))
        .collect();
    let team = ("endpoint:team", Some("http://route"));
    assert_eq!(
        addresses,
        [team, team, ("vllm", None), ("vllm", Some("http://own"))]
    );
    assert_eq!(seen[0].plane, "1/default/default");
    assert!(
        seen[3].origin == EndpointOrigin::Operator,
        "one user is the operator"
    );
}

#[tokio::test]
async fn users_answer_for_their_own_addresses() {
    let mut world = World::new(vec![]);
    world.levels = RouteLevels::Users;
    let resolver = world.resolver();
    let own = ModelQuery {
        base_url: Some("http://own"),
        ..query(&world, Some("vllm"), Some("m"))
    };
    resolver.resolve(own).await.expect("model");
    assert_eq!(world.directory.queries.lock()[0].origin, EndpointOrigin::User);
    let error = resolver
        .resolve(query(&world, Some("nope"), Some("m")))
        .await
        .expect_err("unknown");
    assert!(
        error
            .to_string()
            .starts_with("Unknown provider: nope. Available providers: openai,"),
        "{error}"
    );
}

#[test]
fn plane_names_round_trip() {
    for scope in [TenantScope::root(), user_scope()] {
        assert_eq!(scope_of_plane_name(&plane_name(&scope)), Some(scope));
    }
    assert_eq!(scope_of_plane_name("x/y/z"), None);
    assert_eq!(scope_of_plane_name("1/y"), None);
}

struct Listed(Result<Vec<&'static str>, ProviderError>);

#[async_trait]
impl ModelCatalogue for Listed {
    async fn list_models(&self, _: CancellationToken) -> Result<Vec<ModelInfo>, ProviderError> {
        let names = self.0.clone()?;
        Ok(names
            .into_iter()
            .map(|id| ModelInfo {
                id: id.to_owned(),
                context_length: None,
            })
            .collect())
    }
}

fn catalogues(world: &World) -> Catalogues {
    Catalogues::new(
        world.directory.clone(),
        world.store.clone(),
        Arc::new(CapabilityTable::built_in()),
    )
}

#[tokio::test]
async fn models_of_a_provider() {
    let listed = Listed(Ok(vec![
        "z-unknown",
        "gpt-4o",
        "text-embedding-3-small",
        "gpt-4o",
    ]));
    let world = World::with(TestDirectory {
        catalogue: Some(Arc::new(listed)),
        ..TestDirectory::default()
    });
    let catalogues = catalogues(&world);
    let cancel = CancellationToken::new();
    let ask = async |args: Value| {
        let call = ag_kernel::HostCall {
            op: ag_kernel::HostOp::ProviderModels,
            node_id: "n".to_owned(),
            args,
        };
        catalogues
            .answer(&world.scope, &call, &cancel)
            .await
            .expect("list")
    };
    let all = json!(["gpt-4o", "text-embedding-3-small", "z-unknown"]);
    assert_eq!(ask(json!({"provider": "vllm"})).await, all);
    let text = ask(json!({"provider": "vllm", "capability_route": "output.text"})).await;
    assert_eq!(text, json!(["gpt-4o", "z-unknown"]));
    let sees = ask(json!({"provider": "vllm", "capability_route": "input.image"})).await;
    assert_eq!(sees, json!(["gpt-4o"]));
    assert_eq!(ask(json!({"provider": "nope"})).await, json!([]));
    assert_eq!(ask(json!({})).await, json!([]));
}

#[tokio::test]
async fn limited_connections_and_broken_servers() {
    let broken = || Listed(Err(ProviderError::Cancelled));
    let limited = TestDirectory {
        catalogue: Some(Arc::new(broken())),
        allowed_models: vec!["b".to_owned(), "a".to_owned()],
        ..TestDirectory::default()
    };
    let world = World::with(limited);
    let cancel = CancellationToken::new();
    assert_eq!(
        catalogues(&world)
            .models(&world.scope, "endpoint:team", None, &cancel)
            .await
            .expect("list"),
        ["a", "b"]
    );
    let world = World::with(TestDirectory {
        catalogue: Some(Arc::new(broken())),
        ..TestDirectory::default()
    });
    assert!(
        catalogues(&world)
            .models(&world.scope, "vllm", None, &cancel)
            .await
            .expect("list")
            .is_empty()
    );
}

#[tokio::test]
async fn providers_are_families_and_visible_connections() {
    let world = World::new(vec![]);
    for id in ["team", "hidden"] {
        let document = Document {
            id: id.to_owned(),
            body: "{}".to_owned(),
            updated_at: SystemClock.now(),
        };
        let kind = DocumentKind::EndpointProfile;
        world
            .store
            .put_document(&world.scope, kind, document, PutMode::Upsert)
            .await
            .expect("put");
    }
    let names = catalogues(&world).providers(&world.scope).await.expect("list");
    assert_eq!(&names[..2], ["anthropic", "huggingface"]);
    assert_eq!(names.last().map(String::as_str), Some("endpoint:team"));
    assert_eq!(names.len(), 11);
}
