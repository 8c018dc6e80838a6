//! Jobs: the server is asked once a second until one is over, and what it tells meanwhile is passed on.
//!
//! The server offers no way to stop a job. A cancelled call closes its connection and asks no more; the job ends by
//! itself and its result is never fetched.

use std::time::{Duration, Instant};

use ag_providers::media::MediaReply;
use ag_providers::{Object, ProgressSink, ProviderError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::HeaderMap;
use reqwest::multipart::Form;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::SplitMedia;
use crate::media::media_type;
use crate::transport::{Exchange, key_header};

/// Pause between two looks at a job.
const POLL: Duration = Duration::from_secs(1);
/// Limit of one look.
const POLL_TIMEOUT: Duration = Duration::from_secs(60);
/// Looks that may fail in a row before the job counts as lost.
const MAX_MISSED: u32 = 5;
impl SplitMedia {
    pub(super) async fn job(
        &self,
        path: &str,
        job: Job,
        progress: ProgressSink<'_>,
        cancel: &CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError> {
        let timeout = self.transport.timeout(job.timeout);
        let deadline = Instant::now() + timeout;
        let exchange = Exchange {
            method: Method::POST,
            path,
            timeout,
            cancel,
        };
        let headers = key_header(job.key.as_deref());
        let answer = match job.body {
            Body::Json(body) => {
                self.transport
                    .json(exchange, Some(&Value::Object(body)), headers)
                    .await?
                    .0
            }
            Body::Form(form) => {
                let url = self.transport.url(path);
                let prepare = |request: reqwest::RequestBuilder| request.multipart(form).headers(headers);
                let answer = self.transport.bytes_at(url, exchange, prepare).await?;
                serde_json::from_slice(&answer.body).map_err(|_| self.unreadable(path, "not JSON"))?
            }
        };
        let id = answer
            .get("job_id")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| {
            ProviderError::Invalid(format!("Remote {} job did not return job_id.", job.what))
        })?;
        self.await_job(id, job.what, deadline, progress, cancel).await
    }

    async fn await_job(
        &self,
        id: &str,
        what: &str,
        deadline: Instant,
        progress: ProgressSink<'_>,
        cancel: &CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError> {
        let mut url = self.transport.url("vision/jobs/");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(id);
        }
        url.query_pairs_mut().append_pair("consume", "true");
        let (mut told, mut missed) = (Object::new(), 0);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(ProviderError::Cancelled),
                () = tokio::time::sleep(POLL) => {}
            }
            if Instant::now() > deadline {
                let place = self.transport.place(&url);
                return Err(ProviderError::Timeout {
                    family: place.family,
                    seconds: self.transport.timeout(None).as_secs_f64(),
                    url: place.url,
                });
            }
            let exchange = Exchange {
                method: Method::GET,
                path: "vision/jobs",
                timeout: POLL_TIMEOUT,
                cancel,
            };
            let job = match self
                .transport
                .json_at(url.clone(), exchange, None, HeaderMap::new())
                .await
            {
                Ok((job, _)) => job,
                // The job goes on whether or not somebody looks.
                Err(error) if is_passing(&error) && missed < MAX_MISSED => {
                    missed += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            missed = 0;
            if let Some(report) = report_of(&job).filter(|report| *report != told) {
                told.clone_from(&report);
                progress(report);
            }
            match job.get("state").and_then(Value::as_str).unwrap_or_default() {
                "succeeded" => return self.results(job),
                "failed" | "cancelled" => return Err(self.failed(&job, what)),
                _ => {}
            }
        }
    }

    fn failed(&self, job: &Value, what: &str) -> ProviderError {
        let error = job.get("error");
        let text = error
            .and_then(|error| error.as_str().or_else(|| error.get("message")?.as_str()))
            .unwrap_or("no reason given");
        let text = crate::errors::tidy(text, self.transport.secret());
        ProviderError::Unsupported(format!("Remote {what} failed: {text}"))
    }

    /// Each piece is decoded and its text dropped before the next: videos are large.
    fn results(&self, mut job: Value) -> Result<Vec<MediaReply>, ProviderError> {
        const PATH: &str = "vision/jobs";
        let inner = job.pointer_mut("/result/data").map(Value::take);
        let data = inner.or_else(|| job.get_mut("data").map(Value::take));
        drop(job);
        let Some(Value::Array(data)) = data else {
            return Err(self.unreadable(PATH, "no result"));
        };
        let reply = |mut item: Value| {
            let Some(Value::String(encoded)) = item.get_mut("b64_json").map(Value::take) else {
                return Err(self.unreadable(PATH, "result without content"));
            };
            let data = STANDARD
                .decode(encoded.trim())
                .map_err(|_| self.unreadable(PATH, "result is not base64"))?;
            drop(encoded);
            let told = ["mime_type", "content_type"]
                .iter()
                .find_map(|key| item.get(*key)?.as_str());
            Ok(MediaReply {
                content_type: told.unwrap_or_else(|| media_type(&data)).to_owned(),
                data: data.into(),
                revised_prompt: item
                    .get("revised_prompt")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                sent_as: Some("b64_json"),
            })
        };
        data.into_iter().map(reply).collect()
    }
}

pub(super) enum Body {
    Json(Object),
    Form(Form),
}

pub(super) struct Job {
    pub(super) body: Body,
    /// For error texts.
    pub(super) what: &'static str,
    pub(super) key: Option<String>,
    pub(super) timeout: Option<Duration>,
}

/// Failures that say nothing about the job.
fn is_passing(error: &ProviderError) -> bool {
    match error {
        ProviderError::Connect { .. }
        | ProviderError::ConnectionLost { .. }
        | ProviderError::Timeout { .. }
        | ProviderError::RateLimited(_) => true,
        ProviderError::Api(failure) => failure.status >= 500,
        _ => false,
    }
}

/// What a job tells of itself.
fn report_of(job: &Value) -> Option<Object> {
    let mut report = match job.get("progress")? {
        Value::Object(progress) => progress.clone(),
        number @ Value::Number(_) => Object::from_iter([("progress".to_owned(), number.clone())]),
        _ => return None,
    };
    report.retain(|_, value| !value.is_null());
    if report.is_empty() {
        return None;
    }
    if let Some(state) = job.get("state").filter(|state| state.is_string()) {
        report.entry("job_state").or_insert_with(|| state.clone());
    }
    Some(report)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn jobs_report_what_they_know() {
        let report = |job: Value| report_of(&job).map(Value::Object);
        assert_eq!(report(json!({"state": "queued"})), None);
        assert_eq!(report(json!({"state": "queued", "progress": {}})), None);
        assert_eq!(
            report(json!({"state": "running", "progress": {"step": 1, "eta_s": null}})),
            Some(json!({"step": 1, "job_state": "running"}))
        );
        assert_eq!(
            report(json!({"state": "running", "progress": 0.5})),
            Some(json!({"progress": 0.5, "job_state": "running"}))
        );
    }
}
