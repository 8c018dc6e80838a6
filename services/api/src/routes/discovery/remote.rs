//! Catalogues in split mode: the service that calls the models knows what there is. Its fields are passed on inside our
//! envelope; a failure of it is an answer that says so.

use std::time::Duration;

use ag_providers::{ModelService, ProviderError, ServiceCall, ServiceVerb};
use ag_types::Object;
use axum::Json;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{catalog::Catalog, items::items_of};
use crate::{
    CallContext,
    routes::models::{ListingLimits, ModelServices, Overrides, client},
};

pub(super) const UPSTREAM: &str = "abstractcore.remote";
/// Fields that are ours, whatever the service says.
const OURS: [&str; 9] = [
    "available",
    "route_available",
    "source",
    "upstream_source",
    "stale",
    "error",
    "refreshed_at",
    "items",
    "catalog",
];
/// Folders of the service's host.
const PATHS: &str = "cache_dirs";
/// Whose rules decide over an address that comes without a provider.
const ANY_SERVER: &str = "openai-compatible";

/// What to ask for.
pub(super) struct Question<'a> {
    /// From the service's root.
    pub(super) path: &'a str,
    /// Members of the query; those without a value are left out.
    pub(super) query: Vec<(&'a str, Option<String>)>,
    /// An address that the caller wants asked.
    pub(super) base_url: Option<String>,
    /// Tasks of the items.
    pub(super) tasks: &'a [&'a str],
}

/// Why the service gave no catalogue.
pub(super) enum NoAnswer {
    /// The caller may not have that address asked.
    Refused(ProviderError),
    /// The service failed.
    Failed(ProviderError),
}

impl NoAnswer {
    pub(super) fn error(&self) -> &ProviderError {
        match self {
            Self::Refused(error) | Self::Failed(error) => error,
        }
    }
}

/// The service, where there is one, with the caller's headers.
pub(super) struct Remote<'a> {
    ctx: &'a CallContext,
    services: &'a ModelServices,
    service: &'a dyn ModelService,
    overrides: Overrides,
    limit: Duration,
}

impl<'a> Remote<'a> {
    /// `None` unless in split mode.
    pub(super) fn of(ctx: &'a CallContext, services: &'a ModelServices, headers: &HeaderMap) -> Option<Self> {
        Some(Self {
            ctx,
            services,
            service: &**services.split.as_ref()?,
            overrides: Overrides::of(headers, None),
            limit: ListingLimits::of(ctx).discovery,
        })
    }

    /// Waits as long as for a list of models.
    pub(super) fn patient(mut self) -> Self {
        self.limit = ListingLimits::of(self.ctx).models;
        self
    }

    /// Asks. An address of the caller's is passed on only where the caller could have it asked by us: the service would
    /// connect for them.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Value, NoAnswer> {
        if let Some(base_url) = &question.base_url {
            let provider = question.query.iter().find(|(name, _)| *name == "provider");
            let provider = provider.and_then(|(_, provider)| provider.as_deref());
            let overrides = Overrides {
                base_url: Some(base_url.clone()),
                api_key: self.overrides.api_key.clone(),
            };
            client(
                self.ctx,
                self.services,
                provider.unwrap_or(ANY_SERVER),
                &overrides,
            )
            .await
            .map_err(NoAnswer::Refused)?;
        }
        let members = question.query.iter();
        let mut query: Vec<(&str, String)> = members
            .filter_map(|(name, value)| Some((*name, value.clone()?)))
            .collect();
        query.extend(question.base_url.clone().map(|url| ("base_url", url)));
        let call = ServiceCall {
            query: &query,
            provider_key: self.overrides.api_key.as_ref(),
            ..ServiceCall::new(ServiceVerb::Get, question.path, self.limit)
        };
        self.service.ask(call).await.map_err(NoAnswer::Failed)
    }

    /// The whole answer of a catalogue. `catalog` has its kind, scope and echo; `keep` is what remains of the service's
    /// fields, all where it is empty.
    pub(super) async fn catalogue(
        &self,
        question: Question<'_>,
        catalog: Catalog,
        keep: &[&str],
    ) -> Json<Value> {
        let answer = self.ask(&question).await;
        let mut catalog = self.filled(answer, catalog, question.tasks);
        if !keep.is_empty() {
            catalog.raw.retain(|name, _| keep.contains(&name.as_str()));
        }
        Json(catalog.answer(self.ctx.now()))
    }

    /// A catalogue with the service's answer, or with its failure.
    pub(super) fn filled(
        &self,
        answer: Result<Value, NoAnswer>,
        mut catalog: Catalog,
        tasks: &[&str],
    ) -> Catalog {
        catalog.upstream = UPSTREAM;
        let mut raw = match answer {
            Ok(Value::Object(raw)) => raw,
            Ok(_) => {
                catalog.error = Some("The model service answered something else than an object".to_owned());
                return catalog;
            }
            Err(no) => {
                catalog.available = false;
                catalog.error = Some(no.error().to_string());
                catalog.raw.extend(failure(no.error()));
                return catalog;
            }
        };
        let told = raw.get("available").and_then(Value::as_bool);
        catalog.available = told.unwrap_or(raw.get("ok") != Some(&Value::Bool(false)));
        catalog.error = raw.get("error").and_then(ag_pyvalue::opt_str);
        catalog.items = items_of(catalog.kind, &raw, tasks, catalog.provider.as_deref());
        if let Some(paths) = raw.get_mut(PATHS) {
            *paths = json!([]);
        }
        raw.retain(|name, _| !OURS.contains(&name.as_str()));
        catalog.raw.extend(raw);
        catalog
    }
}

/// What is told of a failure beside its text.
pub(super) fn failure(error: &ProviderError) -> Object {
    let mut fields = Object::new();
    if let Some(upstream) = error.upstream() {
        fields.insert("status_code".to_owned(), upstream.status.into());
        fields.insert("upstream_error".to_owned(), upstream.message.as_str().into());
    }
    fields
}
