//! Memory owners.

use super::bench::{Bench, SECOND};
use crate::OwnerRow;

pub(super) async fn the_first_one_stays(b: Bench) {
    let owner = OwnerRow {
        owner_id: "session_memory_s".to_owned(),
        session_id: Some("s".to_owned()),
        created_at: b.now(),
        updated_at: b.now(),
    };
    assert_eq!(
        b.store.owner(&b.root(), &owner.owner_id).await.expect("read"),
        None
    );
    assert_eq!(
        b.store
            .ensure_owner(&b.root(), owner.clone())
            .await
            .expect("ensure"),
        owner
    );
    b.clock.advance(SECOND);
    let later = OwnerRow {
        created_at: b.now(),
        session_id: None,
        ..owner.clone()
    };
    assert_eq!(
        b.store.ensure_owner(&b.root(), later).await.expect("ensure"),
        owner
    );
    assert_eq!(
        b.store.owner(&b.root(), &owner.owner_id).await.expect("read"),
        Some(owner.clone())
    );
    assert_eq!(
        b.store
            .owner(&b.other_plane().await, &owner.owner_id)
            .await
            .expect("read"),
        None
    );
}
