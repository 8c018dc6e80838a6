//! Log lines.

mod json;

pub(crate) use json::json_layer;

/// The filter for a level of the contract (`DEBUG`, `INFO`, `WARNING`, `ERROR`, `CRITICAL`, `NONE`), unless
/// directives in the notation of tracing are given. An unknown level is the default one, `ERROR`.
#[must_use]
pub fn filter_text(level: &str, directives: Option<&str>) -> String {
    if let Some(directives) = directives
        .map(str::trim)
        .filter(|directives| !directives.is_empty())
    {
        return directives.to_owned();
    }
    let level = match level.trim().to_ascii_uppercase().as_str() {
        "TRACE" => "trace",
        "DEBUG" => "debug",
        "INFO" => "info",
        "WARN" | "WARNING" => "warn",
        "NONE" | "OFF" => "off",
        _ => "error",
    };
    level.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives() {
        for (level, directives, expected) in [
            ("DEBUG", None, "debug"),
            ("info", None, "info"),
            ("Warning", None, "warn"),
            ("ERROR", None, "error"),
            ("CRITICAL", None, "error"),
            ("NONE", None, "off"),
            ("", None, "error"),
            ("LOUD", None, "error"),
            ("DEBUG", Some(" "), "debug"),
            ("DEBUG", Some("info,ag_engine=trace"), "info,ag_engine=trace"),
        ] {
            assert_eq!(filter_text(level, directives), expected, "{level} {directives:?}");
        }
    }
}
