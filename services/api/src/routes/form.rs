//! Multipart forms: one file, and text fields read by the same tables as JSON bodies.
//!
//! The file is not held in memory ([`Spool`]), and a form whose file is too large is refused before much more than the
//! limit has been read of it.

use std::{
    error::Error as _,
    task::{Poll, ready},
};

use ag_config::Config;
use axum::{
    body::Body,
    extract::{
        DefaultBodyLimit, FromRequest, Multipart,
        multipart::{Field, MultipartError},
    },
};
use futures::StreamExt as _;
use http::{Request, StatusCode};

use crate::{
    ApiError, AppState,
    input::{BodyRule, Fields, Reader, any},
    middleware::OverLimit,
    spool::{Spool, Spooling},
};
use ag_types::Object;

/// Name of the part that carries the file, in every upload of the contract.
const FILE: &str = "file";

/// Parts of one form; no operation has more than a handful of fields.
const MAX_PARTS: usize = 100;

/// Bytes of all text fields together.
const MAX_TEXT: usize = 1024 * 1024;

/// So much of a file is read beyond its limit before it is refused: the refusal of a file that is little too large
/// can name its size.
const SLACK: u64 = 64 * 1024;

/// Bytes of a body that the parser gets at a time.
const PIECE: usize = 64 * 1024;

/// What an upload consists of.
pub(crate) trait FormFields: Sized {
    /// Largest file, in bytes.
    fn max_file_bytes(config: &Config) -> u64;

    /// The refusal of a file with more than `max` bytes, of which `size` are known.
    fn too_large(size: u64, max: u64) -> ApiError;

    /// Reads the text fields; the file has been read already.
    fn read(fields: &mut Fields<'_>) -> Self;
}

/// The uploaded file.
#[derive(Debug, Default)]
pub(crate) struct FormFile {
    /// As the client named it; foreign text, not a path of ours.
    pub(crate) name: Option<String>,
    /// Type the part claims.
    pub(crate) content_type: Option<String>,
    /// Content, within the limit.
    pub(crate) content: Spool,
}

/// An upload: text fields and the part `file`.
pub(crate) struct Form<T> {
    /// The text fields.
    pub(crate) fields: T,
    /// The file, or its refusal, which comes after what the handler checks first.
    pub(crate) file: Result<FormFile, ApiError>,
}

impl<T: FormFields> FromRequest<AppState> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(mut request: Request<Body>, state: &AppState) -> Result<Self, ApiError> {
        // The security layer has bounded the body by the operation's own limit.
        DefaultBodyLimit::disable().apply(&mut request);
        let request = request.map(in_pieces);
        let max = T::max_file_bytes(state.config());
        let mut texts = Object::new();
        let mut text_bytes = 0;
        let mut file = Ok(FormFile::default());
        // A body that is no form has no fields: each one is reported as missing.
        if let Ok(mut parts) = Multipart::from_request(request, state).await {
            let mut count = 0;
            while let Some(mut part) = parts.next_field().await.map_err(|error| unreadable(&error))? {
                count += 1;
                if count > MAX_PARTS {
                    return Err(ApiError::bad_request("Too many parts in the form"));
                }
                let Some(name) = part.name().map(str::to_owned) else {
                    continue;
                };
                if name == FILE {
                    let named = part
                        .file_name()
                        .map(str::to_owned)
                        .filter(|name| !name.is_empty());
                    let content_type = part.content_type().map(str::to_owned);
                    let content = spooled::<T>(&mut part, max).await?;
                    file = content.map(|content| FormFile {
                        name: named,
                        content_type,
                        content,
                    });
                    texts.insert(name, true.into());
                } else {
                    let text = text(&mut part, &mut text_bytes).await?;
                    texts.insert(name, text.into());
                }
            }
        }
        let json = serde_json::to_vec(&texts).map_err(|error| ApiError::internal("form fields", &error))?;
        let mut reader = Reader::new(
            Vec::new(),
            "",
            BodyRule::Required,
            Some("application/json"),
            json.into(),
        );
        let fields = {
            let mut fields = reader.body();
            fields.required(FILE, any());
            T::read(&mut fields)
        };
        reader.finish()?;
        Ok(Self { fields, file })
    }
}

/// The same body, which after each piece says once that nothing is there yet: the parser collects whatever it can get
/// before it hands anything on.
fn in_pieces(body: Body) -> Body {
    let mut chunks = body.into_data_stream();
    let mut taken = 0;
    Body::from_stream(futures::stream::poll_fn(move |cx| {
        if taken >= PIECE {
            taken = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let chunk = ready!(chunks.poll_next_unpin(cx));
        if let Some(Ok(chunk)) = &chunk {
            taken += chunk.len();
        }
        Poll::Ready(chunk)
    }))
}

/// The file of a form. The inner error is the refusal of one that is a little too large; one that is much larger is
/// refused at once.
async fn spooled<T: FormFields>(part: &mut Field<'_>, max: u64) -> Result<Result<Spool, ApiError>, ApiError> {
    let mut spooling = Spooling::default();
    let mut size = 0;
    while let Some(chunk) = part.chunk().await.map_err(|error| unreadable(&error))? {
        size += chunk.len() as u64;
        if size > max.saturating_add(SLACK) {
            return Err(T::too_large(size, max));
        }
        if size <= max {
            let written = spooling.push(&chunk).await;
            written.map_err(|error| ApiError::internal("spooling an upload", &error))?;
        }
    }
    if size > max {
        return Ok(Err(T::too_large(size, max)));
    }
    let spool = spooling.finish().await;
    spool
        .map(Ok)
        .map_err(|error| ApiError::internal("spooling an upload", &error))
}

/// A text field; `total` counts those of the whole form.
async fn text(part: &mut Field<'_>, total: &mut usize) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(|error| unreadable(&error))? {
        *total += chunk.len();
        if *total > MAX_TEXT {
            return Err(ApiError::bad_request("Part exceeded maximum size of 1024KB."));
        }
        bytes.extend_from_slice(&chunk);
    }
    // As clients' own libraries decode what is not UTF-8.
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn unreadable(error: &MultipartError) -> ApiError {
    tracing::debug!(error = %error, "form refused");
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(over) = inner.downcast_ref::<OverLimit>() {
            return over.refusal();
        }
        cause = inner.source();
    }
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large("Request body too large"),
        _ => ApiError::bad_request("There was an error parsing the body"),
    }
}
