//! Providers and their text models.

use std::time::Duration;

use ag_providers::{CapabilityTable, FAMILIES, ProviderClient, ProviderError, ProviderFamily, family};
use axum::Json;
use futures::future::join_all;
use http::HeaderMap;
use serde_json::{Value, json};

use super::catalog::{Catalog, given, model_item, object};
use super::remote::{self, Question, Remote};
use crate::{
    ApiResult, CallContext, Input,
    input::{Reader, Request, boolean, list, string},
    routes::{
        config::profiles,
        models::{ListingLimits, ModelServices, Overrides, client, model_names},
    },
};

const UPSTREAM: &str = "abstractcore.local";

/// Query of the list.
pub(super) struct ListProviders {
    include_models: bool,
}

impl Request for ListProviders {
    fn read(reader: &mut Reader) -> Self {
        Self {
            include_models: reader.query().or("include_models", boolean(), false),
        }
    }
}

pub(super) async fn list_providers(
    ctx: CallContext,
    headers: HeaderMap,
    Input(request): Input<ListProviders>,
) -> ApiResult<Json<Value>> {
    let services = ModelServices::of(&ctx)?;
    let (mut catalog, mut items) = match Remote::of(&ctx, &services, &headers) {
        Some(remote) => elsewhere(&remote.patient(), request.include_models).await,
        None => families(&ctx, &services, &headers, request.include_models).await,
    };
    let connections = profiles::visible(&ctx).await?;
    let public: Vec<Value> = connections.iter().map(|profile| profile.public()).collect();
    items.extend(connection_items(&ctx, &services, &connections, request.include_models).await);
    catalog
        .raw
        .extend(object(match services.resolver.routes().text(ctx.scope()).await {
            Ok(Some(found)) => json!({
                "default_provider": found.route.provider,
                "default_model": found.route.model,
                "default_source": "capability_defaults:input.text",
            }),
            Ok(None) => json!({
                "default_provider": null,
                "default_model": null,
                "default_error": "No default text model is configured",
            }),
            // The service of split mode is away; the list is no worse for it.
            Err(error) if services.split.is_some() => json!({
                "default_provider": null, "default_model": null, "default_error": error.to_string(),
            }),
            Err(error) => return Err(error.into()),
        }));
    if !public.is_empty() {
        catalog
            .raw
            .insert("provider_endpoint_profiles".to_owned(), public.into());
    }
    catalog.items = items;
    Ok(Json(catalog.answer(ctx.now())))
}

fn catalog_of(include_models: bool) -> Catalog {
    Catalog {
        kind: "providers",
        scope: "text",
        upstream: UPSTREAM,
        available: true,
        echo: object(json!({"include_models": include_models})),
        ..Catalog::default()
    }
}

/// The providers of the service that calls the models.
async fn elsewhere(remote: &Remote<'_>, include_models: bool) -> (Catalog, Vec<Value>) {
    let question = Question {
        path: "providers",
        query: vec![("include_models", Some(include_models.to_string()))],
        base_url: None,
        tasks: &[],
    };
    let answer = remote.ask(&question).await;
    let mut catalog = remote.filled(answer, catalog_of(include_models), &[]);
    let items = std::mem::take(&mut catalog.items);
    catalog.raw.shift_remove("providers");
    (catalog, items)
}

/// The families that this process speaks to itself.
async fn families(
    ctx: &CallContext,
    services: &ModelServices,
    headers: &HeaderMap,
    include_models: bool,
) -> (Catalog, Vec<Value>) {
    let limit = ListingLimits::of(ctx).models;
    let overrides = &Overrides::of(headers, None);
    let mut families: Vec<&ProviderFamily> = FAMILIES.iter().collect();
    families.sort_unstable_by_key(|family| family.name);
    let found = families.into_iter().map(|family| async move {
        let client = client(ctx, services, family.name, overrides).await;
        let models = models_if(include_models, client, limit).await;
        family_item(family, &models)
    });
    (catalog_of(include_models), join_all(found).await)
}

/// What asking a provider gave.
enum Models {
    /// Nobody was asked; the provider can be called.
    NotAsked,
    /// Its names.
    Named(Vec<String>),
    /// It cannot be called, or did not answer.
    Failed,
}

async fn models_if(wanted: bool, client: Result<ProviderClient, ProviderError>, limit: Duration) -> Models {
    match client {
        Err(_) => Models::Failed,
        Ok(_) if !wanted => Models::NotAsked,
        Ok(client) => match model_names(&client, limit).await {
            Ok(names) => Models::Named(names),
            Err(_) => Models::Failed,
        },
    }
}

impl Models {
    /// `model_count`, `status`, `models`.
    fn members(&self) -> (Value, &'static str, Vec<String>) {
        match self {
            Self::NotAsked => (json!("unknown"), "available", Vec::new()),
            Self::Named(names) => (json!(names.len()), "available", names.clone()),
            Self::Failed => (json!("unknown"), "unavailable", Vec::new()),
        }
    }
}

fn family_item(family: &ProviderFamily, models: &Models) -> Value {
    let (count, status, names) = models.members();
    json!({
        "name": family.name,
        "display_name": family.display_name,
        "type": "llm",
        "model_count": count,
        "status": status,
        "description": family.description,
        "local_provider": family.local,
        "authentication_required": family.key_required,
        "supported_features": family.features,
        "installation_extras": family.installation_extras,
        "models": names,
        "id": family.name,
        "label": family.display_name,
        "provider": family.name,
    })
}

/// Stored connections as providers.
async fn connection_items(
    ctx: &CallContext,
    services: &ModelServices,
    connections: &[profiles::Profile],
    include_models: bool,
) -> Vec<Value> {
    let limit = ListingLimits::of(ctx).models;
    let enabled = connections.iter().filter(|profile| profile.enabled);
    let items = enabled.map(|profile| async move {
        let name = profile.provider();
        let models = match profile.allowed_models.is_empty() {
            false => Models::Named(profile.allowed_models.clone()),
            true => {
                let client = client(ctx, services, &name, &Overrides::default()).await;
                models_if(include_models, client, limit).await
            }
        };
        let (.., names) = models.members();
        json!({
            "id": name,
            "name": name,
            "provider": name,
            "display_name": profile.display_name,
            "label": profile.display_name,
            "description": profile.description,
            "provider_family": profile.provider_family,
            "virtual": true,
            "virtual_provider": true,
            "provider_endpoint_profile": profile.public(),
            "models": names,
            "base_url_configured": profile.base_url.is_some(),
            "api_key_set": profile.has_key(),
            "scope": profile.scope,
            "capabilities": profile.capabilities,
        })
    });
    join_all(items).await
}

/// Which models of which provider.
pub(super) struct ListProviderModels {
    provider: String,
    base_url: Option<String>,
    input_type: Option<String>,
    output_type: Option<String>,
    routes: Vec<String>,
}

impl Request for ListProviderModels {
    fn read(reader: &mut Reader) -> Self {
        let provider = reader.path().required("provider_name", string());
        let mut query = reader.query();
        Self {
            provider,
            base_url: query.optional("base_url", string()),
            input_type: query.optional("input_type", string()),
            output_type: query.optional("output_type", string()),
            routes: query
                .optional("capability_route", list(string()))
                .unwrap_or_default(),
        }
    }
}

impl ListProviderModels {
    /// `kind.modality` of everything asked for.
    fn wanted(&self) -> Vec<String> {
        let typed = |kind: &str, modality: &Option<String>| {
            given(modality.clone()).map(|modality| format!("{kind}.{}", modality.to_lowercase()))
        };
        let repeated = self
            .routes
            .iter()
            .flat_map(|text| text.split(','))
            .filter_map(|text| given(Some(text.to_owned())));
        let repeated = repeated.map(|route| route.to_lowercase());
        repeated
            .chain(typed("input", &self.input_type))
            .chain(typed("output", &self.output_type))
            .collect()
    }
}

pub(super) async fn list_provider_models(
    ctx: CallContext,
    headers: HeaderMap,
    Input(request): Input<ListProviderModels>,
) -> ApiResult<Json<Value>> {
    let services = ModelServices::of(&ctx)?;
    let limit = ListingLimits::of(&ctx).models;
    let name = request.provider.trim().to_owned();
    let profile = profiles::named(&ctx, &name).await?;
    let overrides = Overrides::of(&headers, request.base_url.clone());
    let routed = profile.as_ref().map(|profile| profile.provider_family.clone());
    let wanted = request.wanted();
    let remote = Remote::of(&ctx, &services, &headers).filter(|_| profile.is_none() && !wanted.is_empty());
    let asked_elsewhere = remote.is_some();
    let listed = match (client(&ctx, &services, &name, &overrides).await, remote) {
        (Ok(_), Some(remote)) => models_elsewhere(&remote.patient(), &name, &request).await,
        (Ok(client), None) => model_names(&client, limit).await,
        (Err(error), _) => Err(error.to_string()),
    };
    let allowed = profile
        .as_ref()
        .map(|profile| profile.allowed_models.as_slice())
        .unwrap_or_default();
    let (mut models, error) = match (listed, allowed) {
        (Ok(models), []) => (models, None),
        (Ok(models), allowed) if !wanted.is_empty() => (
            models
                .into_iter()
                .filter(|model| allowed.contains(model))
                .collect(),
            None,
        ),
        (Ok(_), allowed) => (allowed.to_vec(), None),
        // A list that the connection itself holds needs nobody's answer.
        (Err(_), allowed) if !allowed.is_empty() && wanted.is_empty() => (allowed.to_vec(), None),
        (Err(error), _) => (Vec::new(), Some(error)),
    };
    models.retain(|model| {
        let known = |route: &String| has_route(services.table(), model, route);
        asked_elsewhere || wanted.iter().all(known)
    });
    models.sort_unstable();
    models.dedup();
    let mut raw = object(json!({"provider": name}));
    if let Some(routed) = routed {
        raw.insert("routed_provider".to_owned(), routed.into());
    }
    raw.insert("models".to_owned(), models.clone().into());
    if let Some(profile) = &profile {
        raw.insert("provider_endpoint_profile".to_owned(), profile.public());
    }
    let catalog = Catalog {
        kind: "models",
        scope: "text",
        upstream: match services.split {
            Some(_) => remote::UPSTREAM,
            None => UPSTREAM,
        },
        available: error.is_none(),
        error,
        provider: Some(name.clone()),
        raw,
        items: models.iter().map(|model| model_item(&name, model, &[])).collect(),
        ..Catalog::default()
    };
    Ok(Json(catalog.answer(ctx.now())))
}

/// Models with the wanted routes, in split mode: the service knows its models better than our table does.
async fn models_elsewhere(
    remote: &Remote<'_>,
    provider: &str,
    request: &ListProviderModels,
) -> Result<Vec<String>, String> {
    let routes = Some(request.routes.join(",")).filter(|routes| !routes.is_empty());
    let question = Question {
        path: "v1/models",
        query: vec![
            ("provider", Some(provider.to_owned())),
            ("input_type", given(request.input_type.clone())),
            ("output_type", given(request.output_type.clone())),
            ("capability_route", routes),
        ],
        base_url: given(request.base_url.clone()),
        tasks: &[],
    };
    let answer = remote.ask(&question).await.map_err(|no| no.error().to_string())?;
    let prefix = format!("{provider}/");
    let data = answer.get("data").and_then(Value::as_array);
    let ids = data
        .into_iter()
        .flatten()
        .filter_map(|model| model.get("id")?.as_str());
    Ok(ids
        .map(|id| id.strip_prefix(&prefix).unwrap_or(id).to_owned())
        .collect())
}

/// Whether the table knows a model to take or give something. Models it does not know count as plain text models.
fn has_route(table: &CapabilityTable, model: &str, route: &str) -> bool {
    let (inputs, outputs) = table
        .lookup(model)
        .routes()
        .unwrap_or((vec!["text"], vec!["text"]));
    let mut parts = route.split('.');
    match (parts.next(), parts.next()) {
        (Some("input"), Some(modality)) => inputs.contains(&modality),
        (Some("output"), Some(modality)) => outputs.contains(&modality),
        (Some("embedding"), _) => outputs.contains(&"embedding"),
        _ => true,
    }
}

/// The display name of a provider.
pub(super) fn label(name: &str) -> String {
    family(name).map_or_else(|| name.to_owned(), |family| family.display_name.to_owned())
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn routes_are_looked_up_in_the_table() {
        let table = CapabilityTable::built_in();
        let cases = [
            ("gpt-4o", "input.image", true),
            ("gpt-4o", "output.text", true),
            ("gpt-4o", "embedding.text", false),
            ("text-embedding-3-small", "output.text", false),
            ("text-embedding-3-small", "embedding.text", true),
            ("never-heard-of", "output.text", true),
            ("never-heard-of", "input.image", false),
            ("gpt-4o", "rerank.text", true),
        ];
        for (model, route, expected) in cases {
            assert_eq!(has_route(&table, model, route), expected, "{model} {route}");
        }
    }
}
