//! CORS headers as data. Every origin is reflected: the security layer decides who may call, and a refusal can
//! only be shown by the page if the browser may read it.

/// Methods that a preflight is told, and accepts.
const METHODS: &[&str] = &[
    "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY",
];

/// A header name and its value.
pub type Header = (&'static str, String);

/// The answer to a preflight request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// HTTP status.
    pub status: u16,
    /// Text body, `text/plain`.
    pub body: &'static str,
    /// Headers.
    pub headers: Vec<Header>,
}

/// Whether a request is a preflight: answered here, without origin check or authentication.
#[must_use]
pub fn is_preflight(method: &str, origin: Option<&str>, requested_method: Option<&str>) -> bool {
    method == "OPTIONS" && origin.is_some() && requested_method.is_some()
}

/// Headers of every answer to a request with an `Origin`, refusals included.
#[must_use]
pub fn response_headers(origin: &str) -> Vec<Header> {
    vec![
        ("access-control-allow-origin", origin.to_owned()),
        ("access-control-allow-credentials", "true".to_owned()),
        ("access-control-expose-headers", "*".to_owned()),
        ("vary", "Origin".to_owned()),
    ]
}

/// Answers a preflight. The requested headers are echoed.
#[must_use]
pub fn preflight(origin: &str, requested_method: &str, requested_headers: Option<&str>) -> Preflight {
    let mut headers = vec![
        ("access-control-allow-origin", origin.to_owned()),
        ("access-control-allow-credentials", "true".to_owned()),
        ("access-control-allow-methods", METHODS.join(", ")),
        ("access-control-max-age", "600".to_owned()),
        ("vary", "Origin".to_owned()),
    ];
    if let Some(requested) = requested_headers {
        headers.push(("access-control-allow-headers", requested.to_owned()));
    }
    let (status, body) = if METHODS.contains(&requested_method) {
        (200, "OK")
    } else {
        (400, "Disallowed CORS method")
    };
    Preflight {
        status,
        body,
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
        headers
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn simple_responses() {
        let headers = response_headers("http://evil.example");
        assert_eq!(
            value(&headers, "access-control-allow-origin"),
            Some("http://evil.example")
        );
        assert_eq!(value(&headers, "access-control-allow-credentials"), Some("true"));
        assert_eq!(value(&headers, "access-control-expose-headers"), Some("*"));
        assert_eq!(value(&headers, "vary"), Some("Origin"));
    }

    #[test]
    fn preflights() {
        assert!(is_preflight("OPTIONS", Some("http://x"), Some("POST")));
        assert!(!is_preflight("OPTIONS", Some("http://x"), None));
        assert!(!is_preflight("OPTIONS", None, Some("POST")));
        assert!(!is_preflight("GET", Some("http://x"), Some("POST")));

        let answer = preflight("http://x", "PATCH", Some("authorization, x-foo"));
        assert_eq!((answer.status, answer.body), (200, "OK"));
        let methods = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY";
        assert_eq!(
            value(&answer.headers, "access-control-allow-methods"),
            Some(methods)
        );
        assert_eq!(
            value(&answer.headers, "access-control-allow-headers"),
            Some("authorization, x-foo")
        );
        assert_eq!(value(&answer.headers, "access-control-max-age"), Some("600"));
        assert_eq!(
            value(&answer.headers, "access-control-allow-origin"),
            Some("http://x")
        );

        let answer = preflight("http://x", "TRACE", None);
        assert_eq!(answer.status, 400);
        assert_eq!(value(&answer.headers, "access-control-allow-headers"), None);
    }
}
