//! The bucket and its operations.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hex::encode;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use super::{BUCKET, signature, xml};

/// Keys per page: small, so that every listing has several.
const PAGE: usize = 3;
/// Largest body: a part and its slack. A larger one would mean that a value was sent as a whole.
const BODY: usize = 9 * 1024 * 1024;

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) modified: SystemTime,
}

impl Object {
    fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            modified: SystemTime::now(),
        }
    }

    pub(super) fn etag(&self) -> String {
        format!("\"{}\"", encode(&Sha256::digest(&self.bytes)[..16]))
    }
}

#[derive(Default)]
struct Upload {
    key: String,
    parts: BTreeMap<u32, Bytes>,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    uploads: HashMap<String, Upload>,
    begun: usize,
    parts: usize,
    failures: HashMap<Method, usize>,
}

/// What the server holds and what was asked of it.
#[derive(Default)]
pub(crate) struct Bucket(Mutex<Inner>);

impl Bucket {
    pub(crate) fn keys(&self) -> Vec<String> {
        self.0.lock().objects.keys().cloned().collect()
    }

    /// Makes every object look as old as `age`.
    pub(crate) fn age(&self, age: Duration) {
        for object in self.0.lock().objects.values_mut() {
            object.modified -= age;
        }
    }

    /// Answers the next requests of a method with 503.
    pub(crate) fn fail(&self, method: Method, times: usize) {
        self.0.lock().failures.insert(method, times);
    }

    /// Uploads that were begun and neither completed nor aborted.
    pub(crate) fn open_uploads(&self) -> usize {
        self.0.lock().uploads.len()
    }

    /// Parts that were ever received.
    pub(crate) fn parts(&self) -> usize {
        self.0.lock().parts
    }
}

pub(super) async fn answer(State(bucket): State<Arc<Bucket>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY).await else {
        return failure(StatusCode::BAD_REQUEST, "EntityTooLarge");
    };
    if let Some(reason) = signature::refusal(&head.method, &head.uri, &head.headers, &body) {
        return failure(StatusCode::FORBIDDEN, reason);
    }
    let path = decode(head.uri.path().trim_start_matches('/'));
    let (name, key) = path.split_once('/').unwrap_or((&path, ""));
    if name != BUCKET {
        return failure(StatusCode::NOT_FOUND, "NoSuchBucket");
    }
    let query: HashMap<String, String> = head
        .uri
        .query()
        .unwrap_or_default()
        .replace('+', "%20")
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    let text = |name: header::HeaderName| {
        let value = head.headers.get(name)?;
        Some(decode(value.to_str().ok()?))
    };
    let source = text(header::HeaderName::from_static("x-amz-copy-source"));
    let range = text(header::RANGE);
    let mut inner = bucket.0.lock();
    if let Some(left) = inner.failures.get_mut(&head.method).filter(|left| **left > 0) {
        *left -= 1;
        return failure(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
    }
    match (head.method, query.get("uploadId")) {
        (Method::GET, _) if key.is_empty() => inner.list(&query),
        (Method::GET | Method::HEAD, _) => inner.get(key, range.as_deref()),
        (Method::PUT, Some(id)) => inner.part(id, query.get("partNumber"), body),
        (Method::PUT, None) => match source {
            Some(source) => inner.copy(&source, key),
            None => inner.put(key, body),
        },
        (Method::POST, Some(id)) => inner.complete(id, &body),
        (Method::POST, None) if query.contains_key("uploads") => inner.begin(key),
        (Method::DELETE, Some(id)) => {
            inner.uploads.remove(id);
            StatusCode::NO_CONTENT.into_response()
        }
        (Method::DELETE, None) => {
            inner.objects.remove(key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => failure(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
    }
}

impl Inner {
    fn put(&mut self, key: &str, bytes: Bytes) -> Response {
        let object = Object::new(bytes);
        let etag = object.etag();
        self.objects.insert(key.to_owned(), object);
        ([(header::ETAG, etag)], "").into_response()
    }

    fn get(&self, key: &str, range: Option<&str>) -> Response {
        let Some(object) = self.objects.get(key) else {
            return failure(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        let size = object.bytes.len();
        let mut answer = Response::builder()
            .header(header::ETAG, object.etag())
            .header(header::LAST_MODIFIED, xml::http_date(object.modified));
        let mut bytes = object.bytes.clone();
        if let Some(range) = range {
            let bounds = range
                .strip_prefix("bytes=")
                .and_then(|range| range.split_once('-'));
            let bound = |text: &str| text.parse::<usize>().ok();
            let (start, last) = match bounds {
                Some((start, last)) => (bound(start), bound(last).unwrap_or(usize::MAX)),
                None => (None, 0),
            };
            let Some(start) = start.filter(|start| *start < size) else {
                return failure(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
            };
            let end = last.saturating_add(1).min(size);
            bytes = bytes.slice(start..end);
            answer = answer
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", end - 1));
        }
        answer
            .header(header::CONTENT_LENGTH, bytes.len())
            .body(Body::from(bytes))
            .expect("an answer")
    }

    fn copy(&mut self, source: &str, key: &str) -> Response {
        let source = source.trim_start_matches('/');
        let source = source
            .strip_prefix(BUCKET)
            .unwrap_or(source)
            .trim_start_matches('/');
        let Some(object) = self.objects.get(source) else {
            return failure(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        let copy = Object::new(object.bytes.clone());
        let answer = xml::copied(&copy);
        self.objects.insert(key.to_owned(), copy);
        answer.into_response()
    }

    fn begin(&mut self, key: &str) -> Response {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        let upload = Upload {
            key: key.to_owned(),
            ..Upload::default()
        };
        self.uploads.insert(id.clone(), upload);
        xml::initiated(&id).into_response()
    }

    fn part(&mut self, id: &str, number: Option<&String>, bytes: Bytes) -> Response {
        let number = number.and_then(|number| number.parse().ok());
        let (Some(upload), Some(number)) = (self.uploads.get_mut(id), number) else {
            return failure(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        self.parts += 1;
        upload.parts.insert(number, bytes);
        ([(header::ETAG, format!("\"part-{number}\""))], "").into_response()
    }

    fn complete(&mut self, id: &str, body: &[u8]) -> Response {
        let Some(upload) = self.uploads.remove(id) else {
            return failure(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        let text = String::from_utf8_lossy(body);
        if upload
            .parts
            .keys()
            .any(|number| !text.contains(&format!("part-{number}")))
        {
            return failure(StatusCode::BAD_REQUEST, "InvalidPart");
        }
        let whole: Vec<u8> = upload.parts.into_values().flatten().collect();
        let object = Object::new(whole.into());
        let answer = xml::completed(&object);
        self.objects.insert(upload.key, object);
        answer.into_response()
    }

    fn list(&self, query: &HashMap<String, String>) -> Response {
        let prefix = query.get("prefix").map_or("", String::as_str);
        let after = query.get("continuation-token").or(query.get("start-after"));
        let from = match after {
            Some(after) => Bound::Excluded(after.clone()),
            None => Bound::Unbounded,
        };
        let matching = self.objects.range((from, Bound::Unbounded));
        let mut page: Vec<(String, Object)> = matching
            .filter(|(key, _)| key.starts_with(prefix))
            .take(PAGE + 1)
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect();
        let more = page.len() > PAGE;
        page.truncate(PAGE);
        let next = page.last().map(|(key, _)| key.clone()).filter(|_| more);
        xml::listed(&page, next.as_deref()).into_response()
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn failure(status: StatusCode, code: &str) -> Response {
    (status, xml::error(code)).into_response()
}
