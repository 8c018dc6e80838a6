//! What kind of file a name promises.

const ARCHIVE: &[&str] = &[
    "zip", "tar", "gz", "tgz", "bz2", "tbz2", "xz", "7z", "rar", "zst", "jar", "war", "whl", "flow",
];
const JSON: &[&str] = &["json", "jsonl", "ndjson", "geojson", "ipynb"];
const CODE: &[&str] = &[
    "py", "pyi", "js", "mjs", "cjs", "jsx", "ts", "tsx", "rs", "go", "java", "kt", "c", "h", "cc", "cpp",
    "hpp", "cs", "rb", "php", "swift", "scala", "r", "lua", "pl", "sh", "bash", "zsh", "ps1", "sql", "css",
    "scss", "html", "htm", "xml", "yaml", "yml", "toml", "md", "markdown", "vue", "svelte", "dart", "ex",
    "exs", "hs", "ml", "proto",
];
const DOCUMENT: &[&str] = &[
    "pdf", "doc", "docx", "odt", "rtf", "ppt", "pptx", "odp", "xls", "xlsx", "ods", "epub",
];
const TEXT: &[&str] = &[
    "txt", "log", "csv", "tsv", "ini", "cfg", "conf", "rst", "srt", "vtt",
];

/// `archive`, `json`, `code`, `image`, `video`, `audio`, `document`, `text` or `other`.
#[must_use]
pub fn family_of(name: &str) -> &'static str {
    let extension = extension_of(name);
    let is = |list: &[&str]| list.contains(&extension.as_str());
    if is(ARCHIVE) {
        return "archive";
    }
    if is(JSON) {
        return "json";
    }
    if is(CODE) {
        return "code";
    }
    if is(DOCUMENT) {
        return "document";
    }
    if is(TEXT) {
        return "text";
    }
    match mime_guess::from_ext(&extension).first_raw() {
        Some(mime) if mime.starts_with("image/") => "image",
        Some(mime) if mime.starts_with("video/") => "video",
        Some(mime) if mime.starts_with("audio/") => "audio",
        Some(mime) if mime.starts_with("text/") => "text",
        _ => "other",
    }
}

/// Whether a file passes a family filter. Structured text counts as code in the filter, JSON included; a blank or
/// unknown filter lets everything pass.
#[must_use]
pub fn in_family(name: &str, filter: &str) -> bool {
    match filter.trim().to_lowercase().as_str() {
        "code" => matches!(family_of(name), "code" | "json"),
        wanted @ ("image" | "video" | "audio" | "document" | "text" | "json" | "archive" | "other") => {
            family_of(name) == wanted
        }
        _ => true,
    }
}

/// Lower-case extension without its dot, or an empty text.
#[must_use]
pub fn extension_of(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension.to_lowercase(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_follow_the_extension() {
        let cases = [
            ("a.md", "code"),
            ("b.py", "code"),
            ("c.json", "json"),
            ("d.txt", "text"),
            ("e.tar.gz", "archive"),
            ("f.PNG", "image"),
            ("g.mp4", "video"),
            ("h.mp3", "audio"),
            ("i.pdf", "document"),
            ("Makefile", "other"),
            (".bashrc", "other"),
        ];
        for (name, family) in cases {
            assert_eq!(family_of(name), family, "{name}");
        }
        assert!(in_family("c.json", "code") && in_family("c.json", "json") && in_family("x", "any"));
        assert!(!in_family("d.txt", "code"));
    }
}
