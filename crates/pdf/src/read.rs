//! Text of a PDF file.

mod content;
mod font;
mod matrix;
mod page;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use ag_types::Object;
use lopdf::{Document, LoadOptions};
use serde_json::Value;

/// What all streams that are decoded while a file is opened may become together, in bytes.
const OPEN_BUDGET: usize = 96 * 1024 * 1024;
/// Most that one of them may become.
const STREAM_LIMIT: usize = 32 * 1024 * 1024;
/// Most that the content of one page may become, and one font table.
const PAGE_LIMIT: usize = 16 * 1024 * 1024;
/// Longest text taken out of a file, in bytes.
const TEXT_LIMIT: usize = 64 * 1024 * 1024;
/// Most pages counted.
const MAX_PAGES: usize = 100_000;

/// Which part to read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// First page, from 1; smaller ones mean 1, larger ones the last.
    pub first_page: Option<i64>,
    /// Last page; never before the first.
    pub last_page: Option<i64>,
    /// Most characters of text; none and 0 mean all.
    pub max_chars: Option<usize>,
    /// Time for the whole file.
    pub time: Duration,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            first_page: None,
            last_page: None,
            max_chars: None,
            time: Duration::from_secs(30),
        }
    }
}

/// Text of a file, as Markdown with a heading per page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PdfText {
    /// `# Page 1`, its text, and so on; pages without text are left out.
    pub content: String,
    /// Pages of the file.
    pub pages: usize,
    /// Pages looked at.
    pub processed_pages: usize,
    /// Entries of the information dictionary, by name.
    pub info: Object,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Whether `max_chars` cut the text.
    pub truncated: bool,
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PdfError {
    /// Not a PDF file, or damaged beyond repair.
    #[error("not a readable PDF file")]
    Damaged,
    /// It wants a password.
    #[error("the PDF file is encrypted")]
    Encrypted,
    /// It needs more memory or time than one file may have.
    #[error("the PDF file is too complex to read")]
    TooComplex,
}

/// Takes the text out of a file. Blocks; for a thread where that is fine.
///
/// # Errors
/// [`PdfError`].
pub fn read(file: &[u8], options: &ReadOptions) -> Result<PdfText, PdfError> {
    // The parser is careful, but it is not ours, and a file must not end more than its own reading.
    catch_unwind(AssertUnwindSafe(|| read_checked(file, options))).unwrap_or(Err(PdfError::Damaged))
}

fn read_checked(file: &[u8], options: &ReadOptions) -> Result<PdfText, PdfError> {
    let deadline = Instant::now() + options.time;
    let load = LoadOptions {
        max_decompressed_size: Some(stream_limit(file)),
        ..LoadOptions::default()
    };
    let document = Document::load_mem_with_options(file, load).map_err(|error| problem(&error))?;
    if document.is_encrypted() {
        return Err(PdfError::Encrypted);
    }
    let pages: Vec<_> = document.page_iter().take(MAX_PAGES).collect();
    if pages.is_empty() {
        return Err(PdfError::Damaged);
    }
    let (first, last) = range(options, pages.len());
    let mut found = PdfText {
        pages: pages.len(),
        processed_pages: last - first + 1,
        info: info(&document),
        ..PdfText::default()
    };
    let wanted = options.max_chars.filter(|max| *max > 0);
    for number in first..=last {
        if Instant::now() > deadline {
            return Err(PdfError::TooComplex);
        }
        let text = page::text(&document, pages[number - 1], deadline)?;
        match text.trim() {
            "" => found
                .warnings
                .push(format!("Page {number}: no extractable text.")),
            text => {
                if !found.content.is_empty() {
                    found.content.push_str("\n\n");
                }
                found.content.push_str(&format!("# Page {number}\n\n{text}"));
            }
        }
        if found.content.len() > TEXT_LIMIT {
            return Err(PdfError::TooComplex);
        }
    }
    if let Some(max) = wanted
        && let Some((end, _)) = found.content.char_indices().nth(max)
    {
        found.content.truncate(end);
        found.truncated = true;
        found.warnings.push(format!(
            "#TRUNCATION: PDF text was limited to explicit max_chars={max}."
        ));
    }
    Ok(found)
}

/// Pages to read, from 1, both included.
fn range(options: &ReadOptions, pages: usize) -> (usize, usize) {
    let page = |given: Option<i64>, default: usize| match given {
        Some(number) if number > 0 => usize::try_from(number).unwrap_or(pages).min(pages),
        _ => default,
    };
    let first = page(options.first_page, 1);
    (first, page(options.last_page, pages).max(first))
}

/// The budget divided by the streams that opening decodes: object streams and cross-reference streams. Names may be
/// written with `#` escapes, so every such name counts as one.
fn stream_limit(file: &[u8]) -> usize {
    let mut streams = 1;
    let mut rest = file;
    while let Some(slash) = rest.iter().position(|byte| *byte == b'/') {
        rest = &rest[slash + 1..];
        let name = &rest[..rest.len().min(32)];
        let end = name
            .iter()
            .position(|byte| !byte.is_ascii_graphic() || b"/<>[]()".contains(byte));
        let name = &name[..end.unwrap_or(name.len())];
        if name == b"ObjStm" || name == b"XRef" || name.contains(&b'#') {
            streams += 1;
        }
    }
    (OPEN_BUDGET / streams).min(STREAM_LIMIT)
}

fn problem(error: &lopdf::Error) -> PdfError {
    use lopdf::{DecompressError, Error};
    match error {
        Error::Decompress(DecompressError::MemoryLimitExceeded { .. }) => PdfError::TooComplex,
        Error::Decryption(_) | Error::InvalidPassword => PdfError::Encrypted,
        _ => PdfError::Damaged,
    }
}

/// The information dictionary: texts decoded, names with their slash.
fn info(document: &Document) -> Object {
    let mut out = Object::new();
    let entries = document
        .trailer
        .get_deref(b"Info", document)
        .and_then(lopdf::Object::as_dict);
    let Ok(entries) = entries else { return out };
    for (name, value) in entries.iter().take(64) {
        let value = document.dereference(value).map_or(value, |(_, value)| value);
        let text = match value {
            lopdf::Object::String(_, _) => lopdf::decode_text_string(value).ok(),
            lopdf::Object::Name(name) => Some(format!("/{}", String::from_utf8_lossy(name))),
            lopdf::Object::Integer(number) => Some(number.to_string()),
            lopdf::Object::Boolean(flag) => Some(flag.to_string()),
            _ => None,
        };
        let name = String::from_utf8_lossy(name).into_owned();
        out.extend(text.map(|text| (name, Value::from(cut(text)))));
    }
    out.sort_keys();
    out
}

/// Information is a label, not a place for content.
fn cut(text: String) -> String {
    const MOST: usize = 4_000;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests;
