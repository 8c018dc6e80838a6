//! What every [`BlobMaintenance`] (and thus every blob store) must do. Adapters call [`check`] on an empty store.

use std::{
    io,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};

use super::{BlobError, BlobId, BlobMaintenance, ByteRange, ByteStream, RetiredAt, RetiredBlob, ScopeKey};

/// Runs all checks.
///
/// # Panics
///
/// On the first difference, naming it.
pub async fn check(store: &dyn BlobMaintenance) {
    round_trip(store).await;
    absence(store).await;
    scopes_are_separate(store).await;
    streams(store).await;
    ranges(store).await;
    listing(store).await;
    concurrent_writes_of_one_blob(store).await;
    large_streams(store).await;
    retirement(store).await;
    retired_copies_are_listed(store).await;
    what_is_put_again_survives(store).await;
    leftovers(store).await;
}

/// Removes a blob as a collection does.
async fn remove(store: &dyn BlobMaintenance, scope: &ScopeKey, id: &BlobId) {
    assert!(store.retire(scope, id, at(1)).await.expect("retire"));
    for copy in store.retired(scope, None, 100).await.expect("retired") {
        assert!(store.discard(scope, &copy).await.expect("discard"));
    }
}

fn at(seconds: u64) -> RetiredAt {
    RetiredAt::of(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn scope(name: &str) -> ScopeKey {
    ScopeKey::plane("conformance", name)
}

fn chunks(parts: Vec<io::Result<Bytes>>) -> ByteStream {
    stream::iter(parts).boxed()
}

async fn round_trip(store: &dyn BlobMaintenance) {
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

async fn absence(store: &dyn BlobMaintenance) {
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
        !store.retire(&scope, &id, at(1)).await.expect("retire"),
        "retiring an absent blob"
    );
    let copy = RetiredBlob {
        id,
        at: at(1),
        size: 0,
    };
    assert!(
        !store.restore(&scope, &copy).await.expect("restore"),
        "restoring an absent copy"
    );
    assert!(
        !store.discard(&scope, &copy).await.expect("discard"),
        "discarding an absent copy"
    );
    assert!(
        store.retired(&scope, None, 10).await.expect("retired").is_empty(),
        "retired copies of an unknown scope"
    );
    assert!(
        store.list(&scope, None, 10).await.expect("list").is_empty(),
        "list of an unknown scope"
    );
    let stored = store
        .put(&scope, Bytes::from_static(b"short life"))
        .await
        .expect("put");
    remove(store, &scope, &stored.id).await;
    assert_eq!(
        store.get(&scope, &stored.id).await.expect("get"),
        None,
        "get after removal"
    );
}

async fn scopes_are_separate(store: &dyn BlobMaintenance) {
    let (one, two) = (scope("separate-1"), scope("separate-2"));
    let content = Bytes::from_static(b"shared bytes");
    let stored = store.put(&one, content.clone()).await.expect("put");
    assert_eq!(
        store.get(&two, &stored.id).await.expect("get"),
        None,
        "another scope's blob is absent"
    );
    store.put(&two, content.clone()).await.expect("put");
    remove(store, &two, &stored.id).await;
    assert_eq!(
        store.get(&one, &stored.id).await.expect("get"),
        Some(content),
        "removing in one scope only"
    );
}

async fn streams(store: &dyn BlobMaintenance) {
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
    remove(store, &scope, &stored.id).await;
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

async fn ranges(store: &dyn BlobMaintenance) {
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

async fn listing(store: &dyn BlobMaintenance) {
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

async fn concurrent_writes_of_one_blob(store: &dyn BlobMaintenance) {
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

/// Larger than any buffer: several parts of an upload, several chunks of a read.
async fn large_streams(store: &dyn BlobMaintenance) {
    const CHUNK: usize = 1_000_003;
    const CHUNKS: usize = 21;
    let scope = scope("large");
    let chunk = |number: usize| Bytes::from(vec![u8::try_from(number).expect("few"); CHUNK]);
    let parts = (0..CHUNKS).map(|number| Ok(chunk(number))).collect();
    let size = (CHUNK * CHUNKS) as u64;
    let stored = store
        .put_stream(&scope, chunks(parts), size)
        .await
        .expect("large stream");
    assert_eq!(stored.size, size);
    let seam = (CHUNK * 9) as u64;
    let range = ByteRange {
        start: seam - 1,
        end: Some(seam + 1),
    };
    let reader = store.open(&scope, &stored.id, range).await.expect("open");
    let bytes = reader.expect("present").bytes().await.expect("read");
    assert_eq!(bytes.as_ref(), [8, 9], "a range across chunks");
    let whole = store
        .get(&scope, &stored.id)
        .await
        .expect("get")
        .expect("present");
    assert_eq!(BlobId::of(&whole), stored.id, "every byte is in its place");
    let again = (0..CHUNKS).map(|number| Ok(chunk(number))).collect();
    let refused = store.put_stream(&scope, chunks(again), size - 1).await;
    assert!(matches!(refused, Err(BlobError::TooLarge { .. })));
}

async fn retirement(store: &dyn BlobMaintenance) {
    let scope = scope("retirement");
    let content = Bytes::from_static(b"old bytes");
    let stored = store.put(&scope, content.clone()).await.expect("put");
    assert!(store.retire(&scope, &stored.id, at(5)).await.expect("retire"));
    assert!(
        !store.retire(&scope, &stored.id, at(6)).await.expect("retire"),
        "nothing is left to retire"
    );
    assert!(
        store.list(&scope, None, 10).await.expect("list").is_empty(),
        "a retired blob is not listed"
    );
    assert_eq!(
        store.get(&scope, &stored.id).await.expect("get"),
        Some(content.clone()),
        "a retired blob is readable"
    );
    assert_eq!(store.size(&scope, &stored.id).await.expect("size"), Some(9));
    let range = ByteRange { start: 4, end: None };
    let reader = store.open(&scope, &stored.id, range).await.expect("open");
    assert_eq!(reader.expect("present").bytes().await.expect("read"), "bytes");
    let copies = store.retired(&scope, None, 10).await.expect("retired");
    let copy = RetiredBlob {
        id: stored.id,
        at: at(5),
        size: 9,
    };
    assert_eq!(copies, [copy]);
    assert!(store.restore(&scope, &copy).await.expect("restore"));
    assert_eq!(
        store.list(&scope, None, 10).await.expect("list").len(),
        1,
        "a restored blob is listed"
    );
    assert_eq!(store.retired(&scope, None, 10).await.expect("retired"), []);
    assert_eq!(store.get(&scope, &stored.id).await.expect("get"), Some(content));
}

async fn retired_copies_are_listed(store: &dyn BlobMaintenance) {
    let scope = scope("retired-listing");
    let mut expected = Vec::new();
    for number in 0..6u8 {
        // The same content twice makes two copies.
        for time in [1, 2] {
            let content = Bytes::from(vec![number; 3]);
            let stored = store.put(&scope, content).await.expect("put");
            assert!(store.retire(&scope, &stored.id, at(time)).await.expect("retire"));
            expected.push(RetiredBlob {
                id: stored.id,
                at: at(time),
                size: 3,
            });
        }
    }
    expected.sort();
    let mut seen: Vec<RetiredBlob> = Vec::new();
    loop {
        let page = store.retired(&scope, seen.last(), 5).await.expect("retired");
        assert!(page.len() <= 5, "a page has at most `limit` copies");
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, expected, "pages list every copy once, by id and time");
}

async fn what_is_put_again_survives(store: &dyn BlobMaintenance) {
    let scope = scope("again");
    let content = Bytes::from_static(b"twice");
    let id = store.put(&scope, content.clone()).await.expect("put").id;
    assert!(store.retire(&scope, &id, at(1)).await.expect("retire"));
    store.put(&scope, content.clone()).await.expect("put again");
    let copies = store.retired(&scope, None, 10).await.expect("retired");
    assert_eq!(copies.len(), 1, "putting does not touch the retired copy");
    assert!(store.restore(&scope, &copies[0]).await.expect("restore"));
    assert_eq!(
        store.retired(&scope, None, 10).await.expect("retired"),
        [],
        "the copy of a blob that is there is dropped"
    );
    assert!(store.retire(&scope, &id, at(2)).await.expect("retire"));
    store.put(&scope, content.clone()).await.expect("put again");
    for copy in store.retired(&scope, None, 10).await.expect("retired") {
        assert!(store.discard(&scope, &copy).await.expect("discard"));
    }
    assert_eq!(
        store.get(&scope, &id).await.expect("get"),
        Some(content),
        "discarding a copy leaves the blob"
    );
}

async fn leftovers(store: &dyn BlobMaintenance) {
    let scope = scope("leftovers");
    let stored = store.put(&scope, Bytes::from_static(b"kept")).await.expect("put");
    store
        .sweep_leftovers(&scope, Duration::ZERO)
        .await
        .expect("sweep");
    assert!(store.size(&scope, &stored.id).await.expect("size").is_some());
}
