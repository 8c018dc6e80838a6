//! `sessions/{session_id}/prompt_cache/…`: which key the calls of a session use, and what the provider knows of it.

use ag_types::Object;
use axum::Json;
use serde_json::{Map, Value, json};

use super::{
    namespace::Identity,
    provider::{Cache, default_key, missing_key, set_default_key, stats},
};
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{BodyRule, Fields, Reader, Request, boolean, float, int, list, object, string},
    routes::models::ModelServices,
};

const MAX_MODULES: usize = 12;
const HINT: &str =
    "Provider does not expose module preparation here; pass runtime_hint.prompt_cache_key with run input.";
const NO_CLEAR: &str = "Provider does not support clearing prompt-cache keys through this control plane.";

fn identity(session_id: String, fields: &mut Fields<'_>) -> Identity {
    let provider = fields.required("provider", string());
    let model = fields.required("model", string());
    let mut label = |name: &'static str, max| {
        let text = fields.optional(name, string().max_len(max)).unwrap_or_default();
        text.trim().to_owned()
    };
    let (bundle_id, bundle_version) = (label("bundle_id", 160), label("bundle_version", 80));
    let (flow_id, template_id) = (label("flow_id", 160), label("template_id", 160));
    Identity {
        session_id: session_id.trim().to_owned(),
        bundle_id,
        bundle_version,
        flow_id,
        provider: provider.trim().to_owned(),
        model: model.trim().to_owned(),
        template_id,
        version: fields.or("version", int().ge(1).le(10), 1),
    }
}

/// A question about a session's cache.
pub(super) struct Ask(Identity);

impl Request for Ask {
    fn read(reader: &mut Reader) -> Self {
        let session = reader.path().required("session_id", string());
        Self(identity(session, &mut reader.query()))
    }
}

/// A change of a session's cache.
pub(super) struct Change {
    identity: Identity,
    modules: usize,
    make_default: bool,
}

impl Request for Change {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let session = reader.path().required("session_id", string());
        let mut body = reader.body();
        let identity = identity(session, &mut body);
        let modules = body.optional("modules", list(object())).unwrap_or_default().len();
        // Texts that an engine of our own would prepare; their bounds hold all the same.
        let _: Option<String> = body.optional("system_prompt", string().max_len(20_000));
        let _: Option<String> = body.optional("workflow_instructions", string().max_len(20_000));
        let _: Option<Vec<Object>> = body.optional("tools", list(object()));
        let _: Option<Vec<Object>> = body.optional("pinned_attachments", list(object()));
        let make_default = body.or("make_default", boolean(), false);
        let _: Option<f64> = body.optional("ttl_s", float());
        Self {
            identity,
            modules,
            make_default,
        }
    }
}

impl Change {
    fn check(&self) -> ApiResult<()> {
        match self.modules > MAX_MODULES {
            true => Err(ApiError::bad_request(format!(
                "modules must contain at most {MAX_MODULES} items"
            ))),
            false => Ok(()),
        }
    }
}

/// A session's cache as the operations see it.
struct Session {
    identity: Identity,
    cache: Cache,
    namespace: String,
    key: String,
}

impl Session {
    async fn of(ctx: &CallContext, identity: Identity) -> ApiResult<Self> {
        for (name, value) in [
            ("session_id", &identity.session_id),
            ("provider", &identity.provider),
            ("model", &identity.model),
        ] {
            if value.is_empty() {
                return Err(ApiError::bad_request(format!("{name} is required")));
            }
        }
        let services = ModelServices::of(ctx)?;
        let cache = Cache::of(ctx, &services, &identity.provider).await;
        let principal = ctx.principal();
        let namespace = identity.namespace(&json!({
            "runtime_id": principal.runtime_id,
            "source": principal.source,
            "tenant_id": principal.tenant_id,
            "user_id": principal.user_id,
        }));
        Ok(Self {
            key: format!("{namespace}:session"),
            identity,
            cache,
            namespace,
        })
    }

    /// The part that all answers have.
    fn head(&self, operation: &str) -> Map<String, Value> {
        let mode = if self.cache.is_keyed() {
            "keyed"
        } else {
            "unsupported"
        };
        let head = json!({
            "supported": self.cache.is_keyed(),
            "operation": operation,
            "mode": mode,
            "session_id": self.identity.session_id,
            "namespace": self.namespace,
            "prompt_cache_key": self.key,
            "runtime_hint": {
                "prompt_cache_key": self.key,
                "_runtime": {"prompt_cache": {
                    "key": self.key, "namespace": self.namespace, "mode": mode, "version": 1,
                }},
            },
            "identity": self.identity.value(),
            "capabilities": self.cache.capabilities(),
        });
        match head {
            Value::Object(head) => head,
            _ => Map::new(),
        }
    }

    fn unsupported(&self, mut answer: Map<String, Value>) -> Map<String, Value> {
        answer.insert("code".to_owned(), "prompt_cache_unsupported".into());
        if let Cache::Unusable(error) = &self.cache {
            answer.insert("error".to_owned(), error.as_str().into());
        }
        answer.insert("ok".to_owned(), false.into());
        answer
    }

    async fn status(&self, ctx: &CallContext) -> ApiResult<Map<String, Value>> {
        let mut answer = self.head("status");
        if !self.cache.is_keyed() {
            return Ok(self.unsupported(answer));
        }
        let key = default_key(ctx, &self.identity.provider, &self.identity.model).await?;
        answer.insert("ok".to_owned(), true.into());
        answer.insert("stats".to_owned(), stats(&self.cache, key.as_deref()));
        Ok(answer)
    }

    async fn prepare(
        &self,
        ctx: &CallContext,
        operation: &str,
        make_default: bool,
    ) -> ApiResult<Map<String, Value>> {
        let mut answer = self.head(operation);
        if !self.cache.is_keyed() {
            return Ok(self.unsupported(answer));
        }
        if make_default {
            set_default_key(
                ctx,
                &self.identity.provider,
                &self.identity.model,
                Some(&self.key),
            )
            .await?;
        }
        answer.insert("ok".to_owned(), true.into());
        answer.insert("prepared".to_owned(), false.into());
        answer.insert("code".to_owned(), "prompt_cache_key_hint_only".into());
        answer.insert("hint".to_owned(), HINT.into());
        Ok(answer)
    }

    async fn clear(&self, ctx: &CallContext) -> ApiResult<Map<String, Value>> {
        let mut answer = self.head("clear");
        answer.insert("ok".to_owned(), false.into());
        if !self.cache.is_keyed() {
            answer.insert("code".to_owned(), "prompt_cache_clear_unsupported".into());
            answer.insert("error".to_owned(), NO_CLEAR.into());
            return Ok(answer);
        }
        let (provider, model) = (&self.identity.provider, &self.identity.model);
        if default_key(ctx, provider, model).await?.as_deref() == Some(&self.key) {
            set_default_key(ctx, provider, model, None).await?;
        }
        let error = missing_key(&self.key);
        answer.insert("cleared".to_owned(), false.into());
        answer.insert(
            "provider_responses".to_owned(),
            json!({"clear": {
                "supported": false, "operation": "clear", "capabilities": self.cache.capabilities(),
                "code": "prompt_cache_missing_key", "error": error,
            }}),
        );
        answer.insert("code".to_owned(), "prompt_cache_missing_key".into());
        answer.insert("error".to_owned(), error.into());
        Ok(answer)
    }
}

pub(super) async fn session_prompt_cache_status(
    ctx: CallContext,
    Input(Ask(identity)): Input<Ask>,
) -> ApiResult<Json<Value>> {
    let session = Session::of(&ctx, identity).await?;
    Ok(Json(session.status(&ctx).await?.into()))
}

pub(super) async fn prepare_session_prompt_cache(
    ctx: CallContext,
    Input(change): Input<Change>,
) -> ApiResult<Json<Value>> {
    change.check()?;
    let session = Session::of(&ctx, change.identity).await?;
    Ok(Json(
        session
            .prepare(&ctx, "prepare", change.make_default)
            .await?
            .into(),
    ))
}

pub(super) async fn clear_session_prompt_cache(
    ctx: CallContext,
    Input(change): Input<Change>,
) -> ApiResult<Json<Value>> {
    change.check()?;
    let session = Session::of(&ctx, change.identity).await?;
    Ok(Json(session.clear(&ctx).await?.into()))
}

pub(super) async fn rebuild_session_prompt_cache(
    ctx: CallContext,
    Input(change): Input<Change>,
) -> ApiResult<Json<Value>> {
    change.check()?;
    let session = Session::of(&ctx, change.identity).await?;
    let cleared = session.clear(&ctx).await?;
    let prepared = session.prepare(&ctx, "prepare", change.make_default).await?;
    let mut answer = prepared.clone();
    answer.insert("operation".to_owned(), "rebuild".into());
    let warnings: Vec<Value> = cleared.get("error").cloned().into_iter().collect();
    answer.insert("clear_result".to_owned(), cleared.into());
    answer.insert("prepare_result".to_owned(), prepared.into());
    answer.insert("warnings".to_owned(), warnings.into());
    Ok(Json(answer.into()))
}
