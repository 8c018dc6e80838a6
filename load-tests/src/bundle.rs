//! The flows as one bundle, and its upload.

use std::io::{Cursor, Write as _};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{cli, client::Conn};

/// Uploads all flows as one bundle `load`.
///
/// # Errors
/// The gateway refuses it.
pub(crate) async fn install(conn: &mut Conn) -> Result<()> {
    let boundary = "load-tests-boundary";
    let mut body = Vec::new();
    for (name, value) in [("overwrite", "true"), ("reload", "true")] {
        write!(
            body,
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )?;
    }
    write!(
        body,
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"load@1.0.0.flow\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )?;
    body.extend(bundle()?);
    write!(body, "\r\n--{boundary}--\r\n")?;
    let kind = format!("multipart/form-data; boundary={boundary}");
    let path = "/api/gateway/bundles/upload";
    let response = conn.send("POST", path, &kind, Bytes::from(body)).await?;
    let status = response.status();
    let bytes = response.into_body().collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&bytes);
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    ensure!(
        status == 200 && answer["gateway_reloaded"] == true,
        "upload: {status} {text}"
    );
    Ok(())
}

fn bundle() -> Result<Vec<u8>> {
    let mut flows: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in std::fs::read_dir(cli::flows())? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        flows.push((name, std::fs::read(&path)?));
    }
    flows.sort();
    let entries: Vec<_> = flows
        .iter()
        .map(|(id, _)| json!({"flow_id": id, "name": id, "description": "", "interfaces": []}))
        .collect();
    let paths: Map<_, _> = flows
        .iter()
        .map(|(id, _)| (id.clone(), json!(format!("flows/{id}.json"))))
        .collect();
    let manifest = json!({
        "bundle_format_version": "1", "bundle_id": "load", "bundle_version": "1.0.0",
        "created_at": "2024-01-01T00:00:00+00:00", "entrypoints": entries, "default_entrypoint": "answers3",
        "flows": paths, "artifacts": {}, "assets": {}, "metadata": {},
    });
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("manifest.json", SimpleFileOptions::default())?;
    zip.write_all(manifest.to_string().as_bytes())?;
    for (id, text) in &flows {
        zip.start_file(format!("flows/{id}.json"), SimpleFileOptions::default())?;
        zip.write_all(text)?;
    }
    Ok(zip.finish()?.into_inner())
}
