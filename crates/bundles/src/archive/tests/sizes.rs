//! Archives that lie about sizes, counts and places.

use bytes::Bytes;

use super::*;

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
