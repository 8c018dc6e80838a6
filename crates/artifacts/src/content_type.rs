//! MIME types: guesses, and the kinds derived from them.

/// What is unknown.
pub const OCTET_STREAM: &str = "application/octet-stream";

const CODE_TYPES: [&str; 21] = [
    "application/javascript",
    "application/x-javascript",
    "application/typescript",
    "application/x-python-code",
    "application/x-sh",
    "application/x-shellscript",
    "text/javascript",
    "text/jsx",
    "text/typescript",
    "text/tsx",
    "text/x-python",
    "text/x-shellscript",
    "text/x-script.python",
    "text/x-go",
    "text/x-rust",
    "text/x-java-source",
    "text/x-c",
    "text/x-c++",
    "text/x-csharp",
    "text/x-php",
    "text/x-ruby",
];

/// Extensions where the guess differs from the table of the `mime_guess` crate.
const OVERRIDES: [(&str, &str); 12] = [
    ("wav", "audio/x-wav"),
    ("py", "text/x-python"),
    ("js", "text/javascript"),
    ("mjs", "text/javascript"),
    ("ts", "text/typescript"),
    ("tsx", "text/tsx"),
    ("jsx", "text/jsx"),
    ("md", "text/markdown"),
    ("rs", "text/x-rust"),
    ("go", "text/x-go"),
    ("m4a", "audio/mp4"),
    ("yaml", "application/x-yaml"),
];

/// Lower case and without parameters.
pub(crate) fn bare(content_type: &str) -> String {
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Type of a file by its name alone; unknown extensions are bytes.
pub fn guess_content_type(file_name: &str) -> String {
    let extension = file_name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    if let Some(extension) = extension
        && let Some((_, guess)) = OVERRIDES.iter().find(|(known, _)| *known == extension)
    {
        return (*guess).to_owned();
    }
    mime_guess::from_path(file_name)
        .first_raw()
        .unwrap_or(OCTET_STREAM)
        .to_owned()
}

/// `descriptor.render_kind`: how a client would show the bytes.
pub fn render_kind(content_type: &str) -> &'static str {
    let mime = bare(content_type);
    let prefixed = [("image/", "image"), ("audio/", "audio"), ("video/", "video")];
    if let Some((_, kind)) = prefixed.iter().find(|(prefix, _)| mime.starts_with(prefix)) {
        return kind;
    }
    if CODE_TYPES.contains(&mime.as_str()) {
        return "code";
    }
    if mime == "application/json" || mime.ends_with("+json") {
        return "json";
    }
    if mime == "text/markdown" || mime == "text/x-markdown" {
        return "markdown";
    }
    if mime.contains("html") {
        return "html";
    }
    if mime.starts_with("text/") {
        return "text";
    }
    if mime.contains("pdf") || mime.contains("document") {
        return "document";
    }
    "binary"
}

/// `modality` of a canonical reference, coarser than the render kind.
pub fn reference_modality(content_type: &str) -> &'static str {
    let mime = bare(content_type);
    match mime.split('/').next() {
        Some("image") => "image",
        Some("audio") => "audio",
        Some("video") => "video",
        Some("text") => "text",
        _ if matches!(
            mime.as_str(),
            "application/json" | "application/xml" | "application/x-yaml"
        ) =>
        {
            "text"
        }
        _ => "file",
    }
}

/// Value of the `content-type` header for stored bytes: text says its encoding.
pub fn header_value(content_type: &str) -> String {
    if content_type.to_ascii_lowercase().starts_with("text/") && !content_type.contains("charset") {
        return format!("{content_type}; charset=utf-8");
    }
    content_type.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses() {
        let cases = [
            ("a.txt", "text/plain"),
            ("A.PNG", "image/png"),
            ("x.tar.json", "application/json"),
            ("s.wav", "audio/x-wav"),
            ("s.mp3", "audio/mpeg"),
            ("p.pdf", "application/pdf"),
            ("r.md", "text/markdown"),
            ("m.py", "text/x-python"),
            ("none", OCTET_STREAM),
            ("odd.zzzz", OCTET_STREAM),
        ];
        for (name, expected) in cases {
            assert_eq!(guess_content_type(name), expected, "{name}");
        }
    }

    #[test]
    fn kinds() {
        let cases = [
            ("image/png", "image", "image"),
            ("audio/x-wav", "audio", "audio"),
            ("video/mp4", "video", "video"),
            ("text/x-python", "code", "text"),
            ("application/javascript", "code", "file"),
            ("application/json; charset=utf-8", "json", "text"),
            ("application/ld+json", "json", "file"),
            ("text/markdown", "markdown", "text"),
            ("application/xhtml+xml", "html", "file"),
            ("text/csv", "text", "text"),
            ("application/pdf", "document", "file"),
            (
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                "document",
                "file",
            ),
            ("application/xml", "binary", "text"),
            ("", "binary", "file"),
        ];
        for (mime, render, modality) in cases {
            assert_eq!(
                (render_kind(mime), reference_modality(mime)),
                (render, modality),
                "{mime}"
            );
        }
    }

    #[test]
    fn header_values() {
        assert_eq!(header_value("text/plain"), "text/plain; charset=utf-8");
        assert_eq!(
            header_value("text/plain; charset=latin-1"),
            "text/plain; charset=latin-1"
        );
        assert_eq!(header_value("application/json"), "application/json");
    }
}
