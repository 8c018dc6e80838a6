//! Which servers there are.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

/// Limit of one call where the server's entry sets none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
const MAX_SERVERS: usize = 64;

/// The servers of a configuration file.
#[derive(Clone, Debug, Default)]
pub struct McpConfig {
    /// By name.
    pub servers: Vec<ServerConfig>,
}

/// One server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Part of its tools' names.
    pub name: String,
    /// How it is reached.
    pub way: Way,
    /// Tools on offer; `None` = all it has.
    pub tools: Option<Vec<String>>,
    /// Tools that run without asking, by the server's own names.
    pub auto_approve: Vec<String>,
    /// Limit of one call.
    pub timeout: Duration,
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Way {
    /// A child process.
    Stdio {
        /// Program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its environment besides the harmless variables; values may be secrets.
        env: Vec<(String, SecretString)>,
        /// Where it starts.
        dir: Option<String>,
    },
    /// Streamable HTTP.
    Http {
        /// Address.
        url: Url,
        /// Sent with every request; values may be secrets.
        headers: Vec<(HeaderName, SecretString)>,
    },
}

/// A configuration that cannot be used. The texts name keys, never values.
#[derive(Debug, thiserror::Error)]
pub enum McpConfigError {
    /// Not JSON.
    #[error("MCP configuration is not JSON: line {line}")]
    Json {
        /// Where.
        line: usize,
    },
    /// An entry that says something unusable.
    #[error("MCP server '{server}': {problem}")]
    Server {
        /// Its name.
        server: String,
        /// What is wrong.
        problem: String,
    },
    /// The file as a whole.
    #[error("MCP configuration: {0}")]
    File(String),
}

impl McpConfig {
    /// Reads `{"mcpServers": {<name>: {"command", "args", "env", "cwd"} | {"url", "headers"}}}` with our `tools`,
    /// `autoApprove`, `timeoutS` and `disabled` per server. `${NAME}` in a value is replaced through `lookup`, usually
    /// the process environment, so that the file needs no secrets.
    ///
    /// # Errors
    /// [`McpConfigError`]; one unusable entry refuses the file, so that a typing error does not pass as a missing tool.
    pub fn parse(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, McpConfigError> {
        let root: Value =
            serde_json::from_str(text).map_err(|error| McpConfigError::Json { line: error.line() })?;
        let servers = root
            .get("mcpServers")
            .and_then(Value::as_object)
            .ok_or_else(|| McpConfigError::File("an object 'mcpServers' is missing".to_owned()))?;
        if servers.len() > MAX_SERVERS {
            return Err(McpConfigError::File(format!("more than {MAX_SERVERS} servers")));
        }
        let mut found = BTreeMap::new();
        for (name, entry) in servers {
            let problem = |problem: String| McpConfigError::Server {
                server: name.clone(),
                problem,
            };
            if entry.get("disabled") == Some(&Value::Bool(true)) {
                continue;
            }
            let server = Entry {
                entry,
                lookup: &lookup,
            }
            .read(name)
            .map_err(problem)?;
            found.insert(name.clone(), server);
        }
        Ok(Self {
            servers: found.into_values().collect(),
        })
    }
}

const KEYS: [&str; 12] = [
    "type",
    "transport",
    "command",
    "args",
    "env",
    "cwd",
    "url",
    "headers",
    "tools",
    "autoApprove",
    "timeoutS",
    "disabled",
];

struct Entry<'e, L> {
    entry: &'e Value,
    lookup: &'e L,
}

impl<L: Fn(&str) -> Option<String>> Entry<'_, L> {
    fn read(&self, name: &str) -> Result<ServerConfig, String> {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(letters) {
            return Err("names hold 1 to 64 letters, digits, '_', '-' or '.'".to_owned());
        }
        let entry = self.entry.as_object().ok_or("must be an object")?;
        if let Some(key) = entry.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("unknown key '{key}'"));
        }
        let way = match (entry.get("command"), entry.get("url")) {
            (Some(_), None) => self.stdio(entry)?,
            (None, Some(_)) => self.http(entry)?,
            _ => return Err("exactly one of 'command' and 'url' is needed".to_owned()),
        };
        let timeout = match entry.get("timeoutS") {
            None => DEFAULT_TIMEOUT,
            Some(value) => value
                .as_f64()
                .filter(|seconds| *seconds > 0.0)
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .ok_or("'timeoutS' must be a positive number")?,
        };
        Ok(ServerConfig {
            name: name.to_owned(),
            way,
            tools: entry
                .get("tools")
                .map(|value| texts("tools", value))
                .transpose()?
                .filter(|names| names != &["*"]),
            auto_approve: entry
                .get("autoApprove")
                .map(|value| texts("autoApprove", value))
                .transpose()?
                .unwrap_or_default(),
            timeout,
        })
    }

    fn stdio(&self, entry: &Map<String, Value>) -> Result<Way, String> {
        let args = entry
            .get("args")
            .map(|value| texts("args", value))
            .transpose()?
            .unwrap_or_default();
        Ok(Way::Stdio {
            command: self.text("command", &entry["command"])?,
            args: args
                .iter()
                .map(|text| self.expand(text))
                .collect::<Result<_, _>>()?,
            env: self.pairs("env", entry)?,
            dir: entry
                .get("cwd")
                .map(|value| self.text("cwd", value))
                .transpose()?,
        })
    }

    fn http(&self, entry: &Map<String, Value>) -> Result<Way, String> {
        let url = Url::parse(&self.text("url", &entry["url"])?).map_err(|error| format!("'url': {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("'url' must begin with http:// or https://".to_owned());
        }
        let mut headers = Vec::new();
        for (name, value) in self.pairs("headers", entry)? {
            let header: HeaderName = name
                .parse()
                .map_err(|_| format!("header name '{name}' is not valid"))?;
            if HeaderValue::from_str(value.expose_secret()).is_err() {
                return Err(format!("the value of header '{name}' cannot be sent"));
            }
            headers.push((header, value));
        }
        Ok(Way::Http { url, headers })
    }

    fn pairs(&self, key: &str, entry: &Map<String, Value>) -> Result<Vec<(String, SecretString)>, String> {
        let Some(value) = entry.get(key) else {
            return Ok(Vec::new());
        };
        let pairs = value
            .as_object()
            .ok_or_else(|| format!("'{key}' must be an object"))?;
        pairs
            .iter()
            .map(|(name, value)| Ok((name.clone(), SecretString::from(self.text(name, value)?))))
            .collect()
    }

    fn text(&self, key: &str, value: &Value) -> Result<String, String> {
        let text = value.as_str().ok_or_else(|| format!("'{key}' must be a text"))?;
        self.expand(text)
    }

    /// Replaces each `${NAME}`.
    fn expand(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, tail)) = rest.split_once("${") {
            let (name, after) = tail.split_once('}').ok_or("'${' without '}'")?;
            let value = (self.lookup)(name).ok_or_else(|| format!("variable {name} is not set"))?;
            out.push_str(before);
            out.push_str(&value);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

fn texts(key: &str, value: &Value) -> Result<Vec<String>, String> {
    let items = value.as_array().map(|items| items.iter().map(Value::as_str));
    let texts: Option<Vec<String>> =
        items.and_then(|items| items.map(|item| item.map(str::to_owned)).collect());
    texts.ok_or_else(|| format!("'{key}' must be a list of texts"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(servers: &Value) -> Result<McpConfig, McpConfigError> {
        let text = json!({ "mcpServers": servers }).to_string();
        McpConfig::parse(&text, |name| (name == "TOKEN").then(|| "t0p-secret".to_owned()))
    }

    #[test]
    fn both_ways() {
        let config = parse(&json!({
            "web": {"type": "http", "url": "https://h.example/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"},
                "tools": ["*"], "autoApprove": ["look"], "timeoutS": 1.5},
            "files": {"command": "npx", "args": ["-y", "x"], "env": {"KEY": "${TOKEN}"}, "tools": ["read"]},
            "off": {"command": "x", "disabled": true}
        }))
        .expect("config");
        let names: Vec<&str> = config.servers.iter().map(|server| server.name.as_str()).collect();
        assert_eq!(names, ["files", "web"]);
        assert_eq!(config.servers[0].tools.as_deref(), Some(&["read".to_owned()][..]));
        assert_eq!(
            (config.servers[1].tools.is_none(), config.servers[1].timeout),
            (true, Duration::from_millis(1500))
        );
        let Way::Http { headers, .. } = &config.servers[1].way else {
            panic!("http")
        };
        assert_eq!(headers[0].1.expose_secret(), "Bearer t0p-secret");
        assert!(!format!("{config:?}").contains("t0p-secret"));
    }

    #[test]
    fn refusals_name_the_server_and_no_value() {
        for (entry, text) in [
            (json!({}), "exactly one of"),
            (json!({"command": "x", "url": "http://h"}), "exactly one of"),
            (json!({"url": "ftp://h"}), "must begin with http"),
            (json!({"url": "not a url"}), "'url'"),
            (
                json!({"command": "x", "env": {"A": "${MISSING}"}}),
                "variable MISSING is not set",
            ),
            (json!({"command": "x", "argz": []}), "unknown key 'argz'"),
            (json!({"command": "x", "timeoutS": 0}), "positive"),
            (
                json!({"url": "http://h", "headers": {"x": "${TOKEN}\n"}}),
                "cannot be sent",
            ),
            (json!([]), "must be an object"),
        ] {
            let error = parse(&json!({ "s": entry })).expect_err(text).to_string();
            assert!(
                error.starts_with("MCP server 's': ") && error.contains(text),
                "{error}"
            );
            assert!(!error.contains("t0p"), "{error}");
        }
        assert!(parse(&json!({"a::b": {"command": "x"}})).is_err());
        assert!(McpConfig::parse("{", |_| None).is_err());
        assert!(McpConfig::parse("{}", |_| None).is_err());
    }
}
