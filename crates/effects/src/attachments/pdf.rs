//! Text of PDF files. This build has no extraction: a PDF is handed to the model as it is.

/// Why there is no text.
pub(crate) const NOT_AVAILABLE: &str = "PDF text extraction is not available";

/// The text of a PDF file.
///
/// # Errors
/// The reason why there is none; always, as long as extraction is missing.
pub(crate) fn text_of(_content: &[u8]) -> Result<String, &'static str> {
    Err(NOT_AVAILABLE)
}
