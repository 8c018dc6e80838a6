//! Large values leave ledgers and terminal state as artifacts (kernel spec §5).

use ag_types::{Object, RunId};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Default threshold in bytes: values above it are taken out.
pub const DEFAULT_MAX_INLINE_BYTES: usize = 256 * 1024;

/// A value that was taken out; its bytes must be stored before the commit that refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffloadedValue {
    /// Id inside the run.
    pub artifact_id: String,
    /// Content hash.
    pub blob_id: String,
    /// `text/plain` or `application/json`.
    pub content_type: &'static str,
    /// Content.
    pub bytes: Vec<u8>,
    /// Tag `source`.
    pub source: &'static str,
    /// Tag `path`.
    pub path: String,
    /// Tag `kind`: `text` or `json`.
    pub kind: &'static str,
}

/// Takes values out of trees.
pub struct Offloader<'a> {
    run: RunId,
    max_inline: usize,
    out: &'a mut Vec<OffloadedValue>,
}

impl<'a> Offloader<'a> {
    /// An offloader for a run; `max_inline` 0 disables it.
    pub fn new(run: RunId, max_inline: usize, out: &'a mut Vec<OffloadedValue>) -> Self {
        Self {
            run,
            max_inline: if max_inline == 0 { usize::MAX } else { max_inline },
            out,
        }
    }

    /// Replaces large members below `value`; the value itself keeps its shape.
    pub fn below(&mut self, value: &mut Value, source: &'static str, path: &str) {
        match value {
            Value::Object(map) => self.members(map, source, path),
            Value::Array(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    self.whole(item, source, &format!("{path}.{i}"));
                }
            }
            _ => {}
        }
    }

    /// Replaces large members of an object.
    pub fn members(&mut self, map: &mut Object, source: &'static str, path: &str) {
        for (key, item) in map.iter_mut() {
            self.whole(item, source, &format!("{path}.{key}"));
        }
    }

    /// Replaces large values below `value` and then, if it is still large, the value itself.
    pub fn whole(&mut self, value: &mut Value, source: &'static str, path: &str) {
        if is_ref(value) {
            return;
        }
        match value {
            Value::String(text) if text.len() > self.max_inline => {
                let bytes = std::mem::take(text).into_bytes();
                *value = self.take(bytes, "text/plain", "text", source, path);
            }
            Value::Object(_) | Value::Array(_) => {
                // Cheap bound first: nothing inside can be large when the whole is small.
                if compact_len(value, self.max_inline) <= self.max_inline {
                    return;
                }
                self.below(value, source, path);
                let text = value.to_string();
                if text.len() > self.max_inline {
                    *value = self.take(text.into_bytes(), "application/json", "json", source, path);
                }
            }
            _ => {}
        }
    }

    fn take(
        &mut self,
        bytes: Vec<u8>,
        content_type: &'static str,
        kind: &'static str,
        source: &'static str,
        path: &str,
    ) -> Value {
        let mut hash = Sha256::new();
        hash.update(self.run.to_string().as_bytes());
        hash.update([0]);
        hash.update(&bytes);
        let artifact_id = hex::encode(&hash.finalize()[..16]);
        let reference = json!({ "$artifact": artifact_id });
        let blob_id = hex::encode(Sha256::digest(&bytes));
        self.out.push(OffloadedValue {
            artifact_id,
            blob_id,
            content_type,
            bytes,
            source,
            path: path.to_owned(),
            kind,
        });
        reference
    }
}

fn is_ref(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|map| map.get("$artifact").is_some_and(Value::is_string))
}

/// Length of the compact JSON text, or any number above `cap` once it is known to exceed it.
pub fn compact_len(value: &Value, cap: usize) -> usize {
    struct Counter {
        len: usize,
        cap: usize,
    }
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.len += bytes.len();
            if self.len > self.cap {
                Err(std::io::ErrorKind::StorageFull.into())
            } else {
                Ok(bytes.len())
            }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter { len: 0, cap };
    // The only possible error is the cap itself.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.len
}

/// Offloads the state of a terminal run: everything below the private keys of `vars` (the keys
/// themselves keep their shape), and the output (its root included).
pub fn offload_terminal(
    run: RunId,
    vars: &mut Object,
    output: Option<&mut Value>,
    max_inline: usize,
    out: &mut Vec<OffloadedValue>,
) {
    let mut offloader = Offloader::new(run, max_inline, out);
    for (key, value) in vars.iter_mut().filter(|(key, _)| key.starts_with('_')) {
        if compact_len(value, offloader.max_inline) <= offloader.max_inline {
            continue;
        }
        offloader.below(value, "run_store_offload", &format!("vars.{key}"));
    }
    if let Some(output) = output {
        offloader.whole(output, "run_output_offload", "output");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_leaves_and_trees_become_references() {
        let run: RunId = "8d6899dd-0000-4000-8000-000000000001".parse().expect("run id");
        let mut out = Vec::new();
        // The threshold leaves room for a reference, as every real one does.
        let mut value = json!({"a": "x".repeat(70), "b": {"c": ["y".repeat(40), "y".repeat(40)]}, "s": 1});
        Offloader::new(run, 60, &mut out).below(&mut value, "ledger_result_offload", "ledger.result");
        assert_eq!(out.len(), 2);
        assert_eq!((out[0].path.as_str(), out[0].kind), ("ledger.result.a", "text"));
        assert_eq!((out[1].path.as_str(), out[1].kind), ("ledger.result.b.c", "json"));
        assert_eq!(value["a"]["$artifact"], out[0].artifact_id);
        assert_eq!(value["s"], 1);
        let again = value.clone();
        Offloader::new(run, 60, &mut out).below(&mut value, "x", "y");
        assert_eq!(value, again, "references are left alone");
    }
}
