//! Requests as tables: each operation names its fields, and every field that fails is reported in one answer.
//!
//! ```text
//! impl Request for ListRuns {
//!     fn read(reader: &mut Reader) -> Self {
//!         let mut query = reader.query();
//!         Self {
//!             limit: query.or("limit", int().ge(1).le(500), 50),
//!             status: query.optional("status", string()),
//!         }
//!     }
//! }
//! ```
//!
//! Types, locations and messages are those of the contract's 422 answers (README, "Error shapes"). A value that
//! could not be read is replaced by a default; the request never reaches its handler then.

mod fields;
mod issue;
mod json_body;
mod kinds;
#[cfg(test)]
mod tests;

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, RawPathParams},
};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;

pub use fields::{Fields, Reader};
pub use issue::{Given, Issue, Loc};
pub use json_body::parse as parse_json;
pub use kinds::{
    Anything, At, Boolean, BooleanOrString, Dict, Float, Int, Kind, List, Nested, NestedFields, Text, any,
    boolean, boolean_or_string, float, int, list, nested, object, string,
};

use crate::ApiError;

/// The JSON body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRule {
    /// Not read.
    None,
    /// Must be there.
    Required,
    /// An absent body is an empty object.
    Optional,
}

/// A request that can be read from path, query and body.
pub trait Request: Sized {
    /// What is expected of the body.
    const BODY: BodyRule = BodyRule::None;

    /// Reads the fields, path first, then query, then body: the order of the answer's list.
    fn read(reader: &mut Reader) -> Self;
}

/// Extractor for a [`Request`].
#[derive(Debug, Clone, Copy)]
pub struct Input<T>(pub T);

/// The body's bytes beside the request, for operations that hash what they were sent.
#[derive(Debug, Clone)]
pub struct InputWithBytes<T>(pub T, pub Bytes);

impl<S: Send + Sync, T: Request> FromRequest<S> for Input<T> {
    type Rejection = ApiError;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, ApiError> {
        read(request, state).await.map(|(value, _)| Self(value))
    }
}

impl<S: Send + Sync, T: Request> FromRequest<S> for InputWithBytes<T> {
    type Rejection = ApiError;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, ApiError> {
        read(request, state)
            .await
            .map(|(value, bytes)| Self(value, bytes))
    }
}

async fn read<S: Send + Sync, T: Request>(
    request: axum::extract::Request,
    state: &S,
) -> Result<(T, Bytes), ApiError> {
    let (mut parts, body) = request.into_parts();
    let path = RawPathParams::from_request_parts(&mut parts, state)
        .await
        .map_err(|_| ApiError::not_found("Not Found"))?;
    let path = path
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let query = parts.uri.query().unwrap_or_default();
    let bytes = match T::BODY {
        BodyRule::None => Bytes::new(),
        BodyRule::Required | BodyRule::Optional => collect(body).await?,
    };
    let content_type = parts
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let mut reader = Reader::new(path, query, T::BODY, content_type, bytes.clone());
    let value = T::read(&mut reader);
    reader.finish()?;
    Ok((value, bytes))
}

/// The security layer has bounded the body.
async fn collect(body: Body) -> Result<Bytes, ApiError> {
    let collected = body.collect().await;
    collected
        .map(http_body_util::Collected::to_bytes)
        .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, "There was an error parsing the body"))
}
