//! Folder listings for clients and flow nodes.

use std::path::Path;

use serde_json::{Value, json};

use super::family::{extension_of, family_of, in_family};
use crate::call::Object;
use crate::workspace::{PathError, Roots};

/// Entries looked at in one listing.
const MAX_SCANNED: usize = 200_000;

/// What to list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Virtual or absolute path; blank means the root together with the mounts.
    pub path: String,
    /// Also below subfolders.
    pub recursive: bool,
    /// Folders as entries too.
    pub include_directories: bool,
    /// Family filter of files; `any` or blank for all.
    pub family: String,
    /// Extensions without dots; empty for all.
    pub extensions: Vec<String>,
    /// Case-insensitive part of the path.
    pub query: String,
    /// Most entries, 1 to 5000.
    pub limit: usize,
    /// Levels below the folder; 0 for all.
    pub max_depth: usize,
}

impl Default for ListRequest {
    fn default() -> Self {
        Self {
            path: String::new(),
            recursive: false,
            include_directories: true,
            family: String::new(),
            extensions: Vec::new(),
            query: String::new(),
            limit: 200,
            max_depth: 0,
        }
    }
}

/// One file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Virtual path.
    pub path: String,
    /// Last segment.
    pub name: String,
    /// `None` for folders.
    pub size_bytes: Option<u64>,
    /// `folder` or the file's family.
    pub family: &'static str,
    /// Set where the entry is a mount itself.
    pub mount: Option<String>,
}

impl Entry {
    /// `{path, name, kind, family[, size_bytes][, mount]}`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut entry = Object::new();
        entry.insert("path".to_owned(), json!(self.path));
        entry.insert("name".to_owned(), json!(self.name));
        entry.insert(
            "kind".to_owned(),
            json!(if self.is_folder() { "folder" } else { "file" }),
        );
        entry.insert("family".to_owned(), json!(self.family));
        if let Some(size) = self.size_bytes {
            entry.insert("size_bytes".to_owned(), json!(size));
        }
        if let Some(mount) = &self.mount {
            entry.insert("mount".to_owned(), json!(mount));
        }
        Value::Object(entry)
    }

    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.family == "folder"
    }
}

/// A folder's content.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Virtual path of the folder.
    pub folder_path: String,
    /// Folders before files in each folder, then by name without case.
    pub items: Vec<Entry>,
    /// Whether the limit was reached.
    pub truncated: bool,
}

/// Why a folder cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Refused path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// There is no such folder.
    #[error("Folder not found: {path}")]
    NotFound {
        /// Virtual path.
        path: String,
    },
    /// A file.
    #[error("Not a folder: {path}")]
    NotAFolder {
        /// Virtual path.
        path: String,
    },
}

/// Lists a folder; ignored and blocked entries are left out, links are shown when their target may be read and are
/// never descended into.
///
/// # Errors
/// [`ListError`].
pub fn list(roots: &Roots, request: &ListRequest) -> Result<Listing, ListError> {
    let at_top = request.path.trim().is_empty();
    let folder = if at_top {
        roots.root().to_path_buf()
    } else {
        roots.resolve(&request.path)?
    };
    let folder_path = roots.virtual_path(&folder);
    if !folder.exists() {
        return Err(ListError::NotFound { path: folder_path });
    }
    if !folder.is_dir() {
        return Err(ListError::NotAFolder { path: folder_path });
    }
    roots.check_ignored(&folder, request.path.trim())?;
    let limit = request.limit.clamp(1, 5000);
    let mut items = walk(roots, &folder, request, at_top, limit);
    if at_top && request.include_directories {
        let mounts = roots.mounts().iter().map(|mount| Entry {
            path: mount.name.clone(),
            name: mount.name.clone(),
            size_bytes: None,
            family: "folder",
            mount: Some(mount.name.clone()),
        });
        let room = limit.saturating_sub(items.len());
        items.extend(
            mounts
                .filter(|mount| passes_query(request, &mount.path))
                .take(room),
        );
    }
    let truncated = items.len() >= limit;
    Ok(Listing {
        folder_path,
        items,
        truncated,
    })
}

fn walk(roots: &Roots, folder: &Path, request: &ListRequest, at_top: bool, limit: usize) -> Vec<Entry> {
    let rules = roots.ignore_rules(folder);
    // Without a path the answer is an overview of the roots, not a tree.
    let recursive = request.recursive && !at_top;
    let depth = match (recursive, request.max_depth) {
        (false, _) => 1,
        (true, 0) => usize::MAX,
        (true, depth) => depth,
    };
    let walk = walkdir::WalkDir::new(folder)
        .min_depth(1)
        .max_depth(depth)
        .sort_by(|a, b| {
            let key = |entry: &walkdir::DirEntry| {
                (
                    !entry.file_type().is_dir(),
                    entry.file_name().to_string_lossy().to_lowercase(),
                )
            };
            key(a).cmp(&key(b)).then_with(|| a.file_name().cmp(b.file_name()))
        });
    walk.into_iter()
        .filter_entry(|entry| {
            entry.depth() == 0
                || (!rules.is_ignored(entry.path(), entry.file_type().is_dir())
                    && !roots.is_blocked(entry.path()))
        })
        .take(MAX_SCANNED)
        .flatten()
        .filter_map(|entry| to_entry(roots, request, &entry))
        .take(limit)
        .collect()
}

fn to_entry(roots: &Roots, request: &ListRequest, entry: &walkdir::DirEntry) -> Option<Entry> {
    let found = if entry.path_is_symlink() {
        roots
            .allows_real(entry.path())
            .then(|| std::fs::metadata(entry.path()).ok())
            .flatten()?
    } else {
        entry.metadata().ok()?
    };
    let name = entry.file_name().to_string_lossy().into_owned();
    let path = roots.virtual_path(entry.path());
    let passes = if found.is_dir() {
        request.include_directories
    } else {
        in_family(&name, &request.family)
            && (request.extensions.is_empty() || request.extensions.contains(&extension_of(&name)))
    };
    if !passes || !passes_query(request, &path) {
        return None;
    }
    Some(Entry {
        family: if found.is_dir() {
            "folder"
        } else {
            family_of(&name)
        },
        size_bytes: (!found.is_dir()).then_some(found.len()),
        path,
        name,
        mount: None,
    })
}

fn passes_query(request: &ListRequest, path: &str) -> bool {
    let query = request.query.trim();
    query.is_empty() || path.to_lowercase().contains(&query.to_lowercase())
}

/// Extensions from a list, or from text with commas or newlines; dots and case do not count.
#[must_use]
pub fn extensions(value: &Value) -> Vec<String> {
    let clean = |text: &str| {
        let text = text.trim().trim_start_matches('.').to_lowercase();
        (!text.is_empty()).then_some(text)
    };
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).filter_map(clean).collect(),
        Value::String(text) => text.split([',', '\n']).filter_map(clean).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, Roots) {
        let dir = tempfile::tempdir().expect("tempdir");
        let base = dir.path();
        for (path, content) in [
            ("ws/a.md", "# A"),
            ("ws/sub/b.py", "print(1)"),
            ("ws/sub/c.json", "{\n  \"k\": 1\n}\n"),
            ("ws/sub/deep/d.txt", "d"),
            ("ws/node_modules/x.js", "x"),
            ("ws/Zed.txt", "z"),
            ("data/m.csv", "1"),
            ("secret/key", "k"),
        ] {
            let path = base.join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("dirs");
            fs::write(path, content).expect("write");
        }
        symlink(base.join("secret/key"), base.join("ws/leak")).expect("link");
        let roots = Roots::new(&base.join("ws"));
        (dir, roots)
    }

    fn paths(listing: &Listing) -> Vec<&str> {
        listing.items.iter().map(|entry| entry.path.as_str()).collect()
    }

    #[test]
    fn listings_follow_the_request() {
        let (_dir, roots) = tree();
        let base = ListRequest {
            path: ".".to_owned(),
            ..ListRequest::default()
        };
        let all = ListRequest {
            recursive: true,
            ..base.clone()
        };
        let cases: Vec<(ListRequest, Vec<&str>)> = vec![
            (base.clone(), vec!["sub", "a.md", "Zed.txt"]),
            (
                all.clone(),
                vec![
                    "sub",
                    "sub/deep",
                    "sub/deep/d.txt",
                    "sub/b.py",
                    "sub/c.json",
                    "a.md",
                    "Zed.txt",
                ],
            ),
            (
                ListRequest {
                    include_directories: false,
                    ..base.clone()
                },
                vec!["a.md", "Zed.txt"],
            ),
            (
                ListRequest {
                    max_depth: 1,
                    ..all.clone()
                },
                vec!["sub", "a.md", "Zed.txt"],
            ),
            (
                ListRequest {
                    include_directories: false,
                    family: "code".to_owned(),
                    ..all.clone()
                },
                vec!["sub/b.py", "sub/c.json", "a.md"],
            ),
            (
                ListRequest {
                    include_directories: false,
                    extensions: extensions(&json!(".TXT, py")),
                    ..all.clone()
                },
                vec!["sub/deep/d.txt", "sub/b.py", "Zed.txt"],
            ),
            (
                ListRequest {
                    query: "DEEP".to_owned(),
                    ..all.clone()
                },
                vec!["sub/deep", "sub/deep/d.txt"],
            ),
            (
                ListRequest {
                    path: "sub".to_owned(),
                    ..base
                },
                vec!["sub/deep", "sub/b.py", "sub/c.json"],
            ),
        ];
        for (request, expected) in cases {
            let listing = list(&roots, &request).expect("listing");
            assert_eq!(paths(&listing), expected, "{request:?}");
            assert!(!listing.truncated);
        }
        let cut = list(&roots, &ListRequest { limit: 2, ..all }).expect("listing");
        assert!(cut.truncated);
        assert_eq!(cut.items.len(), 2);
    }

    #[test]
    fn the_top_level_shows_mounts() {
        let (dir, roots) = tree();
        let roots = roots.with_mount("data", &dir.path().join("data"));
        let listing = list(
            &roots,
            &ListRequest {
                recursive: true,
                ..ListRequest::default()
            },
        )
        .expect("listing");
        assert_eq!(paths(&listing), ["sub", "a.md", "Zed.txt", "data"]);
        assert_eq!(listing.items[3].to_value()["mount"], "data");
        let inside = list(
            &roots,
            &ListRequest {
                path: "data".to_owned(),
                ..ListRequest::default()
            },
        )
        .expect("listing");
        assert_eq!(paths(&inside), ["data/m.csv"]);
    }

    #[test]
    fn refusals_are_told_apart() {
        let (_dir, roots) = tree();
        let error = |path: &str| {
            list(
                &roots,
                &ListRequest {
                    path: path.to_owned(),
                    ..ListRequest::default()
                },
            )
            .expect_err(path)
            .to_string()
        };
        assert_eq!(error("ghost"), "Folder not found: ghost");
        assert_eq!(error("a.md"), "Not a folder: a.md");
        assert_eq!(
            error("node_modules"),
            "File 'node_modules' is ignored by .abstractignore policy"
        );
        assert_eq!(error("../x"), "Path escapes workspace_root: '../x'");
    }
}
