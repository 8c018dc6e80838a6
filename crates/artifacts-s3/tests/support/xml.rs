//! Answers of the protocol.

use std::time::SystemTime;

use jiff::Timestamp;

use super::server::Object;

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).expect("a time of this century")
}

/// For headers.
pub(super) fn http_date(time: SystemTime) -> String {
    timestamp(time).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn iso(time: SystemTime) -> String {
    timestamp(time).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

pub(super) fn error(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>")
}

pub(super) fn copied(object: &Object) -> String {
    format!(
        "<CopyObjectResult><ETag>{}</ETag><LastModified>{}</LastModified></CopyObjectResult>",
        object.etag(),
        iso(object.modified)
    )
}

pub(super) fn initiated(id: &str) -> String {
    format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>")
}

pub(super) fn completed(object: &Object) -> String {
    format!(
        "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>",
        object.etag()
    )
}

/// A page of keys; `next` continues it.
pub(super) fn listed(page: &[(String, Object)], next: Option<&str>) -> String {
    let contents: String = page
        .iter()
        .map(|(key, object)| {
            format!(
                "<Contents><Key>{}</Key><Size>{}</Size><LastModified>{}</LastModified><ETag>{}</ETag></Contents>",
                escape(key),
                object.bytes.len(),
                iso(object.modified),
                object.etag()
            )
        })
        .collect();
    let next = next.map(|token| format!("<NextContinuationToken>{}</NextContinuationToken>", escape(token)));
    format!(
        "<ListBucketResult><IsTruncated>{}</IsTruncated>{contents}{}</ListBucketResult>",
        next.is_some(),
        next.unwrap_or_default()
    )
}
