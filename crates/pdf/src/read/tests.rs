use lopdf::{Dictionary, Object, Stream, dictionary};
use proptest::prelude::*;

use super::*;

/// A file of one page with a content stream and further resources.
fn file(content: &[u8], compress: bool, more: impl FnOnce(&mut Document) -> Dictionary) -> Vec<u8> {
    let mut document = Document::with_version("1.5");
    let font = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding",
    });
    let mut resources = more(&mut document);
    resources.set("Font", dictionary! { "F1" => font });
    let mut stream = Stream::new(Dictionary::new(), content.to_vec());
    if compress {
        stream.compress().expect("flate");
    }
    let content = document.add_object(stream);
    let tree = document.new_object_id();
    let page = document.add_object(dictionary! {
        "Type" => "Page", "Parent" => tree, "Contents" => content, "Resources" => resources,
    });
    document.set_object(
        tree,
        dictionary! { "Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1 },
    );
    let catalogue = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => tree });
    document.trailer.set("Root", catalogue);
    let mut out = Vec::new();
    document.save_to(&mut out).expect("file");
    out
}

fn text_of(content: &str) -> String {
    let file = file(content.as_bytes(), true, |_| Dictionary::new());
    let read = read(&file, &ReadOptions::default()).expect("text");
    read.content.trim_start_matches("# Page 1\n\n").to_owned()
}

#[test]
fn positions_become_spaces_and_line_ends() {
    for (content, text) in [
        ("BT /F1 10 Tf (a) Tj (b) Tj ET", "ab"),
        ("BT /F1 10 Tf [(Hel) 20 (lo) -300 (you)] TJ ET", "Hello you"),
        (
            "BT /F1 10 Tf 1 0 0 1 0 700 Tm (one) Tj 0 -12 Td (two) Tj ET",
            "one\ntwo",
        ),
        (
            "BT /F1 10 Tf 14 TL (one) Tj T* (two) Tj (three) ' 0 0 (four) \" ET",
            "one\ntwo\nthree\nfour",
        ),
        (
            "BT /F1 10 Tf 0 700 Td (left) Tj 200 0 Td (right) Tj ET",
            "left right",
        ),
        (
            "q 2 0 0 2 0 0 cm BT /F1 5 Tf 0 300 Td (a) Tj ET Q BT /F1 10 Tf 0 560 Td (b) Tj ET",
            "a\nb",
        ),
        (
            "BT /F1 10 Tf 0 1 -1 0 50 50 Tm (up) Tj 30 0 Td (ward) Tj ET",
            "up ward",
        ),
        ("BT (no font) Tj ET", ""),
        (
            "BT /F1 10 Tf /Span <</ActualText (fi)>> BDC (x) Tj (y) Tj EMC (n) Tj ET",
            "fin",
        ),
        ("]] >> ) } BT /F1 10 Tf -- 1.2.3 (x) Tj Q Q ET EMC", "x"),
    ] {
        assert_eq!(text_of(content), text, "{content}");
    }
}

#[test]
fn forms_are_read_and_cycles_end() {
    let file = file(b"/X Do", true, |document| {
        let id = document.new_object_id();
        let own = dictionary! { "X" => id };
        let form = dictionary! {
            "Type" => "XObject", "Subtype" => "Form", "Resources" => dictionary! { "XObject" => own },
        };
        document.set_object(
            id,
            Stream::new(form, b"BT /F1 10 Tf (in form) Tj ET /X Do /X Do".to_vec()),
        );
        dictionary! { "XObject" => dictionary! { "X" => id } }
    });
    // The form has fonts of its own, none; it ends nevertheless.
    assert_eq!(read(&file, &ReadOptions::default()).expect("read").content, "");
}

#[test]
fn bombs_are_refused() {
    let mut bomb = b"BT /F1 10 Tf ".to_vec();
    bomb.resize(PAGE_LIMIT + 100, b' ');
    let file = file(&bomb, true, |_| Dictionary::new());
    assert!(file.len() < 200_000);
    assert_eq!(read(&file, &ReadOptions::default()), Err(PdfError::TooComplex));
}

#[test]
fn many_object_streams_share_one_budget() {
    let one = b"<< /Type /ObjStm >>".to_vec();
    assert_eq!(stream_limit(&one), STREAM_LIMIT);
    let many = b"/ObjStm /Obj#53tm /XRef ".repeat(1_000);
    assert!(stream_limit(&many) * 3_000 <= OPEN_BUDGET);
}

#[test]
fn other_files_are_refused() {
    for bytes in [
        &b""[..],
        b"not a pdf",
        b"%PDF-1.7\n",
        b"%PDF-1.4\ntrailer << /Root 1 0 R >>\nstartxref\n9\n%%EOF",
    ] {
        assert_eq!(
            read(bytes, &ReadOptions::default()),
            Err(PdfError::Damaged),
            "{bytes:?}"
        );
    }
    let nested = [
        b"%PDF-1.4\n1 0 obj ".as_slice(),
        &b"[".repeat(200_000),
        b" endobj",
    ]
    .concat();
    assert!(read(&nested, &ReadOptions::default()).is_err());
}

#[test]
fn encrypted_files_say_so() {
    let mut document = Document::load_mem(&file(b"BT ET", false, |_| Dictionary::new())).expect("own file");
    let encrypt = document.add_object(dictionary! {
        "Filter" => "Standard", "V" => 1, "R" => 2, "P" => -4,
        "O" => Object::string_literal(vec![7_u8; 32]), "U" => Object::string_literal(vec![8_u8; 32]),
    });
    document.trailer.set("Encrypt", encrypt);
    let id = Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", vec![id.clone(), id]);
    let mut out = Vec::new();
    document.save_to(&mut out).expect("file");
    assert_eq!(read(&out, &ReadOptions::default()), Err(PdfError::Encrypted));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a file is changed to, reading it ends with text or an error.
    #[test]
    fn damaged_files_are_survived(changes in prop::collection::vec((0..2_000_usize, any::<u8>()), 1..40)) {
        let mut bytes = file(b"BT /F1 10 Tf [(Hello) -300 (you)] TJ 0 -12 Td <4142> Tj ET", false, |_| Dictionary::new());
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        let _ = read(&bytes, &ReadOptions::default());
    }

    #[test]
    fn any_content_is_survived(content in prop::collection::vec(any::<u8>(), 0..600)) {
        let bytes = file(&content, false, |_| Dictionary::new());
        prop_assert!(read(&bytes, &ReadOptions::default()).is_ok());
    }
}
