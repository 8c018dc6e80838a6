use bytes::Bytes;
use proptest::prelude::*;

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

#[test]
fn sizes_that_lie() {
    let text = b"some text that is compressed";
    let lie = |entry: RawEntry| check(&one(entry)).unwrap_err();
    let lying = ArchiveError::LyingSize("a".into());
    let damaged = ArchiveError::DamagedEntry("a".into());
    assert_eq!(
        lie(RawEntry {
            size: Some(3),
            ..file("a", text)
        }),
        lying
    );
    assert_eq!(
        lie(RawEntry {
            size: Some(300),
            ..file("a", text)
        }),
        lying
    );
    assert_eq!(
        lie(RawEntry {
            size: Some(3),
            stored: true,
            ..file("a", text)
        }),
        lying
    );
    assert_eq!(
        lie(RawEntry {
            crc: Some(1),
            ..file("a", text)
        }),
        damaged
    );
    assert_eq!(
        lie(RawEntry {
            padding: 4,
            ..file("a", text)
        }),
        damaged
    );
    assert_eq!(
        lie(RawEntry {
            stored: true,
            method: Some(8),
            ..file("a", text)
        }),
        damaged
    );
    // A large promise for a few bytes is refused without inflating.
    assert_eq!(
        open(
            one(RawEntry {
                size: Some(1 << 20),
                ..file("a", text)
            })
            .build()
        )
        .unwrap_err(),
        lying
    );
    for entry in [
        RawEntry {
            local_size: Some(3),
            ..file("a", text)
        },
        RawEntry {
            local_name: Some(b"b".to_vec()),
            ..file("a", text)
        },
    ] {
        assert!(matches!(lie(entry), ArchiveError::Damaged(_)));
    }
}

#[test]
fn a_bomb_is_refused_by_its_ratio_without_inflating() {
    // A low floor, so that the bombs need not be large to be bombs.
    let limits = Limits {
        ratio_floor_bytes: 1 << 16,
        ..Limits::default()
    };
    let content = vec![b' '; 1 << 18];
    let bytes = one(file("manifest.json", &content)).build();
    assert!(bytes.len() < 8 << 10);
    let error = Archive::open(Bytes::from(bytes), &limits).unwrap_err();
    assert!(matches!(error, ArchiveError::Ratio { max: 100, .. }), "{error}");
    assert_eq!(error.status(), ErrorStatus::TooLarge);

    // Many files below the floor add up.
    let entries = (0..4)
        .map(|n| file(&format!("{n}"), &vec![b' '; 1 << 16]))
        .collect();
    let many = RawZip {
        entries,
        ..RawZip::default()
    }
    .build();
    let error = Archive::open(Bytes::from(many), &limits).unwrap_err();
    assert!(matches!(error, ArchiveError::Ratio { .. }), "{error}");

    // The same bomb with an honest-looking size: inflating stops a buffer after the lie.
    let small = RawEntry {
        size: Some(100),
        ..file("manifest.json", &content)
    };
    let archive = open(one(small).build()).unwrap();
    assert_eq!(
        archive.read("manifest.json", 1000).unwrap_err(),
        ArchiveError::LyingSize("manifest.json".into())
    );

    let tight = Limits {
        max_total_bytes: 10,
        max_entry_bytes: 8,
        ..limits
    };
    let table = [
        (
            vec![file("a", &[1; 9])],
            ArchiveError::EntryTooLarge {
                name: "a".into(),
                size: 9,
                max: 8,
            },
        ),
        (
            vec![file("a", &[1; 6]), file("b", &[1; 6])],
            ArchiveError::TooLarge { size: 12, max: 10 },
        ),
    ];
    for (entries, expected) in table {
        let bytes = RawZip {
            entries,
            ..RawZip::default()
        }
        .build();
        assert_eq!(Archive::open(Bytes::from(bytes), &tight).unwrap_err(), expected);
        assert_eq!(expected.status(), ErrorStatus::TooLarge);
    }
}

#[test]
fn too_many_entries_cost_nothing() {
    // What a writer of a million entries leaves in the plain end record.
    let zip64 = RawZip {
        count: Some(u16::MAX),
        ..RawZip::default()
    };
    let error = check(&zip64).unwrap_err();
    assert!(matches!(error, ArchiveError::TooManyEntries { .. }), "{error}");
    assert_eq!(error.status(), ErrorStatus::TooLarge);
    let error = check(&RawZip {
        count: Some(5000),
        ..RawZip::default()
    })
    .unwrap_err();
    assert_eq!(
        error,
        ArchiveError::TooManyEntries {
            count: 5000,
            max: 4096
        }
    );
    // A million records behind a small count.
    let mut bytes = RawZip::default().build();
    let record = [b"PK\x01\x02".as_slice(), &[0; 42]].concat();
    let directory = record.repeat(1_000_000);
    let size = u32::try_from(directory.len()).unwrap();
    bytes[8..12].copy_from_slice(&[1, 0, 1, 0]);
    bytes[12..16].copy_from_slice(&size.to_le_bytes());
    let bytes = [directory, bytes].concat();
    assert!(open(bytes).is_err());
    // More announced than there are, and fewer.
    assert!(matches!(
        check(&RawZip {
            count: Some(2),
            ..named(&["a"])
        }),
        Err(ArchiveError::Damaged(_))
    ));
    assert!(matches!(
        check(&RawZip {
            count: Some(1),
            ..named(&["a", "b"])
        }),
        Err(ArchiveError::Damaged(_))
    ));
}

#[test]
fn entries_that_share_bytes() {
    let alias = RawEntry {
        alias: Some(0),
        local_name: None,
        ..file("a", b"x")
    };
    let zip = RawZip {
        entries: vec![
            file("a", b"x"),
            RawEntry {
                name: b"b".to_vec(),
                ..alias
            },
        ],
        ..RawZip::default()
    };
    // The second record names a local header of another name.
    assert!(matches!(check(&zip), Err(ArchiveError::Damaged(_))));

    // An entry inside another's data: a whole local entry is the stored content of the first.
    let inner = one(RawEntry {
        stored: true,
        ..file("b", b"y")
    })
    .build();
    let header_and_data = inner[..32].to_vec();
    let outer = RawEntry {
        stored: true,
        ..file("a", &header_and_data)
    };
    let mut zip = RawZip {
        entries: vec![
            outer,
            RawEntry {
                stored: true,
                ..file("b", b"y")
            },
        ],
        ..RawZip::default()
    };
    check(&zip).unwrap();
    zip.entries[1].alias = Some(0);
    let mut bytes = zip.build();
    let offset_field = bytes.len() - 22 - 1 - 4;
    bytes[offset_field..offset_field + 4].copy_from_slice(&31_u32.to_le_bytes());
    assert_eq!(
        open(bytes).unwrap_err(),
        ArchiveError::Overlap("a".into(), "b".into())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(archive) = open(bytes) {
            let _ = archive.verify();
        }
    }

    #[test]
    fn damaged_archives_never_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        truncate in any::<bool>(),
    ) {
        let mut bytes = zip_of(&[("manifest.json", "{\"a\":1}"), ("flows/main.json", "{\"nodes\":[]}")]);
        for (place, value) in edits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if truncate {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(archive) = open(bytes) {
            let _ = archive.verify();
            for entry in archive.entries() {
                if let Ok(Some(content)) = archive.read(entry.name(), 1000) {
                    prop_assert!(content.len() as u64 == entry.size());
                }
            }
        }
    }
}
