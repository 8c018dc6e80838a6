//! What is read, and what is refused.

mod damage;
mod sizes;

use bytes::Bytes;

use super::*;
use crate::{
    status::ErrorStatus,
    test_archive::{RawEntry, RawZip, file, zip_of},
};

fn open(bytes: Vec<u8>) -> Result<Archive, ArchiveError> {
    Archive::open(Bytes::from(bytes), &Limits::default())
}

/// Opens and inflates everything, as an upload does.
fn check(zip: &RawZip) -> Result<(), ArchiveError> {
    open(zip.build())?.verify()
}

fn one(entry: RawEntry) -> RawZip {
    RawZip {
        entries: vec![entry],
        ..RawZip::default()
    }
}

fn named(names: &[&str]) -> RawZip {
    RawZip {
        entries: names.iter().map(|name| file(name, b"x")).collect(),
        ..RawZip::default()
    }
}

#[test]
fn ordinary_archives_are_read() {
    let stored = RawEntry {
        stored: true,
        mode: 0o100_644,
        ..file("a/b.bin", &[0, 1, 2])
    };
    let dir = RawEntry {
        stored: true,
        mode: 0o040_755,
        ..file("a/", b"")
    };
    let empty = file("empty", b"");
    let zip = RawZip {
        entries: vec![file("manifest.json", b"{}"), dir, stored, empty],
        comment: b"a comment".to_vec(),
        ..RawZip::default()
    };
    let archive = open(zip.build()).unwrap();
    archive.verify().unwrap();
    assert_eq!(
        archive.read("manifest.json", 10).unwrap().as_deref(),
        Some(&b"{}"[..])
    );
    assert_eq!(
        archive.read("a/b.bin", 10).unwrap().as_deref(),
        Some(&[0, 1, 2][..])
    );
    assert_eq!(archive.read("empty", 0).unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(archive.read("nope", 10).unwrap(), None);
    assert!(matches!(
        archive.read("a/b.bin", 2),
        Err(ArchiveError::EntryTooLarge { size: 3, max: 2, .. })
    ));
    let dirs: Vec<_> = archive
        .entries()
        .iter()
        .filter(|entry| entry.is_dir())
        .map(Entry::name)
        .collect();
    assert_eq!(dirs, ["a/"]);
    assert_eq!(open(RawZip::default().build()).unwrap().entries().len(), 0);
}

#[test]
fn files_that_are_no_zip() {
    let zip = zip_of(&[("manifest.json", "{}")]);
    assert_eq!(open(b"not a zip".to_vec()).unwrap_err(), ArchiveError::NotAZip);
    assert_eq!(open(Vec::new()).unwrap_err(), ArchiveError::NotAZip);
    assert_eq!(ArchiveError::NotAZip.status(), ErrorStatus::Internal);
    for cut in 1..22 {
        let error = open(zip[..zip.len() - cut].to_vec()).unwrap_err();
        assert_eq!(error.status(), ErrorStatus::BadRequest, "cut {cut}: {error}");
    }
    let truncated = open(zip[..40].to_vec()).unwrap_err();
    assert_eq!(
        (truncated.to_string(), truncated),
        ("File is not a zip file".into(), ArchiveError::Truncated)
    );
}

#[test]
fn bytes_outside_the_entries() {
    let base = one(file("a", b"x"));
    let junk = |zip: RawZip| check(&zip).unwrap_err();
    assert_eq!(
        junk(RawZip {
            suffix: b"junk".to_vec(),
            ..base.clone()
        }),
        ArchiveError::TrailingData
    );
    assert_eq!(
        junk(RawZip {
            gap_before_end: 3,
            ..base.clone()
        }),
        ArchiveError::StrayData
    );
    // With right offsets and bytes before the first entry: a file that is two formats at once.
    assert_eq!(
        junk(RawZip {
            prefix: b"%PDF-1.4".to_vec(),
            ..base.clone()
        }),
        ArchiveError::StrayData
    );
    // With offsets that ignore what stands before.
    let mut shifted = b"junk".to_vec();
    shifted.extend(base.build());
    assert_eq!(open(shifted).unwrap_err(), ArchiveError::StrayData);
}

#[test]
fn names_that_are_refused() {
    let table = [
        ("/etc/passwd", "absolute path"),
        ("../x", "relative path segment"),
        ("a/../../x", "relative path segment"),
        ("a/./x", "relative path segment"),
        ("a\\x", "backslash"),
        ("C:/x", "drive letter"),
        ("a//x", "empty path segment"),
        ("a\0.json", "NUL character"),
        ("a\n.json", "control character"),
        ("CON", "device name"),
        ("flows/nul.json", "device name"),
        ("com1.txt", "device name"),
        ("a /x", "path segment ends with a dot or a space"),
        ("a.", "path segment ends with a dot or a space"),
        ("", "empty"),
    ];
    for (name, why) in table {
        match check(&named(&[name])) {
            Err(error @ ArchiveError::UnsafeName { why: found, .. }) => {
                assert_eq!(found, why, "{name}");
                assert_eq!(error.status(), ErrorStatus::BadRequest);
            }
            other => panic!("{name:?}: {other:?}"),
        }
    }
    let long = "x".repeat(513);
    assert!(matches!(
        check(&named(&[&long])),
        Err(ArchiveError::UnsafeName { why: "too long", .. })
    ));
    let latin = RawEntry {
        name: vec![b'a', 0xe9],
        ..file("", b"x")
    };
    assert!(matches!(
        check(&one(latin)),
        Err(ArchiveError::UnsafeName { why: "not UTF-8", .. })
    ));
    for fine in [
        "flows/main.json",
        "ä/ß.json",
        "console.log",
        "com10",
        "comx",
        "...x",
        ".hidden",
        "b/c:d",
    ] {
        check(&named(&[fine])).unwrap_or_else(|error| panic!("{fine}: {error}"));
    }
}

#[test]
fn names_that_collide() {
    for names in [
        &["a", "a"][..],
        &["a", "A"],
        &["Ä/x", "ä/X"],
        &["a", "a/b"],
        &["a/b", "a"],
        &["a/b/c", "A/B"],
        &["d/e", "d/e/"],
    ] {
        let mut zip = named(names);
        for entry in &mut zip.entries {
            if entry.name.ends_with(b"/") {
                entry.content.clear();
            }
        }
        let error = check(&zip).unwrap_err();
        assert!(matches!(error, ArchiveError::Collision(_)), "{names:?}: {error}");
    }
    check(&named(&["a/b", "a/c", "ab"])).unwrap();
}

#[test]
fn links_devices_encryption_and_other_methods() {
    for mode in [0o120_777, 0o020_666, 0o010_644, 0o140_755, 0o060_600, 0o040_755] {
        let error = check(&one(RawEntry {
            mode,
            ..file("a", b"x")
        }))
        .unwrap_err();
        assert_eq!(error, ArchiveError::NotAFile("a".into()), "{mode:o}");
    }
    for flags in [1, 1 << 6, 1 << 13] {
        let error = check(&one(RawEntry {
            flags,
            ..file("a", b"x")
        }))
        .unwrap_err();
        assert_eq!(error, ArchiveError::Encrypted("a".into()));
    }
    let error = check(&one(RawEntry {
        method: Some(12),
        ..file("a", b"x")
    }))
    .unwrap_err();
    assert_eq!(
        error,
        ArchiveError::Compression {
            name: "a".into(),
            method: 12
        }
    );
}
