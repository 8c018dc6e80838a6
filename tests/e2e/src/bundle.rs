//! Bundles for upload.

use std::io::{Cursor, Write as _};

use anyhow::Result;
use serde_json::{Map, Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::Flow;

/// A `.flow` archive under construction; the first flow is the entry.
#[derive(Debug, Clone)]
pub struct Bundle {
    id: String,
    version: String,
    flows: Vec<Flow>,
    extra: Vec<(String, Vec<u8>)>,
    /// How many of the flows are entries, from the first on; by default all of them.
    entries: usize,
}

impl Bundle {
    /// A bundle `id@1.0.0`.
    #[must_use]
    pub fn new(id: &str, flows: impl IntoIterator<Item = Flow>) -> Self {
        Self {
            id: id.to_owned(),
            version: "1.0.0".to_owned(),
            flows: flows.into_iter().collect(),
            extra: Vec::new(),
            entries: usize::MAX,
        }
    }

    /// The same under another version.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Only the first flow is an entry; the others are for subflow nodes.
    #[must_use]
    pub fn one_entry(mut self) -> Self {
        self.entries = 1;
        self
    }

    /// Adds an archive member, also under a name that a reader must refuse.
    #[must_use]
    pub fn member(mut self, name: &str, content: Vec<u8>) -> Self {
        self.extra.push((name.to_owned(), content));
        self
    }

    /// Name under which it is uploaded.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}@{}.flow", self.id, self.version)
    }

    /// The archive.
    ///
    /// # Errors
    /// The archive writer refuses a member.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        zip.start_file("manifest.json", options)?;
        zip.write_all(self.manifest().to_string().as_bytes())?;
        for flow in &self.flows {
            zip.start_file(format!("flows/{}.json", flow.id()), options)?;
            zip.write_all(flow.json().to_string().as_bytes())?;
        }
        for (name, content) in &self.extra {
            zip.start_file(name.as_str(), options)?;
            zip.write_all(content)?;
        }
        Ok(zip.finish()?.into_inner())
    }

    fn manifest(&self) -> Value {
        let entries: Vec<_> = self
            .flows
            .iter()
            .take(self.entries)
            .map(|flow| json!({"flow_id": flow.id(), "name": flow.id(), "description": "", "interfaces": []}))
            .collect();
        let paths: Map<_, _> = self
            .flows
            .iter()
            .map(|flow| (flow.id().to_owned(), json!(format!("flows/{}.json", flow.id()))))
            .collect();
        json!({
            "bundle_format_version": "1",
            "bundle_id": self.id,
            "bundle_version": self.version,
            "created_at": "2024-01-01T00:00:00+00:00",
            "entrypoints": entries,
            "default_entrypoint": self.flows.first().map(Flow::id),
            "flows": paths,
            "artifacts": {},
            "assets": {},
            "metadata": {},
        })
    }
}
