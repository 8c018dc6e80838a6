//! Multipart forms: one file, and text fields read by the same tables as JSON bodies.

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, FromRequest, Multipart, multipart::MultipartError},
};
use bytes::Bytes;
use http::{Request, StatusCode};

use crate::{
    ApiError,
    input::{BodyRule, Fields, Reader, any},
};
use ag_types::Object;

/// Name of the part that carries the file, in every upload of the contract.
const FILE: &str = "file";

/// Parts of one form; no operation has more than a handful of fields.
const MAX_PARTS: usize = 100;

/// The text fields of an upload.
pub(crate) trait FormFields: Sized {
    /// Reads the fields; the file has been read already.
    fn read(fields: &mut Fields<'_>) -> Self;
}

/// The uploaded file.
#[derive(Debug, Default)]
pub(crate) struct FormFile {
    /// As the client named it; foreign text, not a path of ours.
    pub(crate) name: Option<String>,
    /// Type the part claims.
    pub(crate) content_type: Option<String>,
    /// Content.
    pub(crate) bytes: Bytes,
}

/// An upload: text fields and the part `file`.
pub(crate) struct Form<T> {
    /// The text fields.
    pub(crate) fields: T,
    /// The file.
    pub(crate) file: FormFile,
}

impl<S: Send + Sync, T: FormFields> FromRequest<S> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(mut request: Request<Body>, state: &S) -> Result<Self, ApiError> {
        // The security layer has bounded the body by the operation's own limit.
        DefaultBodyLimit::disable().apply(&mut request);
        let mut texts = Object::new();
        let mut file = FormFile::default();
        // A body that is no form has no fields: each one is reported as missing.
        if let Ok(mut parts) = Multipart::from_request(request, state).await {
            let mut count = 0;
            while let Some(part) = parts.next_field().await.map_err(|error| unreadable(&error))? {
                count += 1;
                if count > MAX_PARTS {
                    return Err(ApiError::bad_request("Too many parts in the form"));
                }
                let Some(name) = part.name().map(str::to_owned) else {
                    continue;
                };
                if name == FILE {
                    file.name = part
                        .file_name()
                        .map(str::to_owned)
                        .filter(|name| !name.is_empty());
                    file.content_type = part.content_type().map(str::to_owned);
                    file.bytes = part.bytes().await.map_err(|error| unreadable(&error))?;
                    texts.insert(name, true.into());
                } else {
                    let text = part.text().await.map_err(|error| unreadable(&error))?;
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

fn unreadable(error: &MultipartError) -> ApiError {
    tracing::debug!(error = %error, "form refused");
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large("Request body too large"),
        _ => ApiError::bad_request("There was an error parsing the body"),
    }
}
