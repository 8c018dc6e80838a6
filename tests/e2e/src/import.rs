//! Data folders that the Python gateway wrote, what it served of them, and what became of them in its own hands
//! (`import/`), against an import of them into a fresh gateway.

pub mod compare;
pub mod interrupted;

use std::{
    io::{BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use ag_testkit::Node;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};
use tempfile::TempDir;

/// A recorded folder, unpacked.
#[derive(Debug)]
pub struct Recorded {
    home: TempDir,
    /// `served.json`.
    pub served: Value,
}

impl Recorded {
    /// Unpacks the recording of a store, with the model server at `upstream`.
    ///
    /// # Errors
    /// The archive is missing or damaged.
    pub fn open(store: &str, upstream: &str) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("import");
        Self::open_file(&folder.join(format!("{store}.zip")), upstream)
    }

    /// Unpacks a recording that lies elsewhere.
    ///
    /// # Errors
    /// As [`Recorded::open`].
    pub fn open_file(path: &Path, upstream: &str) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("ag-import-").tempdir()?;
        let mut archive = zip::ZipArchive::new(std::fs::File::open(path)?)?;
        archive.extract(home.path())?;
        // An archive of files has no empty folders.
        std::fs::create_dir_all(home.path().join("flows"))?;
        let mut text = String::new();
        std::fs::File::open(home.path().join("served.json"))?.read_to_string(&mut text)?;
        let served: Value = serde_json::from_str(&text)?;
        // The recorded model server is long gone.
        let former = served["upstream"].as_str().context("upstream of the recording")?;
        for settings in [
            "home/.abstractcore/config/abstractcore.json",
            "data/config/abstractcore.json",
            "data/config/provider_endpoint_profiles.json",
        ] {
            let settings = home.path().join(settings);
            if settings.is_file() {
                let changed = std::fs::read_to_string(&settings)?.replace(former, upstream);
                std::fs::write(&settings, changed)?;
            }
        }
        Ok(Self { home, served })
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// The home of the user that ran the gateway.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.home.path().join("home")
    }

    /// The bundles.
    #[must_use]
    pub fn flows(&self) -> PathBuf {
        self.home.path().join("flows")
    }

    /// Run behind a label of the recording.
    #[must_use]
    pub fn run(&self, label: &str) -> String {
        self.served["labels"][label]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Runs `abstractgateway migrate --from …` into a data directory.
    ///
    /// # Errors
    /// The program cannot be started.
    pub async fn migrate(&self, store: &str, data_dir: &Path, more: &[&str]) -> Result<Migrated> {
        let flows = self.home.path().join("flows");
        let data = self.data();
        let (data, flows) = (data.to_string_lossy(), flows.to_string_lossy());
        let mut arguments = vec!["--from", store, &data, "--flows-dir", &flows];
        arguments.extend(more);
        migrate(&arguments, data_dir, &[("HOME", &self.home().to_string_lossy())]).await
    }
}

/// Runs `abstractgateway migrate` with arguments and variables.
///
/// # Errors
/// The program cannot be started.
pub async fn migrate(arguments: &[&str], data_dir: &Path, env: &[(&str, &str)]) -> Result<Migrated> {
    let output = tokio::process::Command::new(Node::binary()?)
        .arg("migrate")
        .args(arguments)
        .arg("--data-dir")
        .arg(data_dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await?;
    Ok(Migrated(output))
}

/// A value in which the recorded data folder has become `data_dir`.
#[must_use]
pub fn moved(value: &Value, from: &str, data_dir: &Path) -> Value {
    let text = value.to_string().replace(from, &data_dir.to_string_lossy());
    serde_json::from_str(&text).unwrap_or_default()
}

/// What the command said.
#[derive(Debug)]
pub struct Migrated(Output);

impl Migrated {
    /// Its standard output, if it ended well.
    ///
    /// # Errors
    /// It did not; what it said is in the text.
    pub fn ok(self) -> Result<String> {
        let text = self.text();
        ensure!(self.0.status.success(), "ended with {}: {text}", self.0.status);
        Ok(String::from_utf8_lossy(&self.0.stdout).into_owned())
    }

    /// What it said, if it failed.
    ///
    /// # Errors
    /// It did not.
    pub fn refused(self) -> Result<String> {
        let text = self.text();
        ensure!(!self.0.status.success(), "ended well: {text}");
        Ok(text)
    }

    fn text(&self) -> String {
        let (out, err) = (&self.0.stdout, &self.0.stderr);
        format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
    }
}

/// A file store with `runs` ended runs of `records` records each, and one run with all of them again.
///
/// # Errors
/// The folder cannot be written.
pub fn generate(folder: &Path, runs: usize, records: usize) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let time = "2026-01-01T00:00:00.000001+00:00";
    for run in 0..=runs {
        let id = uuid::Uuid::from_u128(run as u128 + 1);
        let count = if run == runs { runs * records } else { records };
        let text = format!("{{\"é\": [1.0, 1e-07, \"{}\"], \"n\": null}}", "x".repeat(300));
        let state = format!(
            "{{\n  \"run_id\": \"{id}\",\n  \"workflow_id\": \"made@1.0.0:main\",\n  \"status\": \"completed\",\n  \
             \"current_node\": \"end\",\n  \"vars\": {{\"input\": {text}, \"_runtime\": {{\"model\": \"m\"}}}},\n  \
             \"waiting\": null,\n  \"output\": {{\"success\": true}},\n  \"error\": null,\n  \"created_at\": \"{time}\",\n  \
             \"updated_at\": \"{time}\",\n  \"actor_id\": \"gateway\",\n  \"session_id\": \"{id}\",\n  \
             \"parent_run_id\": null\n}}"
        );
        std::fs::write(folder.join(format!("run_{id}.json")), state)?;
        let ledger = std::fs::File::create(folder.join(format!("ledger_{id}.jsonl")))?;
        let mut ledger = BufWriter::new(ledger);
        for n in 0..count {
            let status = if n % 2 == 0 { "started" } else { "completed" };
            writeln!(
                ledger,
                "{{\"run_id\": \"{id}\", \"step_id\": \"{}\", \"node_id\": \"n{n}\", \"status\": \"{status}\", \
                 \"effect\": {{\"type\": \"answer_user\", \"payload\": {text}, \"result_key\": null}}, \"result\": {text}, \
                 \"error\": null, \"started_at\": \"{time}\", \"ended_at\": \"{time}\", \"actor_id\": \"gateway\", \
                 \"session_id\": \"{id}\", \"attempt\": 1, \"idempotency_key\": \"k\", \"prev_hash\": null, \
                 \"record_hash\": null, \"signature\": null}}",
                uuid::Uuid::from_u128(n as u128 + 1)
            )?;
        }
        ledger.flush()?;
    }
    Ok(())
}

/// What an import took.
#[derive(Debug)]
pub struct Cost {
    /// Wall time from start to end of the process.
    pub took: Duration,
    /// Most memory it had, in bytes; 0 where the system does not tell.
    pub peak_bytes: u64,
    /// What it printed.
    pub said: String,
}

/// Imports a file store and watches the process.
///
/// # Errors
/// It cannot be started, or fails.
pub async fn measure(source: &Path, data_dir: &Path) -> Result<Cost> {
    let began = Instant::now();
    let mut child = tokio::process::Command::new(Node::binary()?)
        .args(["migrate", "--apply", "--from", "file"])
        .arg(source)
        .arg("--data-dir")
        .arg(data_dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", source)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let status = format!(
        "/proc/{}/status",
        child.id().context("the import has ended by itself")?
    );
    let mut peak_bytes = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak_bytes = kib.map_or(peak_bytes, |kib| kib * 1024);
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let took = began.elapsed();
    let mut said = String::new();
    let out = child.stdout.as_mut().context("standard output")?;
    tokio::io::AsyncReadExt::read_to_string(out, &mut said).await?;
    ensure!(ended.success(), "the import ended with {ended}: {said}");
    Ok(Cost {
        took,
        peak_bytes,
        said,
    })
}

/// A ledger record, as far as both gateways must agree on it: ids and times have placeholders, of answers of models
/// and tools only the fact counts.
#[must_use]
pub fn outline(record: &Value) -> Value {
    let kind = record["effect"]["type"].as_str();
    let mut out = Map::new();
    for key in ["node_id", "status", "error"] {
        out.insert(key.to_owned(), record[key].clone());
    }
    out.insert("type".to_owned(), record["effect"]["type"].clone());
    if !matches!(kind, Some("llm_call" | "tool_calls")) {
        out.insert("result".to_owned(), plain(&record["result"]));
    }
    if kind == Some("resume") {
        let payload = &record["effect"]["payload"];
        // Where it was taken out of line depends on the threshold, and what a child says of its model on the model.
        let is_child =
            payload["wait_reason"] == "subworkflow" || payload["payload"].get("$artifact").is_some();
        let is_tools = payload["payload"].get("results").is_some();
        if !is_child && !is_tools {
            out.insert("payload".to_owned(), plain(payload));
        }
    }
    Value::Object(out)
}

/// The records from `from` on in outline; a repeated resume counts once, as the reference's repair may write two.
#[must_use]
pub fn outlines(records: &[Value], from: usize) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for record in records.iter().skip(from) {
        let outline = outline(record);
        let repeated = outline["type"] == "resume" && out.last().is_some_and(|last| *last == outline);
        if !repeated {
            out.push(outline);
        }
    }
    out
}

fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain_text(text)),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(map) => map
            .iter()
            // A measured time.
            .filter(|(key, _)| *key != "gen_time")
            .map(|(key, value)| (key.clone(), plain(value)))
            .collect(),
        other => other.clone(),
    }
}

/// A path that ends in a workspace's folder becomes a placeholder.
fn without_workspace(text: &str) -> String {
    const MARK: &str = "/workspaces/";
    let Some(at) = text.find(MARK) else {
        return text.to_owned();
    };
    let (before, after) = (&text[..at], &text[at + MARK.len()..]);
    if after.len() < 32 || !after.as_bytes()[..32].iter().all(u8::is_ascii_hexdigit) {
        return text.to_owned();
    }
    let start = before
        .rfind(|c: char| c.is_whitespace() || "'\"".contains(c))
        .map_or(0, |at| at + 1);
    format!(
        "{}<workspace>{}",
        &before[..start],
        without_workspace(&after[32..])
    )
}

/// Ids and times become placeholders.
fn plain_text(text: &str) -> String {
    let text = without_workspace(text);
    let mut out = String::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let skip = if is_uuid(rest) {
            out.push_str("<uuid>");
            36
        } else if is_time(rest) {
            out.push_str("<ts>");
            rest.find(|c: char| !(c.is_ascii_digit() || "-T:.+Z".contains(c)))
                .unwrap_or(rest.len())
        } else {
            let next = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..next]);
            next
        };
        rest = &rest[skip..];
    }
    out
}

fn is_uuid(text: &str) -> bool {
    let Some(id) = text.as_bytes().get(..36) else {
        return false;
    };
    id.iter().enumerate().all(|(n, byte)| match n {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

fn is_time(text: &str) -> bool {
    let Some(time) = text.as_bytes().get(..19) else {
        return false;
    };
    time.iter().enumerate().all(|(n, byte)| match n {
        4 | 7 => *byte == b'-',
        10 => *byte == b'T' || *byte == b' ',
        13 | 16 => *byte == b':',
        _ => byte.is_ascii_digit(),
    })
}
