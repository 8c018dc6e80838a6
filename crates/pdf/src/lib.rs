//! PDF files: the text of foreign ones, and plain ones from text.
//!
//! - [`read`] takes text out. Foreign files are hostile until shown otherwise: decompression has one budget per file,
//!   content is scanned without building a tree, time is limited, and a panic of the parser is an error.
//! - [`write`] sets paragraphs on Letter pages in the built-in Helvetica. Characters that it lacks show as a box and
//!   keep their meaning for readers that copy text (`ActualText`).
//!
//! The parser's crate stays behind this one.

mod read;
mod write;

pub use read::{PdfError, PdfText, ReadOptions, read};
pub use write::{DEFAULT_TITLE, write};
