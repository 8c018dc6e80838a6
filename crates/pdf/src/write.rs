//! Plain PDF files from text.
//!
//! Blank lines part paragraphs, lines of a paragraph flow together, `#` begins a heading and `-` or `*` an item, as in
//! the Markdown that models write. Nothing else of it is interpreted.

mod block;
mod glyphs;
mod layout;

use std::io;

use ag_types::Timestamp;
use lopdf::{Dictionary, Document, Object, Stream, dictionary};

use layout::{PAGE_HEIGHT, PAGE_WIDTH, pages};

/// Title of a file without one.
pub const DEFAULT_TITLE: &str = "AbstractRuntime PDF";

/// Sets `text` on Letter pages, below `title` if there is one.
///
/// # Errors
/// The file could not be put together; writing to memory has no known reason to fail.
pub fn write(text: &str, title: Option<&str>, created: Timestamp) -> io::Result<Vec<u8>> {
    let title = title.map(str::trim).filter(|title| !title.is_empty());
    let mut document = Document::with_version("1.7");
    let font = |name: &str, encoding: Option<&str>| {
        let mut font = dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => name };
        if let Some(encoding) = encoding {
            font.set("Encoding", encoding);
        }
        font
    };
    let win_ansi = Some("WinAnsiEncoding");
    let fonts = dictionary! {
        "F1" => document.add_object(font("Helvetica", win_ansi)),
        "F2" => document.add_object(font("Helvetica-Bold", win_ansi)),
        "F3" => document.add_object(font("ZapfDingbats", None)),
    };
    let resources = document.add_object(dictionary! { "Font" => fonts });
    let tree = document.new_object_id();
    let mut kids = Vec::new();
    for content in pages(&block::blocks(text, title)) {
        let mut stream = Stream::new(Dictionary::new(), content);
        stream.compress().map_err(io::Error::other)?;
        let content = document.add_object(stream);
        let page =
            document.add_object(dictionary! { "Type" => "Page", "Parent" => tree, "Contents" => content });
        kids.push(Object::Reference(page));
    }
    let count = i64::try_from(kids.len()).unwrap_or(i64::MAX);
    document.set_object(
        tree,
        dictionary! {
            "Type" => "Pages", "Kids" => kids, "Count" => count, "Resources" => resources,
            "MediaBox" => vec![0.into(), 0.into(), PAGE_WIDTH.into(), PAGE_HEIGHT.into()],
        },
    );
    let catalogue = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => tree });
    document.trailer.set("Root", catalogue);
    let date = date(created);
    let info = document.add_object(dictionary! {
        "Title" => lopdf::text_string(title.unwrap_or(DEFAULT_TITLE)),
        "Producer" => lopdf::text_string("AbstractGateway"),
        "CreationDate" => Object::string_literal(date.clone()),
        "ModDate" => Object::string_literal(date),
    });
    document.trailer.set("Info", info);
    let mut file = Vec::new();
    document.save_to(&mut file)?;
    Ok(file)
}

/// `D:YYYYMMDDHHMMSSZ`.
fn date(at: Timestamp) -> String {
    let digits: String = at
        .to_string()
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect();
    format!("D:{digits}Z")
}

#[cfg(test)]
mod tests;
