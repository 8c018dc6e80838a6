//! Reads, writes and the rest.

/// What kind of request a method makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodClass {
    /// GET, HEAD.
    Read,
    /// POST, PUT, PATCH, DELETE.
    Write,
    /// OPTIONS: goes to routing without authentication.
    Options,
    /// Methods that no route serves.
    Other,
}

impl MethodClass {
    /// The class of a method; methods are case-sensitive (RFC 9110).
    #[must_use]
    pub fn of(method: &str) -> Self {
        match method {
            "GET" | "HEAD" => Self::Read,
            "POST" | "PUT" | "PATCH" | "DELETE" => Self::Write,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}
