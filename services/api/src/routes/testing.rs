//! What the tests of these families share: forms, zips, and a node with scripted models.

use std::{io::Write as _, sync::Arc};

use ag_auth::KeyRing;
use ag_config::Config;
use ag_effects::routes::{CapabilityRoutes, ModelResolver, RouteLevels};
use ag_providers::{
    CapabilityTable, EndpointOrigin, EndpointProfiles, ModelCatalogue, ProviderClient, ProviderDirectory,
    ProviderEndpoint, ProviderError, ProviderQuery,
    directory::DEFAULT_TIMEOUT,
    fake::{FakeChat, FakeEmbedder, Step},
    family,
    media::{ModelInfo, SpeechReply, SpeechRequest},
    ports::SpeechModel,
    unknown_provider,
};
use ag_sandbox::MontySandbox;
use ag_types::SystemClock;
use async_trait::async_trait;
use axum::body::Body;
use http::Request;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{CodeService, ModelServices, SecretBox, SecretBoxError, StoredProfiles};
use crate::{
    Extensions,
    testkit::{Answer, Node, request},
};

/// A file of a form: name, type, content.
pub(crate) type File<'a> = (&'a str, &'a str, &'a [u8]);

/// A multipart `POST` with the token.
pub(crate) fn form(path: &str, fields: &[(&str, &str)], file: Option<File<'_>>) -> Request<Body> {
    let boundary = "----form-of-a-test";
    let mut body = Vec::new();
    for (name, value) in fields {
        let part =
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    if let Some((name, content_type, content)) = file {
        let head = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: {content_type}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let request = request("POST", path).header(
        "content-type",
        format!("multipart/form-data; boundary={boundary}"),
    );
    request.body(Body::from(body)).expect("request")
}

/// A zip of texts, in order.
pub(crate) fn zip(files: &[(String, String)]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        let options = zip::write::SimpleFileOptions::default();
        out.start_file(name.as_str(), options).expect("entry");
        out.write_all(text.as_bytes()).expect("content");
    }
    out.finish().expect("zip").into_inner()
}

impl Node {
    /// `method` of JSON with the token.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = request(method, path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).expect("request"))
            .await
    }

    /// `method` without a body.
    pub(crate) async fn bare(&self, method: &str, path: &str) -> Answer {
        self.send(request(method, path).body(Body::empty()).expect("request"))
            .await
    }
}

/// Which servers were asked: provider, address, key, origin.
pub(crate) type Seen = (String, String, Option<String>, EndpointOrigin);

/// Scripted servers: `openai-compatible` and stored connections answer, `vllm` is away.
pub(crate) struct Servers {
    pub(crate) chat: Arc<FakeChat>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    profiles: StoredProfiles,
}

struct Models;

#[async_trait]
impl ModelCatalogue for Models {
    async fn list_models(&self, _: CancellationToken) -> Result<Vec<ModelInfo>, ProviderError> {
        let names = ["gpt-4o", "text-embedding-3-small", "tts-1", "zeta"];
        Ok(names
            .map(|id| ModelInfo {
                id: id.to_owned(),
                context_length: None,
            })
            .to_vec())
    }
}

struct Away;

#[async_trait]
impl ModelCatalogue for Away {
    async fn list_models(&self, _: CancellationToken) -> Result<Vec<ModelInfo>, ProviderError> {
        Err(ProviderError::Connect {
            family: "vLLM".to_owned(),
            detail: "refused".to_owned(),
            url: "http://localhost:8000".to_owned(),
        })
    }
}

#[async_trait]
impl SpeechModel for Models {
    async fn speak(&self, _: SpeechRequest, _: CancellationToken) -> Result<SpeechReply, ProviderError> {
        Err(ProviderError::Unsupported("no test speaks".to_owned()))
    }
}

#[async_trait]
impl ProviderDirectory for Servers {
    async fn resolve(&self, query: ProviderQuery<'_>) -> Result<ProviderClient, ProviderError> {
        let mut endpoint = match query.provider.strip_prefix("endpoint:") {
            Some(id) => {
                let found = self.profiles.endpoint(query.plane, id).await?;
                found.ok_or_else(|| unknown_provider(query.provider))?
            }
            None => {
                let family = family(query.provider).ok_or_else(|| unknown_provider(query.provider))?;
                if !matches!(family.name, "openai-compatible" | "vllm") {
                    return Err(ProviderError::Unsupported("not in this test".to_owned()));
                }
                ProviderEndpoint {
                    provider: family.name.to_owned(),
                    family,
                    base_url: query.base_url.unwrap_or(family.default_base_url).to_owned(),
                    api_key: None,
                    origin: query.origin,
                    headers: Vec::new(),
                    allowed_models: Vec::new(),
                    timeout: DEFAULT_TIMEOUT,
                }
            }
        };
        endpoint.api_key = query.api_key.or(endpoint.api_key);
        let key = endpoint
            .api_key
            .as_ref()
            .map(|key| key.expose_secret().to_owned());
        self.seen.lock().push((
            endpoint.provider.clone(),
            endpoint.base_url.clone(),
            key,
            endpoint.origin,
        ));
        let away = endpoint.family.name == "vllm";
        let catalogue: Arc<dyn ModelCatalogue> = if away { Arc::new(Away) } else { Arc::new(Models) };
        Ok(ProviderClient {
            embedder: Some(Arc::new(FakeEmbedder)),
            speech: Some(Arc::new(Models)),
            catalogue: Some(catalogue),
            ..ProviderClient::new(Arc::new(endpoint), self.chat.clone())
        })
    }
}

/// Turns texts around; enough to see that nothing is stored as it came.
pub(crate) struct Mirror;

impl SecretBox for Mirror {
    fn seal(&self, secret: &SecretString, context: &str) -> Result<String, SecretBoxError> {
        Ok(format!(
            "{context}|{}",
            secret.expose_secret().chars().rev().collect::<String>()
        ))
    }

    fn open(&self, sealed: &str, context: &str) -> Result<SecretString, SecretBoxError> {
        let body = sealed
            .strip_prefix(context)
            .and_then(|rest| rest.strip_prefix('|'));
        let body = body.ok_or(SecretBoxError::Damaged)?;
        Ok(body.chars().rev().collect::<String>().into())
    }

    fn is_current(&self, _: &str) -> bool {
        true
    }
}

/// Whether keys can be stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    Sealed,
    Refused,
}

/// A node with scripted models and an interpreter.
pub(crate) fn modelled(keys: Keys, change: impl FnOnce(&mut Config)) -> (Node, Arc<Servers>) {
    scripted(keys, Vec::new(), change)
}

/// The same with a script for the chat model.
pub(crate) fn scripted(
    keys: Keys,
    script: Vec<Step>,
    change: impl FnOnce(&mut Config),
) -> (Node, Arc<Servers>) {
    let mut servers = None;
    let node = Node::built(change, |store| {
        let ring = || KeyRing::parse(&KeyRing::generate()).expect("a fresh key");
        let secrets = (keys == Keys::Sealed).then(|| Arc::new(ring()) as Arc<dyn SecretBox>);
        let made = Arc::new(Servers {
            chat: Arc::new(FakeChat::new(script)),
            seen: Mutex::default(),
            profiles: StoredProfiles::new(store.clone(), secrets.clone(), true),
        });
        servers = Some(made.clone());
        let routes = CapabilityRoutes::new(
            store.clone(),
            Arc::new(CapabilityTable::built_in()),
            Arc::new(SystemClock),
            RouteLevels::Single,
            None,
        );
        let resolver = ModelResolver::new(Arc::new(routes), made);
        Extensions::default()
            .with(ModelServices {
                resolver,
                secrets,
                split: None,
            })
            .with(CodeService(Arc::new(MontySandbox::default())))
    });
    (node, servers.expect("made above"))
}
