//! Finding files by name.

use serde_json::{Value, json};

use crate::call::Object;
use crate::workspace::Roots;

/// A list of the files below all roots. Building it walks the disk; callers keep it for a while.
#[derive(Clone, Debug, Default)]
pub struct FileIndex {
    files: Vec<IndexedFile>,
}

#[derive(Clone, Debug)]
struct IndexedFile {
    path: String,
    folded: String,
    mount: Option<String>,
    size_bytes: u64,
}

impl FileIndex {
    /// Walks root and mounts, up to `max_files` files; ignore rules and blocked paths hold, links are left out.
    #[must_use]
    pub fn build(roots: &Roots, max_files: usize) -> Self {
        let places =
            std::iter::once(roots.root()).chain(roots.mounts().iter().map(|mount| mount.path.as_path()));
        let files = places
            .flat_map(|place| {
                let rules = roots.ignore_rules(place);
                walkdir::WalkDir::new(place)
                    .min_depth(1)
                    .sort_by_file_name()
                    .into_iter()
                    .filter_entry(move |entry| {
                        entry.depth() == 0
                            || (!rules.is_ignored(entry.path(), entry.file_type().is_dir())
                                && !roots.is_blocked(entry.path()))
                    })
                    .flatten()
                    .filter(|entry| entry.file_type().is_file())
            })
            .filter_map(|entry| {
                let path = roots.virtual_path(entry.path());
                Some(IndexedFile {
                    folded: path.to_lowercase(),
                    mount: roots.mount_name(entry.path()).map(str::to_owned),
                    size_bytes: entry.metadata().ok()?.len(),
                    path,
                })
            })
            .take(max_files)
            .collect();
        Self { files }
    }

    /// `items` of a search: names that begin with the query, then names, then paths that contain it; shorter paths
    /// first. A blank query finds nothing.
    #[must_use]
    pub fn search(&self, query: &str, limit: usize) -> Vec<Value> {
        let query = query.trim().to_lowercase();
        if query.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<(u8, usize, &str, &IndexedFile)> = self
            .files
            .iter()
            .filter_map(|file| {
                let name = file.folded.rsplit('/').next().unwrap_or(&file.folded);
                let rank = if name.starts_with(&query) {
                    0
                } else if name.contains(&query) {
                    1
                } else if file.folded.contains(&query) {
                    2
                } else {
                    return None;
                };
                Some((rank, file.path.chars().count(), file.path.as_str(), file))
            })
            .collect();
        found.sort_unstable_by_key(|(rank, length, path, _)| (*rank, *length, *path));
        found
            .into_iter()
            .take(limit)
            .map(|(.., file)| file.to_value())
            .collect()
    }
}

impl IndexedFile {
    fn to_value(&self) -> Value {
        let mut item = Object::new();
        item.insert("path".to_owned(), json!(self.path));
        if let Some(mount) = &self.mount {
            item.insert("mount".to_owned(), json!(mount));
        }
        item.insert("size_bytes".to_owned(), json!(self.size_bytes));
        Value::Object(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_before_paths() {
        let dir = tempfile::tempdir().expect("tempdir");
        for path in [
            "ws/my_app.py",
            "ws/app.py",
            "ws/app/zz.txt",
            "ws/dist/app.js",
            "data/deep/app.csv",
        ] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("dirs");
            std::fs::write(path, "x").expect("write");
        }
        let roots = Roots::new(&dir.path().join("ws")).with_mount("data", &dir.path().join("data"));
        let index = FileIndex::build(&roots, 100);
        let paths = |query: &str, limit| -> Vec<String> {
            index
                .search(query, limit)
                .iter()
                .filter_map(|item| item["path"].as_str().map(str::to_owned))
                .collect()
        };
        assert_eq!(
            paths("APP", 10),
            ["app.py", "data/deep/app.csv", "my_app.py", "app/zz.txt"]
        );
        assert_eq!(paths("app", 1), ["app.py"]);
        assert!(paths("  ", 10).is_empty());
        assert_eq!(
            index.search("csv", 1)[0],
            json!({"path": "data/deep/app.csv", "mount": "data", "size_bytes": 1})
        );
        assert_eq!(FileIndex::build(&roots, 2).files.len(), 2);
    }
}
