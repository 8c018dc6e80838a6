//! The reference's file store.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{EachLine, RawCommand, Source};
use crate::{
    ImportError,
    json::{self, Repairs},
};

pub(in crate::reference) struct FileSource {
    folder: PathBuf,
}

impl FileSource {
    pub(in crate::reference) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    fn ids(&self, prefix: &str, suffix: &str) -> Result<BTreeSet<String>, ImportError> {
        let entries = std::fs::read_dir(&self.folder).map_err(ImportError::read(&self.folder))?;
        Ok(entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let name = name.to_str()?;
                Some(name.strip_prefix(prefix)?.strip_suffix(suffix)?.to_owned())
            })
            .collect())
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ImportError> {
        let path = self.folder.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ImportError::read(path)(error)),
        }
    }
}

impl Source for FileSource {
    fn run_ids(&mut self) -> Result<Vec<String>, ImportError> {
        Ok(self.ids("run_", ".json")?.into_iter().collect())
    }

    fn ledger_total(&mut self) -> Result<u64, ImportError> {
        let mut bytes = 0;
        for id in self.ids("ledger_", ".jsonl")? {
            let path = self.folder.join(format!("ledger_{id}.jsonl"));
            bytes += std::fs::metadata(&path).map_err(ImportError::read(&path))?.len();
        }
        Ok(bytes)
    }

    fn orphan_ledgers(&mut self) -> Result<u64, ImportError> {
        let runs = self.ids("run_", ".json")?;
        let ledgers = self.ids("ledger_", ".jsonl")?;
        Ok(ledgers.difference(&runs).count() as u64)
    }

    fn run(&mut self, run_id: &str) -> Result<Option<Vec<u8>>, ImportError> {
        self.read(&format!("run_{run_id}.json"))
    }

    fn ledger(&mut self, run_id: &str, each: &mut EachLine<'_>) -> Result<(), ImportError> {
        let path = self.folder.join(format!("ledger_{run_id}.jsonl"));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(ImportError::read(path)(error)),
        };
        let mut reader = BufReader::with_capacity(128 * 1024, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader
                .read_until(b'\n', &mut line)
                .map_err(ImportError::read(&path))?;
            if read == 0 {
                return Ok(());
            }
            each(line.trim_ascii(), read as u64)?;
        }
    }

    fn commands(&mut self) -> Result<(Vec<RawCommand>, u64), ImportError> {
        let Some(bytes) = self.read("commands.jsonl")? else {
            return Ok((Vec::new(), 0));
        };
        let (mut commands, mut broken) = (Vec::new(), 0);
        for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            if line.is_empty() {
                continue;
            }
            match command(line) {
                Some(command) => commands.push(command),
                None => broken += 1,
            }
        }
        commands.sort_by_key(|command| command.seq);
        Ok((commands, broken))
    }

    fn cursor(&mut self) -> Result<i64, ImportError> {
        let bytes = self.read("commands_cursor.json")?.unwrap_or_default();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(value.get("cursor").and_then(Value::as_i64).unwrap_or(0))
    }

    fn unit(&self) -> &'static str {
        "bytes"
    }
}

fn command(line: &[u8]) -> Option<RawCommand> {
    let text = json::document(line, &mut Repairs::default()).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    let filled = |key: &str| {
        let text = value.get(key)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let payload = value.get("payload").filter(|payload| payload.is_object());
    Some(RawCommand {
        seq: value.get("seq")?.as_i64().filter(|seq| *seq > 0)?,
        command_id: filled("command_id")?,
        run_id: filled("run_id")?,
        kind: filled("type")?,
        payload: payload.map_or_else(|| "{}".to_owned(), Value::to_string),
        ts: filled("ts")?,
        client_id: filled("client_id"),
    })
}
