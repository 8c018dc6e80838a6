//! DuckDuckGo's page for browsers without scripts.

use std::time::Duration;

use ag_outbound::{OutboundClient, read_body};
use async_trait::async_trait;
use reqwest::Method;
use url::Url;

use super::{SearchEngine, SearchError, SearchHit, SearchQuery};
use crate::html::{Event, attribute, read};

const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(20);

/// The adapter.
#[derive(Clone, Debug)]
pub struct DuckDuckGo {
    client: OutboundClient,
    endpoint: Url,
}

impl DuckDuckGo {
    /// Where the public service is.
    pub const ENDPOINT: &str = "https://html.duckduckgo.com/html/";

    /// `endpoint` is [`Self::ENDPOINT`] outside tests.
    #[must_use]
    pub fn new(client: OutboundClient, endpoint: Url) -> Self {
        Self { client, endpoint }
    }

    fn address(&self, query: &SearchQuery) -> Url {
        let mut url = self.endpoint.clone();
        {
            let mut pairs = url.query_pairs_mut();
            pairs
                .append_pair("q", &query.query)
                .append_pair("kl", &query.region);
            let safe = match query.safe_search.as_str() {
                "strict" => "1",
                "off" => "-2",
                _ => "-1",
            };
            pairs.append_pair("kp", safe);
            if let Some(range @ ("d" | "w" | "m" | "y")) = query.time_range.as_deref() {
                pairs.append_pair("df", range);
            }
        }
        url
    }
}

#[async_trait]
impl SearchEngine for DuckDuckGo {
    fn name(&self) -> &'static str {
        "duckduckgo"
    }

    fn source(&self) -> &'static str {
        "duckduckgo.html"
    }

    async fn search(&self, query: &SearchQuery) -> Result<Vec<SearchHit>, SearchError> {
        let response = self
            .client
            .request(Method::GET, self.address(query))
            .map_err(|error| SearchError::Unreachable(error.to_string()))?
            .timeout(TIMEOUT)
            .header("user-agent", "Mozilla/5.0 (compatible; AbstractGateway)")
            .header("accept", "text/html")
            .send()
            .await
            .map_err(|error| SearchError::Unreachable(error.without_url().to_string()))?;
        // 202 is what it answers instead of results when it doubts that a person asks.
        match response.status().as_u16() {
            202 => return Err(SearchError::Challenge),
            200 => {}
            other => return Err(SearchError::Refused(other)),
        }
        let body = read_body(response, MAX_BODY_BYTES)
            .await
            .map_err(|error| SearchError::Unreachable(error.to_string()))?;
        Ok(hits(&String::from_utf8_lossy(&body), query.num_results))
    }
}

enum Field {
    Title,
    Snippet,
}

/// Hits of a result page; advertisements are left out.
fn hits(html: &str, limit: usize) -> Vec<SearchHit> {
    let mut hits: Vec<SearchHit> = Vec::new();
    let mut reading: Option<Field> = None;
    let mut advertisement = false;
    read(html, |event, _| match event {
        Event::Open { tag, attributes } => {
            let classes = attribute(attributes, "class").unwrap_or_default();
            let has = |class: &str| classes.split_whitespace().any(|found| found == class);
            if tag == "div" && has("result") {
                advertisement = has("result--ad");
            }
            if tag == "a" && has("result__a") {
                reading = None;
                let address = attribute(attributes, "href").and_then(target);
                if let Some(url) = address.filter(|_| !advertisement && hits.len() < limit) {
                    hits.push(SearchHit {
                        title: String::new(),
                        url,
                        snippet: String::new(),
                    });
                    reading = Some(Field::Title);
                }
            } else if has("result__snippet") && !advertisement {
                reading = Some(Field::Snippet);
            }
        }
        Event::Close { tag: "a" } => reading = None,
        Event::Close { .. } => {}
        Event::Text(text) => match (&reading, hits.last_mut()) {
            (Some(Field::Title), Some(hit)) => hit.title.push_str(text),
            (Some(Field::Snippet), Some(hit)) => hit.snippet.push_str(text),
            _ => {}
        },
    });
    for hit in &mut hits {
        for text in [&mut hit.title, &mut hit.snippet] {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
    hits
}

/// The address behind a redirecting link.
fn target(href: &str) -> Option<String> {
    let base = Url::parse("https://duckduckgo.com/").ok()?;
    let url = base.join(href).ok()?;
    let is_redirect = url
        .host_str()
        .is_some_and(|host| host.ends_with("duckduckgo.com"))
        && url.path().starts_with("/l/");
    if is_redirect {
        let (_, behind) = url.query_pairs().find(|(key, _)| key == "uddg")?;
        return Url::parse(&behind).ok().map(String::from);
    }
    (url.host_str() != Some("duckduckgo.com")).then(|| url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<div class="result results_links result--ad"><a class="result__a" href="https://ad.example/">Ad</a>
      <a class="result__snippet" href="x">buy</a></div>
      <div class="result results_links web-result"><h2><a rel="nofollow" class="result__a"
        href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fexample.org%2Fa%3Fb%3D1&amp;rut=x">The <b>first</b> &amp; best</a></h2>
      <a class="result__snippet" href="x">Some
        <b>text</b> here</a></div>
      <div class="result"><a class="result__a" href="https://example.net/">Second</a></div>
      <div class="result"><a class="result__a" href="https://duckduckgo.com/settings">Own</a></div>"#;

    #[test]
    fn hits_are_read_from_the_page() {
        let found = hits(PAGE, 10);
        assert_eq!(
            found,
            [
                SearchHit {
                    title: "The first & best".to_owned(),
                    url: "https://example.org/a?b=1".to_owned(),
                    snippet: "Some text here".to_owned()
                },
                SearchHit {
                    title: "Second".to_owned(),
                    url: "https://example.net/".to_owned(),
                    snippet: String::new()
                },
            ]
        );
        assert_eq!(hits(PAGE, 1).len(), 1);
        assert!(hits("<html>nothing</html>", 10).is_empty());
    }
}
