//! What every [`BlobStore`] must do. Adapters call [`check`] on an empty store.

use std::io;

use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};

use super::{BlobError, BlobId, BlobStore, ByteRange, ByteStream, ScopeKey};

/// Runs all checks.
///
/// # Panics
///
/// On the first difference, naming it.
pub async fn check(store: &dyn BlobStore) {
    round_trip(store).await;
    absence(store).await;
    scopes_are_separate(store).await;
    streams(store).await;
    ranges(store).await;
    listing(store).await;
    concurrent_writes_of_one_blob(store).await;
}

fn scope(name: &str) -> ScopeKey {
    ScopeKey::plane("conformance", name)
}

fn chunks(parts: Vec<io::Result<Bytes>>) -> ByteStream {
    stream::iter(parts).boxed()
}

async fn round_trip(store: &dyn BlobStore) {
    let scope = scope("round-trip");
    for content in [
        Bytes::new(),
        Bytes::from_static(b"abc"),
        Bytes::from(vec![7u8; 300_000]),
    ] {
        for _ in 0..2 {
            let stored = store.put(&scope, content.clone()).await.expect("put");
            assert_eq!(stored.id, BlobId::of(&content), "put names the blob by its hash");
            assert_eq!(stored.size, content.len() as u64, "put tells the size");
        }
        let id = BlobId::of(&content);
        assert_eq!(
            store.get(&scope, &id).await.expect("get").as_ref(),
            Some(&content),
            "get after put"
        );
        assert_eq!(
            store.size(&scope, &id).await.expect("size"),
            Some(content.len() as u64),
            "size after put"
        );
    }
    assert_eq!(
        store.list(&scope, None, 10).await.expect("list").len(),
        3,
        "putting twice is one blob"
    );
}

async fn absence(store: &dyn BlobStore) {
    let scope = scope("absence");
    let id = BlobId::of(b"never stored");
    assert_eq!(
        store.get(&scope, &id).await.expect("get"),
        None,
        "get of an absent blob"
    );
    assert_eq!(
        store.size(&scope, &id).await.expect("size"),
        None,
        "size of an absent blob"
    );
    assert!(
        store
            .open(&scope, &id, ByteRange::ALL)
            .await
            .expect("open")
            .is_none(),
        "open of an absent blob"
    );
    assert!(
        !store.delete(&scope, &id).await.expect("delete"),
        "delete of an absent blob"
    );
    assert!(
        store.list(&scope, None, 10).await.expect("list").is_empty(),
        "list of an unknown scope"
    );
    let stored = store
        .put(&scope, Bytes::from_static(b"short life"))
        .await
        .expect("put");
    assert!(
        store.delete(&scope, &stored.id).await.expect("delete"),
        "delete of a present blob"
    );
    assert_eq!(
        store.get(&scope, &stored.id).await.expect("get"),
        None,
        "get after delete"
    );
}

async fn scopes_are_separate(store: &dyn BlobStore) {
    let (one, two) = (scope("separate-1"), scope("separate-2"));
    let content = Bytes::from_static(b"shared bytes");
    let stored = store.put(&one, content.clone()).await.expect("put");
    assert_eq!(
        store.get(&two, &stored.id).await.expect("get"),
        None,
        "another scope's blob is absent"
    );
    store.put(&two, content.clone()).await.expect("put");
    assert!(store.delete(&two, &stored.id).await.expect("delete"));
    assert_eq!(
        store.get(&one, &stored.id).await.expect("get"),
        Some(content),
        "deleting in one scope only"
    );
}

async fn streams(store: &dyn BlobStore) {
    let scope = scope("streams");
    let parts = || ["ab", "", "cd"].map(|part| Ok(Bytes::from(part))).into();
    let stored = store
        .put_stream(&scope, chunks(parts()), 4)
        .await
        .expect("at the limit");
    assert_eq!(
        (stored.id, stored.size),
        (BlobId::of(b"abcd"), 4),
        "a stream is the sum of its chunks"
    );
    let reader = store
        .open(&scope, &stored.id, ByteRange::ALL)
        .await
        .expect("open")
        .expect("present");
    assert_eq!((reader.size, reader.length), (4, 4));
    assert_eq!(reader.bytes().await.expect("read"), "abcd");
    let empty = store
        .put_stream(&scope, chunks(vec![]), 0)
        .await
        .expect("empty stream");
    assert_eq!(empty.id, BlobId::of(b""), "an empty stream is the empty blob");
    store.delete(&scope, &stored.id).await.expect("delete");
    let too_large = store.put_stream(&scope, chunks(parts()), 3).await;
    assert!(
        matches!(too_large, Err(BlobError::TooLarge { limit: 3 })),
        "one byte over the limit"
    );
    let cut = vec![Ok(Bytes::from_static(b"abcd")), Err(io::Error::other("cut"))];
    assert!(
        matches!(
            store.put_stream(&scope, chunks(cut), 10).await,
            Err(BlobError::Source(_))
        ),
        "a broken source"
    );
    assert_eq!(
        store.get(&scope, &stored.id).await.expect("get"),
        None,
        "failed streams leave nothing"
    );
}

async fn ranges(store: &dyn BlobStore) {
    let scope = scope("ranges");
    let content: Bytes = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let stored = store.put(&scope, content.clone()).await.expect("put");
    let size = content.len() as u64;
    for (start, end) in [
        (0, None),
        (1, Some(2)),
        (131_071, Some(262_145)),
        (size - 1, Some(size + 9)),
        (size, None),
        (size + 5, None),
        (5, Some(5)),
    ] {
        let range = ByteRange { start, end };
        let (from, length) = range.within(size);
        let reader = store
            .open(&scope, &stored.id, range)
            .await
            .expect("open")
            .expect("present");
        assert_eq!((reader.size, reader.length), (size, length), "{range:?}");
        let expected = content.slice(from as usize..(from + length) as usize);
        assert_eq!(reader.bytes().await.expect("read"), expected, "{range:?}");
    }
}

async fn listing(store: &dyn BlobStore) {
    let scope = scope("listing");
    let mut expected = Vec::new();
    for number in 0..20u8 {
        let stored = store
            .put(&scope, vec![number; usize::from(number)].into())
            .await
            .expect("put");
        expected.push((stored.id, stored.size));
    }
    expected.sort();
    let mut seen = Vec::new();
    loop {
        let after = seen.last().map(|(id, _)| *id);
        let page = store.list(&scope, after.as_ref(), 7).await.expect("list");
        assert!(page.len() <= 7, "a page has at most `limit` blobs");
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|info| (info.id, info.size)));
    }
    assert_eq!(seen, expected, "pages list every blob once, by id");
}

async fn concurrent_writes_of_one_blob(store: &dyn BlobStore) {
    let scope = scope("concurrent");
    let content = Bytes::from(vec![42u8; 100_000]);
    let writes = (0..8).map(|_| store.put(&scope, content.clone()));
    for stored in join_all(writes).await {
        assert_eq!(stored.expect("put").id, BlobId::of(&content));
    }
    assert_eq!(
        store.get(&scope, &BlobId::of(&content)).await.expect("get"),
        Some(content)
    );
}
