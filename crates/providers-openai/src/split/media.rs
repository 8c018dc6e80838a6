//! Media in split mode (contract, media §9.2). Speech and music come in one exchange ([`sound`]); pictures and videos
//! ([`pictures`]) are jobs ([`jobs`]).

mod jobs;
mod pictures;
mod sound;

use std::sync::Arc;

use ag_providers::{Object, ProviderEndpoint, ProviderError};
use reqwest::multipart::Form;
use serde_json::Value;

use crate::transport::Transport;

/// All media ports of an endpoint behind the server.
pub(crate) struct SplitMedia {
    /// To the server.
    transport: Transport,
    /// The endpoint that the server is to call.
    behind: Arc<ProviderEndpoint>,
}

impl SplitMedia {
    pub(crate) fn new(transport: Transport, behind: Arc<ProviderEndpoint>) -> Self {
        Self { transport, behind }
    }

    fn unreadable(&self, path: &str, detail: &str) -> ProviderError {
        let place = self.transport.place(&self.transport.url(path));
        ProviderError::Unreadable {
            family: place.family,
            detail: detail.to_owned(),
            url: place.url,
        }
    }

    /// Provider, model and address as members of a request.
    fn route(&self, model: &str) -> Object {
        let family = self.behind.family.name;
        let mut members = Object::new();
        members.insert("provider".to_owned(), family.into());
        if !model.is_empty() {
            let named = match family {
                "openai" | "openai-compatible" => format!("openai-compatible/{model}"),
                _ => model.to_owned(),
            };
            members.insert("model".to_owned(), named.into());
        }
        if !self.behind.base_url.is_empty() {
            members.insert("base_url".to_owned(), self.behind.base_url.as_str().into());
        }
        members
    }
}

/// Members of a JSON body: the request's own, then its options.
fn body(own: Value, route: Object, options: Object) -> Object {
    let mut body = own.as_object().cloned().unwrap_or_default();
    body.extend(route);
    for (key, value) in options {
        if !value.is_null() {
            body.entry(key).or_insert(value);
        }
    }
    body.retain(|_, value| !value.is_null());
    body
}

/// The same as a form: objects and lists as JSON under the names of the contract, seeds with commas.
fn form(members: Object) -> Form {
    let mut form = Form::new();
    for (key, value) in members {
        let (key, text) = match (key.as_str(), &value) {
            (_, Value::Null) => continue,
            ("extra", value) => ("extra_json".to_owned(), value.to_string()),
            ("lora_adapters", value) => ("lora_adapters_json".to_owned(), value.to_string()),
            ("seeds", Value::Array(seeds)) => {
                let seeds: Vec<String> = seeds.iter().map(Value::to_string).collect();
                (key, seeds.join(","))
            }
            (_, Value::String(text)) => (key, text.clone()),
            (_, other) => (key, other.to_string()),
        };
        form = form.text(key, text);
    }
    form
}
