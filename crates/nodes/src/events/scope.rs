//! Scopes of events.

/// A valid event scope; everything else means the session.
pub(super) fn or_session(scope: Option<&str>) -> String {
    let scope = scope.unwrap_or_default().to_lowercase();
    match scope.as_str() {
        "workflow" | "run" | "global" => scope,
        _ => "session".to_owned(),
    }
}
