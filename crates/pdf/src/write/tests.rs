use std::time::Duration;

use super::*;
use crate::{ReadOptions, read};

fn at() -> Timestamp {
    "2025-01-02T03:04:05Z".parse().expect("time")
}

fn round(text: &str, title: Option<&str>) -> crate::PdfText {
    let file = write(text, title, at()).expect("file");
    read(&file, &ReadOptions::default()).expect("text")
}

#[test]
fn what_is_written_can_be_read() {
    for (text, title, content) in [
        (
            "Hello PDF\nSecond line",
            Some("T"),
            "# Page 1\n\nT\nHello PDF Second line",
        ),
        ("a  b\tc\r\nd\n\nnext", None, "# Page 1\n\na b c d\nnext"),
        (
            "(x) \\ [y] <b>&amp;</b>",
            Some(" "),
            "# Page 1\n\n(x) \\ [y] <b>&amp;</b>",
        ),
        (
            "Äé€ — “q” 日本語 😀 end",
            None,
            "# Page 1\n\nÄé€ — “q” 日本語 😀 end",
        ),
        (
            "# One\ntext\n- a\n- b\nc",
            None,
            "# Page 1\n\nOne\ntext\n• a\n• b c",
        ),
        ("", None, ""),
    ] {
        let read = round(text, title);
        assert_eq!(read.content, content, "{text:?}");
        assert_eq!(
            read.info["Title"],
            title
                .map(str::trim)
                .filter(|t| !t.is_empty())
                .unwrap_or(DEFAULT_TITLE)
        );
        assert_eq!(read.info["CreationDate"], "D:20250102030405Z");
    }
    assert_eq!(round("", None).warnings, ["Page 1: no extractable text."]);
}

#[test]
fn long_texts_flow_over_lines_and_pages() {
    let text: String = (0..6_000).map(|n| format!("word{n} ")).collect();
    let read = round(&text, None);
    assert!(read.pages > 5, "{}", read.pages);
    for word in ["word0 ", "word2999", "word5999"] {
        assert!(read.content.contains(word), "{word}");
    }
    let longest = read.content.lines().map(str::len).max().expect("lines");
    assert!((60..160).contains(&longest), "{longest}");
    let unbroken = round(&"x".repeat(5_000), None).content;
    assert_eq!(unbroken.matches('x').count(), 5_000);
}

#[test]
fn pages_and_characters_can_be_limited() {
    let text: String = (0..6_000).map(|n| format!("word{n} ")).collect();
    let file = write(&text, None, at()).expect("file");
    for (first, last, processed, heading) in [
        (Some(2), Some(2), 1, "# Page 2"),
        (Some(99), None, 1, "# Page "),
        (Some(3), Some(1), 1, "# Page 3"),
        (Some(0), Some(-4), usize::MAX, "# Page 1"),
    ] {
        let options = ReadOptions {
            first_page: first,
            last_page: last,
            ..ReadOptions::default()
        };
        let found = read(&file, &options).expect("text");
        assert_eq!(
            found.processed_pages,
            processed.min(found.pages),
            "{first:?} {last:?}"
        );
        assert!(found.content.starts_with(heading), "{first:?} {last:?}");
    }
    let options = ReadOptions {
        max_chars: Some(30),
        ..ReadOptions::default()
    };
    let found = read(&file, &options).expect("text");
    assert_eq!(found.content.chars().count(), 30);
    assert!(found.truncated);
    assert_eq!(
        found.warnings,
        ["#TRUNCATION: PDF text was limited to explicit max_chars=30."]
    );
    let late = ReadOptions {
        time: Duration::ZERO,
        ..ReadOptions::default()
    };
    assert_eq!(read(&file, &late), Err(crate::PdfError::TooComplex));
}
