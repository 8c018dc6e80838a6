//! Whatever the bytes are, nothing panics.

use proptest::prelude::*;

use super::*;

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
