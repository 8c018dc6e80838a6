//! Signatures of version 4, as the server checks them.

use axum::http::{HeaderMap, Method, Uri};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{KEY_ID, REGION, SECRET};

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// What is wrong with the request's signature, if anything.
pub(super) fn refusal(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Option<&'static str> {
    let authorization = header(headers, "authorization");
    let Some(fields) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") else {
        return Some("the request is not signed");
    };
    let field = |name: &str| {
        let mut fields = fields.split(',').map(str::trim);
        fields
            .find_map(|field| field.strip_prefix(name))
            .unwrap_or_default()
    };
    let (credential, signed, signature) =
        (field("Credential="), field("SignedHeaders="), field("Signature="));
    let time = header(headers, "x-amz-date");
    let date = time.get(..8).unwrap_or_default();
    let scope = format!("{date}/{REGION}/s3/aws4_request");
    if credential != format!("{KEY_ID}/{scope}") {
        return Some("another key or region");
    }
    let payload = header(headers, "x-amz-content-sha256");
    if payload != "UNSIGNED-PAYLOAD" && payload != hex::encode(Sha256::digest(body)) {
        return Some("the body is not the signed one");
    }
    for needed in ["host", "x-amz-date", "x-amz-content-sha256"] {
        if !signed.split(';').any(|name| name == needed) {
            return Some("a header is not signed");
        }
    }
    // A plus sign is a space, which the signature spells out.
    let query = uri.query().unwrap_or_default().replace('+', "%20");
    let mut query: Vec<&str> = query.split('&').collect();
    query.retain(|pair| !pair.is_empty());
    query.sort_unstable();
    let canonical: String = signed
        .split(';')
        .map(|name| format!("{name}:{}\n", header(headers, name).trim()))
        .collect();
    let request = [
        method.as_str(),
        uri.path(),
        &query.join("&"),
        &canonical,
        signed,
        payload,
    ]
    .join("\n");
    let to_sign = [
        "AWS4-HMAC-SHA256",
        time,
        &scope,
        &hex::encode(Sha256::digest(request)),
    ]
    .join("\n");
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [date, REGION, "s3", "aws4_request"] {
        key = hmac(&key, part);
    }
    (signature != hex::encode(hmac(&key, &to_sign))).then_some("the signature does not match")
}
