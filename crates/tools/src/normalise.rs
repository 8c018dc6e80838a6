//! Forgiving on the way in, honest on the way out.
//!
//! Models misspell argument names, nest objects, send numbers as text. Tools report failures as text, as an object or
//! as an error. Both are brought to one form here, so that no tool has to think about it.

mod arguments;
mod result;

pub use arguments::{ArgumentError, arguments};
pub use result::result;

/// An argument name without case and separators: `filePath`, `file-path` and `file_path` are the same.
pub(crate) fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' ' | '.'))
        .flat_map(char::to_lowercase)
        .collect()
}
