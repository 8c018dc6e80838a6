//! Fonts as far as text needs them: codes to characters, and how wide they are.

use std::collections::HashMap;

use lopdf::{Dictionary, Document, Encoding, Object};

use super::{PAGE_LIMIT, PdfError, problem};

/// Most fonts of one resource dictionary.
const MAX_FONTS: usize = 512;
/// Most widths of a font.
const MAX_WIDTHS: usize = 65_536;
/// Width of a character whose font does not tell, in thousandths of its size.
const USUAL_WIDTH: f64 = 500.0;

/// Font dictionaries by their name in a resource dictionary.
pub(super) fn sources(document: &Document, resources: Option<&Dictionary>) -> Vec<(Vec<u8>, Dictionary)> {
    let fonts = resources.and_then(|resources| resources.get_deref(b"Font", document).ok()?.as_dict().ok());
    let Some(fonts) = fonts else { return Vec::new() };
    let source = |(name, entry): (&Vec<u8>, &Object)| {
        let (_, font) = document.dereference(entry).ok()?;
        let mut font = font.as_dict().ok()?.clone();
        if font.has(b"ToUnicode") && !is_composite(&font) {
            // Says what codes mean better than the names of glyphs do.
            font.remove(b"Encoding");
        }
        Some((name.clone(), font))
    };
    fonts.iter().take(MAX_FONTS).filter_map(source).collect()
}

/// The fonts of `sources`, each with its encoding read once.
///
/// # Errors
/// [`PdfError::TooComplex`] for an encoding that is a bomb; one that nobody can read gives a font without text.
pub(super) fn table<'a>(
    document: &'a Document,
    sources: &'a [(Vec<u8>, Dictionary)],
) -> Result<HashMap<&'a [u8], Font<'a>>, PdfError> {
    let mut table = HashMap::new();
    for (name, source) in sources {
        table.insert(name.as_slice(), Font::of(document, source)?);
    }
    Ok(table)
}

/// A font.
pub(super) struct Font<'a> {
    encoding: Option<Encoding<'a>>,
    is_composite: bool,
    first: i64,
    widths: Vec<f64>,
}

fn is_composite(font: &Dictionary) -> bool {
    font.get(b"Subtype")
        .and_then(Object::as_name)
        .is_ok_and(|name| name == b"Type0")
}

impl<'a> Font<'a> {
    fn of(document: &'a Document, source: &'a Dictionary) -> Result<Self, PdfError> {
        let encoding = source.get_font_encoding_with_limit(document, PAGE_LIMIT);
        let encoding = match encoding.map_err(|error| problem(&error)) {
            Err(PdfError::TooComplex) => return Err(PdfError::TooComplex),
            other => other.ok(),
        };
        let number = |object: &Object| {
            let object = document.dereference(object).map_or(object, |(_, object)| object);
            object.as_float().map_or(USUAL_WIDTH, f64::from)
        };
        let widths = source.get_deref(b"Widths", document).and_then(Object::as_array);
        Ok(Self {
            encoding,
            is_composite: is_composite(source),
            first: source.get(b"FirstChar").and_then(Object::as_i64).unwrap_or(0),
            widths: widths
                .map(|list| list.iter().take(MAX_WIDTHS).map(number).collect())
                .unwrap_or_default(),
        })
    }

    /// The characters of a string.
    pub(super) fn text(&self, code: &[u8]) -> String {
        let text = self
            .encoding
            .as_ref()
            .and_then(|encoding| encoding.bytes_to_string(code).ok());
        let mut text = text.unwrap_or_default();
        text.retain(|c| c != '\0' && c != char::REPLACEMENT_CHARACTER);
        text
    }

    /// Width of a string in thousandths of the font's size, its number of characters and of spaces.
    pub(super) fn measure(&self, code: &[u8]) -> (f64, usize, usize) {
        if self.is_composite {
            let count = code.len().div_ceil(2);
            return (1000.0 * count as f64, count, 0);
        }
        let width = |byte: &u8| {
            let index = usize::try_from(i64::from(*byte).saturating_sub(self.first)).ok();
            index
                .and_then(|index| self.widths.get(index))
                .copied()
                .unwrap_or(USUAL_WIDTH)
        };
        let spaces = code.iter().filter(|byte| **byte == b' ').count();
        (code.iter().map(width).sum(), code.len(), spaces)
    }
}
