//! `GET /files/read` and `/files/skim`: what cannot be shown is a text inside a success.

use std::path::{Path, PathBuf};

use super::read::{Range, ReadError, read_display};
use super::skim::{SkimOptions, skim_display};
use crate::workspace::{PathError, Roots};

/// `path` and `content` of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Virtual path.
    pub path: String,
    /// Text for display; begins with `Error: ` or `Refused: ` where the file cannot be shown.
    pub content: String,
}

/// Reads a file for display.
///
/// # Errors
/// Only for a path that the roots refuse.
pub fn read(roots: &Roots, raw: &str, range: Range) -> Result<Shown, PathError> {
    show(roots, raw, |path, shown| read_display(path, shown, range))
}

/// Skims a file for display.
///
/// # Errors
/// Only for a path that the roots refuse.
pub fn skim(roots: &Roots, raw: &str, options: SkimOptions) -> Result<Shown, PathError> {
    show(roots, raw, |path, shown| skim_display(path, shown, options))
}

fn show(
    roots: &Roots,
    raw: &str,
    display: impl FnOnce(&Path, &str) -> Result<String, ReadError>,
) -> Result<Shown, PathError> {
    let path: PathBuf = roots.resolve(raw)?;
    let shown = roots.virtual_path(&path);
    let content = match roots.check_ignored(&path, &shown) {
        Err(ignored) => format!("Error: {ignored}"),
        Ok(()) => display(&path, &shown).unwrap_or_else(|error| format!("Error: {error}")),
    };
    Ok(Shown { path: shown, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_texts_and_refused_paths_are_errors() {
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::create_dir_all(dir.path().join("build")).expect("dirs");
        std::fs::write(dir.path().join("build/x"), "x").expect("write");
        std::fs::write(dir.path().join("a"), "1\n2\n").expect("write");
        let roots = Roots::new(dir.path());
        let shown = |raw: &str, range| read(&roots, raw, range).expect(raw).content;
        assert_eq!(
            shown("build/x", Range::ALL),
            "Error: File 'build/x' is ignored by .abstractignore policy"
        );
        assert_eq!(shown("no", Range::ALL), "Error: File 'no' does not exist");
        assert_eq!(
            shown("a", Range { start: 9, end: None }),
            "Error: Start line 9 exceeds file length (2 lines)"
        );
        assert!(shown("./a", Range::ALL).ends_with("(2 lines)\n\n1: 1\n2: 2"));
        let skimmed = skim(&roots, "a", SkimOptions::default()).expect("a");
        assert_eq!(skimmed.path, "a");
        assert!(skimmed.content.contains("skim 2 lines (target 8.0%)"));
        assert!(matches!(
            read(&roots, "../a", Range::ALL),
            Err(PathError::Escapes { .. })
        ));
    }
}
