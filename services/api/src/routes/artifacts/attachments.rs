//! `POST /attachments/upload`: a client's file for a session.

use ag_artifacts::{UploadTags, declared_or_guessed, file_name, normalise_source_path, upload_tags};
use ag_config::Config;
use axum::Json;

use super::store::{Stored, session, store};
use crate::{
    ApiError, ApiResult, CallContext,
    input::{Fields, string},
    routes::form::{Form, FormFields},
};

/// Name of a file that came without one.
const UNNAMED: &str = "attachment";

/// Fields of the form.
pub(super) struct UploadAttachment {
    session_id: String,
    filename: Option<String>,
    content_type: Option<String>,
    source_path: Option<String>,
}

impl FormFields for UploadAttachment {
    fn max_file_bytes(config: &Config) -> u64 {
        config.limits.attachment_bytes()
    }

    fn too_large(size: u64, max: u64) -> ApiError {
        ApiError::too_large(format!("Attachment too large ({size} bytes > {max} bytes)"))
    }

    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            session_id: fields.required("session_id", string()),
            filename: fields.optional("filename", string()),
            content_type: fields.optional("content_type", string()),
            source_path: fields.optional("source_path", string()),
        }
    }
}

pub(super) async fn upload_attachment(
    ctx: CallContext,
    form: Form<UploadAttachment>,
) -> ApiResult<Json<Stored>> {
    let Form { fields, file } = form;
    let session_id = session(&fields.session_id)?;
    let file = file?;
    let source_path = normalise_source_path(fields.source_path.as_deref().unwrap_or_default());
    let filename = [
        fields.filename.as_deref(),
        file.name.as_deref(),
        Some(&source_path),
    ]
    .into_iter()
    .flatten()
    .find_map(file_name)
    .unwrap_or_else(|| UNNAMED.to_owned());
    let claimed = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let declared = claimed(fields.content_type).or_else(|| claimed(file.content_type));
    let content_type = declared_or_guessed(declared.as_deref(), &filename);
    let describe = {
        let content_type = content_type.clone();
        move |sha256: &str| {
            upload_tags(UploadTags {
                filename: &filename,
                path: &source_path,
                session_id,
                sha256,
                content_type: &content_type,
            })
        }
    };
    let stored = store(&ctx, session_id, content_type, file.content, describe).await?;
    Ok(Json(stored.into_attachment()))
}
