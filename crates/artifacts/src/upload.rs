//! Names, paths and tags of uploaded and imported files.

use crate::{Tags, guess_content_type, reference_modality};

/// A client's path in canonical form: `/` as separator, no empty, `.` or drive parts, `..` resolved
/// without leaving the top, and no other colons.
pub fn normalise_source_path(path: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.trim().replace('\\', "/").split('/') {
        let part = part.trim();
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ if is_drive(part) => {}
            _ => parts.push(part.replace(':', "_")),
        }
    }
    parts.join("/")
}

fn is_drive(part: &str) -> bool {
    matches!(part.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic())
}

/// The last part of a path as a file name; `None` if nothing is left.
pub fn file_name(path: &str) -> Option<String> {
    let normalised = normalise_source_path(path);
    normalised
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
}

/// What the tags of an upload or import are made of.
#[derive(Debug, Clone, Copy)]
pub struct UploadTags<'a> {
    pub filename: &'a str,
    /// Normalised path (uploads) or virtual workspace path (imports).
    pub path: &'a str,
    pub session_id: &'a str,
    /// Hash of the content, hex.
    pub sha256: &'a str,
    pub content_type: &'a str,
}

impl UploadTags<'_> {
    fn write(&self, kind: &str, target: &str, source: &str, path: String) -> Tags {
        let pairs = [
            ("kind", kind.to_owned()),
            ("target", target.to_owned()),
            ("source", source.to_owned()),
            ("path", path),
            ("filename", self.filename.to_owned()),
            ("session_id", self.session_id.to_owned()),
            ("sha256", self.sha256.to_owned()),
            ("modality", reference_modality(self.content_type).to_owned()),
        ];
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// Tags of a file that a client uploaded.
pub fn upload_tags(facts: UploadTags<'_>) -> Tags {
    let path = if facts.path.is_empty() {
        facts.filename
    } else {
        facts.path
    };
    facts.write("attachment", "client", "upload", format!("client:{path}"))
}

/// Tags of a workspace file; `kind` is `run_input` or `attachment`. Extra tags cannot replace the
/// first seven.
pub fn import_tags<'a>(
    kind: &str,
    facts: UploadTags<'_>,
    extra: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Tags {
    const FIXED: [&str; 7] = [
        "kind",
        "target",
        "source",
        "path",
        "filename",
        "session_id",
        "sha256",
    ];
    let mut tags = facts.write(kind, "server", "workspace", facts.path.to_owned());
    for (name, value) in extra {
        let name = name.trim();
        if !name.is_empty() && !FIXED.contains(&name) {
            tags.insert(name.to_owned(), value.to_owned());
        }
    }
    tags
}

/// Type of an upload: what was declared, lower case, else a guess from the name.
pub fn declared_or_guessed(declared: Option<&str>, filename: &str) -> String {
    match declared.map(str::trim).filter(|declared| !declared.is_empty()) {
        Some(declared) => declared.to_ascii_lowercase(),
        None => guess_content_type(filename),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let cases = [
            ("a/b.txt", "a/b.txt"),
            ("C:\\Users\\me\\b.txt", "Users/me/b.txt"),
            ("/abs//./x", "abs/x"),
            ("../../etc/passwd", "etc/passwd"),
            ("a/../b:c", "b_c"),
            ("..", ""),
            ("", ""),
        ];
        for (path, expected) in cases {
            assert_eq!(normalise_source_path(path), expected, "{path}");
        }
        assert_eq!(file_name("C:\\x\\y.png").as_deref(), Some("y.png"));
        assert_eq!(file_name("/"), None);
    }

    #[test]
    fn tags() {
        let facts = UploadTags {
            filename: "f.png",
            path: "",
            session_id: "s",
            sha256: "00",
            content_type: "image/png",
        };
        let upload = upload_tags(facts);
        let text: Vec<String> = upload
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            text.join(" "),
            "kind=attachment target=client source=upload path=client:f.png filename=f.png session_id=s sha256=00 modality=image"
        );
        let facts = UploadTags {
            path: "in/f.png",
            ..facts
        };
        let import = import_tags(
            "run_input",
            facts,
            [("purpose", "run_input"), ("kind", "x"), ("modality", "voice")],
        );
        assert_eq!(import["kind"], "run_input");
        assert_eq!(import["path"], "in/f.png");
        assert_eq!(import["purpose"], "run_input");
        assert_eq!(import["modality"], "voice");
    }

    #[test]
    fn types() {
        assert_eq!(declared_or_guessed(Some(" Image/PNG "), "x.txt"), "image/png");
        assert_eq!(declared_or_guessed(Some(""), "x.txt"), "text/plain");
        assert_eq!(declared_or_guessed(None, "x"), "application/octet-stream");
    }
}
