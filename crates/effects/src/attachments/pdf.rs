//! Text of PDF files, for tools that show attachments.

use std::time::Duration;

use ag_pdf::{PdfError, ReadOptions};
use bytes::Bytes;

/// A tool call should not wait longer than this for one file.
const TIME: Duration = Duration::from_secs(20);

/// The text of a PDF file.
///
/// # Errors
/// The reason why there is none; the model may still take the file itself.
pub(crate) async fn text_of(content: Bytes) -> Result<String, &'static str> {
    let options = ReadOptions {
        time: TIME,
        ..ReadOptions::default()
    };
    let read = tokio::task::spawn_blocking(move || ag_pdf::read(&content, &options)).await;
    match read.unwrap_or(Err(PdfError::Damaged)) {
        Ok(read) if read.content.is_empty() => Err("the PDF has no extractable text"),
        Ok(read) => Ok(read.content),
        Err(PdfError::Damaged) => Err("PDF text extraction failed: not a readable PDF file"),
        Err(PdfError::Encrypted) => Err("PDF text extraction failed: the PDF file is encrypted"),
        Err(PdfError::TooComplex) => Err("PDF text extraction failed: the PDF file is too complex to read"),
    }
}
