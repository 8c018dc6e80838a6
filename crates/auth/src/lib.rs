//! Who is calling, and may they: principals, tokens, origins, lockout, limits, the route table, the audit log.
//!
//! Everything here is a value or a small state machine without HTTP types, so that the order of checks
//! (`core-security.md` section 1) lives in one place, the API's security layer, and each rule is tested here.
//!
//! Time is a parameter; nothing in this crate reads a clock except the audit writer's default.

mod access;
mod address;
pub mod audit;
mod authenticator;
mod body_limit;
mod concurrency;
pub mod cors;
mod credential;
mod glob;
mod keyed_token;
mod local_token;
mod lockout;
mod method;
mod origin;
mod principal;
mod refusal;
mod request_id;
mod routes;
mod secret_box;
pub mod startup;
mod token;

pub use access::{AccessSettings, AuthNeed};
pub use address::ClientAddress;
pub use authenticator::{Authenticated, Authentication, Authenticator, FirstMatch, SharedTokens};
pub use body_limit::BodyLimits;
pub use concurrency::{ConcurrencyLimits, Permit, Pool};
pub use credential::{Credential, CredentialNames, CredentialSource};
pub use keyed_token::{GeneratedToken, TokenHash, TokenHashKey, TokenParts};
pub use local_token::{LocalTokenError, local_token};
pub use lockout::{Failure, Identity, Lockout, LockoutKey, LockoutPolicy, whole_seconds};
pub use method::MethodClass;
pub use origin::OriginPolicy;
pub use principal::{PlaneKey, PlaneRule, Principal, PrincipalSource, safe_name};
pub use refusal::Refusal;
pub use request_id::request_id;
pub use routes::{Action, AdminRoute, PUBLIC_ROUTES, PublicRoute, admin_route, is_gated};
pub use secret_box::{KeyFile, KeyRing, KeyRingError, SecretBox, SecretBoxError, endpoint_profile_context};
pub use token::{TokenSet, fingerprint};
