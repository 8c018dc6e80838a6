//! Default models of a running gateway.

use std::io::Write as _;

use anyhow::bail;
use serde_json::{Map, Value, json};

use crate::client::{Api, Connection};

/// A change of one default.
pub(super) struct Change {
    pub(super) provider: Option<String>,
    pub(super) model: Option<String>,
    pub(super) base_url: Option<String>,
    pub(super) options: Vec<String>,
}

/// Shows what is configured.
pub(super) async fn list(connection: &Connection, token: Option<String>, json: bool) -> anyhow::Result<()> {
    let answer = Api::new(&connection.url, token)?
        .get("/config/capability-defaults")
        .await?;
    show(&answer, json)
}

/// Sets one.
pub(super) async fn set(
    connection: &Connection,
    token: Option<String>,
    route: &str,
    change: &Change,
) -> anyhow::Result<()> {
    let mut body = json!({"provider": change.provider, "model": change.model, "base_url": change.base_url});
    let mut options = Map::new();
    for pair in &change.options {
        let Some((key, value)) = pair.split_once('=') else {
            bail!("--option wants KEY=VALUE, got '{pair}'")
        };
        options.insert(
            key.to_owned(),
            serde_json::from_str(value).unwrap_or_else(|_| value.into()),
        );
    }
    if !options.is_empty() {
        body["options"] = Value::Object(options);
    }
    let answer = Api::new(&connection.url, token)?
        .put(&path(route)?, &body)
        .await?;
    show(&answer, false)
}

/// Removes one.
pub(super) async fn clear(connection: &Connection, token: Option<String>, route: &str) -> anyhow::Result<()> {
    let answer = Api::new(&connection.url, token)?.delete(&path(route)?).await?;
    show(&answer, false)
}

fn path(route: &str) -> anyhow::Result<String> {
    let parts: Vec<&str> = route.split(['.', '/']).collect();
    let safe = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(safe) {
        bail!("'{route}' is no route; routes look like output.text or output.image.text_to_image");
    }
    Ok(format!("/config/capability-defaults/{}", parts.join("/")))
}

fn show(answer: &Value, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(answer)?)?;
        return Ok(());
    }
    for row in answer["routes"].as_array().into_iter().flatten() {
        if row["configured"] != true && row["covered_by"].is_null() {
            continue;
        }
        let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        writeln!(
            out,
            "{:<32} {} / {}  {}",
            text("key"),
            text("provider"),
            text("model"),
            row["base_url"].as_str().unwrap_or("")
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn routes_become_paths() {
        assert_eq!(
            path("output.text").expect("route"),
            "/config/capability-defaults/output/text"
        );
        assert_eq!(
            path("output/image/text_to_image").expect("route"),
            "/config/capability-defaults/output/image/text_to_image"
        );
        for bad in ["text", "a.b.c.d", "output..text", "output.te xt", "output.%2e"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
