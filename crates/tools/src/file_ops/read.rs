//! Text files with line numbers.

use std::fs;
use std::io;
use std::path::Path;

use crate::text::numbered;

/// Lines of one read; more would flood a model's context.
pub const MAX_LINES: usize = 2000;
/// Lines shown instead of a file that is too long.
const PREVIEW_LINES: usize = 60;
/// Larger files are not text that anybody reads line by line; this bounds memory per call.
pub const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;

/// Why a file cannot be shown. Texts are part of the contract.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("File '{path}' does not exist")]
    Missing {
        /// As given.
        path: String,
    },
    /// A directory, socket, device.
    #[error("'{path}' is not a file")]
    NotAFile {
        /// As given.
        path: String,
    },
    /// Not UTF-8 text.
    #[error("Cannot read '{path}' - file appears to be binary")]
    Binary {
        /// As given.
        path: String,
    },
    /// Beyond [`MAX_FILE_BYTES`].
    #[error("File '{path}' is too large ({size} bytes > {limit} bytes)")]
    TooLarge {
        /// As given.
        path: String,
        /// In bytes.
        size: u64,
        /// In bytes.
        limit: u64,
    },
    /// The range begins after the last line.
    #[error("Start line {start} exceeds file length ({lines} lines)")]
    StartBeyondEnd {
        /// First line asked for.
        start: i64,
        /// Lines of the file.
        lines: usize,
    },
    /// The range begins before the first line.
    #[error("start_line must be at least 1 (got {start})")]
    StartTooSmall {
        /// First line asked for.
        start: i64,
    },
    /// The range is backwards.
    #[error("start_line ({start}) cannot be greater than end_line ({end})")]
    Backwards {
        /// First line asked for.
        start: i64,
        /// Last line asked for.
        end: i64,
    },
    /// The system refused.
    #[error("Cannot read '{path}': {source}")]
    Io {
        /// As given.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// Lines asked for, 1-based and inclusive.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// First line.
    pub start: i64,
    /// Last line; `None` for the end of the file.
    pub end: Option<i64>,
}

impl Range {
    /// The whole file.
    pub const ALL: Self = Self { start: 1, end: None };
}

/// The text of a file; `shown` is the path in messages.
///
/// # Errors
/// [`ReadError`] for everything that is not a UTF-8 text file of reasonable size.
pub fn load_text(path: &Path, shown: &str) -> Result<String, ReadError> {
    let shown = || shown.to_owned();
    let io_error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ReadError::Missing { path: shown() },
        _ => ReadError::Io {
            path: shown(),
            source,
        },
    };
    let found = fs::metadata(path).map_err(io_error)?;
    if !found.is_file() {
        return Err(ReadError::NotAFile { path: shown() });
    }
    if found.len() > MAX_FILE_BYTES {
        return Err(ReadError::TooLarge {
            path: shown(),
            size: found.len(),
            limit: MAX_FILE_BYTES,
        });
    }
    let bytes = fs::read(path).map_err(io_error)?;
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(ReadError::Binary { path: shown() }),
    }
}

/// `File: <path> (<n> lines)`, an empty line, and the numbered lines of the range.
///
/// More than [`MAX_LINES`] lines are refused with a preview; that refusal is a text, not an error, because it tells the
/// reader how to go on.
///
/// # Errors
/// As [`load_text`], and for a range that is not in the file.
pub fn read_display(path: &Path, shown: &str, range: Range) -> Result<String, ReadError> {
    if let Some(end) = range.end
        && range.start > end
    {
        return Err(ReadError::Backwards {
            start: range.start,
            end,
        });
    }
    let Some(start) = usize::try_from(range.start).ok().filter(|start| *start > 0) else {
        return Err(ReadError::StartTooSmall { start: range.start });
    };
    let text = load_text(path, shown)?;
    let lines: Vec<&str> = text.lines().collect();
    let total = lines.len();
    if start > total.max(1) {
        return Err(ReadError::StartBeyondEnd {
            start: range.start,
            lines: total,
        });
    }
    let end = range
        .end
        .and_then(|end| usize::try_from(end).ok())
        .unwrap_or(total)
        .min(total);
    let wanted = &lines[start.min(total + 1) - 1..end];
    let header = format!("File: {} ({total} lines)", path.display());
    if wanted.len() <= MAX_LINES {
        return Ok(format!(
            "{header}\n\n{}",
            numbered(wanted.iter().copied(), start, end)
        ));
    }
    let what = if start == 1 && range.end.is_none() {
        format!(
            "Refused: File '{}' is too large to read entirely (> {MAX_LINES} lines).",
            path.display()
        )
    } else {
        format!(
            "Refused: this range of file '{}' is too large (> {MAX_LINES} lines).",
            path.display()
        )
    };
    let last = start + PREVIEW_LINES - 1;
    let preview = numbered(wanted.iter().copied().take(PREVIEW_LINES), start, last);
    Ok(format!(
        "{what}\nIt has {total} lines. Read parts of it with start_line and end_line, or find the place with \
         search_files or skim_files.\n\nLines {start}-{last}:\n{preview}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("t.txt");
        fs::write(&path, content).expect("write");
        (dir, path)
    }

    #[test]
    fn lines_are_numbered() {
        let (_dir, path) = file(b"line one\nline two");
        let shown = path.display();
        assert_eq!(
            read_display(&path, "t.txt", Range::ALL).expect("text"),
            format!("File: {shown} (2 lines)\n\n1: line one\n2: line two")
        );
        assert_eq!(
            read_display(
                &path,
                "t.txt",
                Range {
                    start: 2,
                    end: Some(9)
                }
            )
            .expect("text"),
            format!("File: {shown} (2 lines)\n\n2: line two")
        );
        let (_dir, empty) = file(b"");
        assert_eq!(
            read_display(&empty, "t.txt", Range::ALL).expect("text"),
            format!("File: {} (0 lines)\n\n", empty.display())
        );
    }

    #[test]
    fn long_files_are_refused_with_a_preview() {
        let (_dir, path) = file("x\n".repeat(2001).as_bytes());
        let text = read_display(&path, "t.txt", Range::ALL).expect("text");
        assert!(text.starts_with(&format!(
            "Refused: File '{}' is too large to read entirely (> 2000 lines).",
            path.display()
        )));
        assert!(text.ends_with("\n60: x"), "{text}");
        assert!(
            read_display(&path, "t.txt", Range { start: 2, end: None })
                .expect("text")
                .starts_with("File: ")
        );
        let full = read_display(
            &path,
            "t.txt",
            Range {
                start: 1,
                end: Some(2000),
            },
        )
        .expect("text");
        assert!(full.contains("\n   1: x") && full.ends_with("\n2000: x"));
    }

    #[test]
    fn failures_have_the_contract_s_texts() {
        let (dir, path) = file(b"1\n2\n3\n4\n5\n");
        let (_other, binary) = file(b"a\0b");
        let (_third, latin) = file(b"caf\xe9");
        let cases = [
            (
                path.clone(),
                Range { start: 99, end: None },
                "Start line 99 exceeds file length (5 lines)",
            ),
            (
                path.clone(),
                Range {
                    start: 5,
                    end: Some(2),
                },
                "start_line (5) cannot be greater than end_line (2)",
            ),
            (
                path,
                Range { start: 0, end: None },
                "start_line must be at least 1 (got 0)",
            ),
            (dir.path().join("no"), Range::ALL, "File 'p' does not exist"),
            (dir.path().to_path_buf(), Range::ALL, "'p' is not a file"),
            (binary, Range::ALL, "Cannot read 'p' - file appears to be binary"),
            (latin, Range::ALL, "Cannot read 'p' - file appears to be binary"),
        ];
        for (path, range, expected) in cases {
            assert_eq!(
                read_display(&path, "p", range).expect_err(expected).to_string(),
                expected
            );
        }
    }
}
