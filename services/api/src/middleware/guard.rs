//! The security layer: the order of checks of core-security §1, the first failure answers.

use std::{net::IpAddr, sync::Arc, time::Instant};

use ag_auth::{
    AccessSettings, AuthNeed, Authenticated, Authentication, Authenticator, BodyLimits, ClientAddress,
    ConcurrencyLimits, Credential, CredentialNames, CredentialSource, Failure, Identity, LockoutKey,
    MethodClass, OriginPolicy, Permit, PlaneRule, Pool, Principal, Refusal, admin_route, audit::AuditSink,
    is_gated,
};
use ag_telemetry::metrics::REQUESTS_REFUSED;
use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;

use super::{audit::Audited, outer::insert_all};
use crate::{
    ApiError, AppState, CsrfCheck,
    context::Caller,
    limits::{Lockouts, PlaneLimits, PlanePlace, Refused},
    server::Peer,
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Everything the checks need.
pub(crate) struct Guards {
    pub(crate) enabled: bool,
    pub(crate) trust_proxy: bool,
    pub(crate) access: AccessSettings,
    pub(crate) origins: OriginPolicy,
    pub(crate) lockouts: Lockouts,
    pub(crate) names: CredentialNames,
    pub(crate) csrf_header: String,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) csrf: Arc<dyn CsrfCheck>,
    pub(crate) bodies: BodyLimits,
    pub(crate) places: ConcurrencyLimits,
    pub(crate) plane_rule: PlaneRule,
    pub(crate) planes: PlaneLimits,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) audit_headers: Vec<String>,
}

/// The place of a request or a stream among those of the node and of its plane.
#[derive(Debug)]
struct Place {
    _node: Permit,
    _plane: Option<PlanePlace>,
}

/// The place of a stream; the stream keeps it until its body ends.
#[derive(Debug, Clone)]
pub(crate) struct StreamPlace(#[expect(dead_code, reason = "held for its drop")] Arc<Place>);

/// What the checks without I/O look at.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) address: &'a ClientAddress,
}

impl<'a> Asked<'a> {
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn credential(&self, names: &CredentialNames) -> Option<Credential<'a>> {
        let cookies = self
            .headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        Credential::of_request(names, |name| self.header(name), cookies)
    }
}

/// Answer of the checks.
pub(super) struct Verdict {
    /// The caller, or nobody (login, `OPTIONS`).
    pub(super) principal: Result<Option<Arc<Principal>>, Refusal>,
    pub(super) auth_required: bool,
}

impl Guards {
    /// Checks 2 to 8. A valid credential passes a lockout that others of its address caused (difference X7), so
    /// the credential is judged before the lock is looked at.
    pub(super) async fn judge(&self, asked: &Asked<'_>, now: Instant) -> Verdict {
        let refuse = |refusal, auth_required| Verdict {
            principal: Err(refusal),
            auth_required,
        };
        let need = self
            .access
            .need(asked.method.as_str(), asked.path, asked.address.is_loopback());
        let required = need == AuthNeed::Required;
        if !self.origins.allows(asked.header("origin")) {
            return refuse(Refusal::OriginNotAllowed, required);
        }
        let (principal, source) = match need {
            AuthNeed::Required => match self.authenticate(asked, now).await {
                Ok(Authenticated { principal, source }) => (Some(principal), Some(source)),
                Err(refusal) => return refuse(refusal, true),
            },
            other => (other.principal().map(Arc::new), None),
        };
        if let Some(principal) = &principal {
            let by_session = source.is_some_and(|source| source != CredentialSource::Bearer);
            let is_write = MethodClass::of(asked.method.as_str()) == MethodClass::Write;
            if by_session && is_write && !self.has_csrf_token(asked) {
                return refuse(Refusal::CsrfRequired, required);
            }
            if let Some(route) =
                admin_route(asked.method.as_str(), asked.path).filter(|_| !principal.is_admin())
            {
                return refuse(Refusal::AdminRequired(route), required);
            }
        }
        Verdict {
            principal: Ok(principal),
            auth_required: required,
        }
    }

    async fn authenticate(&self, asked: &Asked<'_>, now: Instant) -> Result<Authenticated, Refusal> {
        if !self.authenticator.is_configured() {
            return Err(Refusal::NoTokenConfigured);
        }
        let credential = asked.credential(&self.names);
        let identity = match credential.map(|credential| credential.source) {
            None => Identity::Anonymous,
            Some(CredentialSource::Bearer) => Identity::Bearer,
            Some(CredentialSource::SessionHeader | CredentialSource::SessionCookie) => Identity::Session,
        };
        match self.authenticator.authenticate(credential) {
            Authentication::Authenticated(found) => {
                self.lockouts.success(|| LockoutKey::new(asked.address, identity));
                Ok(found)
            }
            Authentication::Missing | Authentication::Invalid => {
                let key = LockoutKey::new(asked.address, identity);
                match self.lockouts.failure(key, now).await {
                    Failure::Unauthorized => Err(Refusal::Unauthorized),
                    Failure::Locked { retry_after_s } => Err(Refusal::LockedOut { retry_after_s }),
                }
            }
        }
    }

    fn has_csrf_token(&self, asked: &Asked<'_>) -> bool {
        let token = asked
            .header(&self.csrf_header)
            .map(str::trim)
            .filter(|token| !token.is_empty());
        match (asked.credential(&self.names), token) {
            (Some(credential), Some(token)) => self.csrf.is_valid(credential, token),
            _ => false,
        }
    }
}

/// The security layer.
pub(crate) async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let guards = state.guards();
    if !is_gated(request.uri().path()) {
        return dispatch(&state, request, next).await;
    }
    if !guards.enabled {
        let caller = Caller {
            principal: Arc::new(Principal::local_admin("")),
            request_id: "".into(),
        };
        let mut request = request;
        request.extensions_mut().insert(caller);
        return dispatch(&state, request, next).await;
    }
    let (mut parts, body) = request.into_parts();
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let request_id = ag_auth::request_id(text("x-request-id"));
    tracing::Span::current().record("request.id", request_id.as_str());
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
    let address = client(peer, text("x-forwarded-for"), guards.trust_proxy);
    let asked = Asked {
        method: &parts.method,
        path: parts.uri.path(),
        headers: &parts.headers,
        address: &address,
    };
    let verdict = guards.judge(&asked, Instant::now()).await;
    let audited = Audited::new(guards, &asked, parts.uri.query(), &request_id, &verdict);
    let answer = match verdict.principal {
        Err(refusal) => refused(&refusal),
        Ok(principal) => {
            let caller = principal.map(|principal| Caller {
                principal,
                request_id: request_id.as_str().into(),
            });
            if let Some(caller) = caller {
                parts.extensions.insert(caller);
            }
            let principal = parts
                .extensions
                .get::<Caller>()
                .map(|caller| caller.principal.clone());
            match admit(guards, principal.as_deref(), Request::from_parts(parts, body)).await {
                Err(refusal) => refused(&refusal),
                Ok((request, _place)) => dispatch(&state, request, next).await,
            }
        }
    };
    let mut answer = answer;
    let headers = answer.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.entry(X_REQUEST_ID).or_insert(id);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(audited) = audited {
        audited.finish(answer.status());
    }
    answer
}

/// The address a client is known by.
fn client(peer: Option<IpAddr>, forwarded_for: Option<&str>, trust_proxy: bool) -> ClientAddress {
    ClientAddress::of_request(peer, forwarded_for, trust_proxy)
}

/// Checks 9 and 10: size and place.
async fn admit(
    guards: &Guards,
    principal: Option<&Principal>,
    request: Request,
) -> Result<(Request, Option<Place>), Refusal> {
    let mut request = match MethodClass::of(request.method().as_str()) {
        MethodClass::Write => bounded(&guards.bodies, request).await?,
        _ => request,
    };
    let pool = Pool::of_path(request.uri().path());
    let node = guards
        .places
        .acquire(pool)
        .await
        .ok_or(Refusal::ConcurrencyLimit)?;
    let plane = match principal {
        Some(principal) if !guards.planes.is_off() => {
            let plane = guards.plane_rule.plane_of(principal);
            let entered = guards.planes.enter(pool, &plane).await;
            entered.map_err(|refused| match refused {
                Refused::Places => Refusal::ConcurrencyLimit,
                Refused::Rate { retry_after_s } => Refusal::RateLimited { retry_after_s },
            })?
        }
        _ => None,
    };
    let place = Place {
        _node: node,
        _plane: plane,
    };
    if pool == Pool::Streams {
        request.extensions_mut().insert(StreamPlace(Arc::new(place)));
        return Ok((request, None));
    }
    Ok((request, Some(place)))
}

/// A body without a length is read up to the limit before anything looks at it.
async fn bounded(limits: &BodyLimits, request: Request) -> Result<Request, Refusal> {
    let Some(limit) = limits.limit_for(request.uri().path()) else {
        return Ok(request);
    };
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    match length {
        Some(bytes) if bytes > limit => Err(Refusal::TooLarge { bytes, limit }),
        Some(_) => Ok(request),
        // Uploads are large: who reads the form finds out.
        None if limits.is_upload(request.uri().path()) => Ok(request.map(|body| up_to(body, limit))),
        None => {
            let (parts, body) = request.into_parts();
            let body = read_up_to(body, limit).await?;
            Ok(Request::from_parts(parts, Body::from(body)))
        }
    }
}

/// The end of a body that turned out to be too large.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a body of more than {limit} bytes")]
pub(crate) struct OverLimit {
    bytes: u64,
    limit: u64,
}

impl OverLimit {
    /// As the security layer answers where the length is known before.
    pub(crate) fn refusal(&self) -> ApiError {
        let Self { bytes, limit } = *self;
        let refusal = Refusal::TooLarge { bytes, limit };
        let text = refusal.body()["detail"].as_str().unwrap_or_default().to_owned();
        ApiError::too_large(text)
    }
}

/// The same body, which fails with [`OverLimit`] beyond the limit.
fn up_to(body: Body, limit: u64) -> Body {
    let mut bytes = 0;
    let counted = body.into_data_stream().map(move |chunk| {
        let chunk = chunk?;
        bytes += chunk.len() as u64;
        match bytes > limit {
            true => Err(axum::Error::new(OverLimit { bytes, limit })),
            false => Ok(chunk),
        }
    });
    Body::from_stream(counted)
}

async fn read_up_to(mut body: Body, limit: u64) -> Result<Bytes, Refusal> {
    let mut read = BytesMut::new();
    // A broken body ends here as a short one; whoever parses it says so.
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            let bytes = (read.len() + data.len()) as u64;
            if bytes > limit {
                return Err(Refusal::TooLarge { bytes, limit });
            }
            read.extend_from_slice(&data);
        }
    }
    Ok(read.freeze())
}

/// Routing. `HEAD` is registered nowhere, though the router would answer it like `GET`.
async fn dispatch(state: &AppState, request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD
        && let Some(refusal) = state
            .routes()
            .refuse_method(request.extensions().get::<MatchedPath>())
    {
        return refusal;
    }
    next.run(request).await
}

fn refused(refusal: &Refusal) -> Response {
    let reason = match refusal {
        Refusal::OriginNotAllowed => "origin",
        Refusal::LockedOut { .. } => "lockout",
        Refusal::NoTokenConfigured | Refusal::Unauthorized => "auth",
        Refusal::CsrfRequired => "csrf",
        Refusal::AdminRequired(_) => "admin",
        Refusal::TooLarge { .. } => "body",
        Refusal::ConcurrencyLimit => "concurrency",
        Refusal::RateLimited { .. } => "rate",
    };
    REQUESTS_REFUSED.with([reason]).increment(1);
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
    let content_type = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    let mut response = (status, content_type, refusal.body().to_string()).into_response();
    insert_all(response.headers_mut(), refusal.headers());
    response
}
