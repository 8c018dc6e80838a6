//! After a rotation: what older keys have sealed is sealed with the newest one, so that the old ones can go.

use ag_store::{Document, DocumentKind, Store, StoreError};
use ag_types::{SystemScope, TenantScope};

use super::Profile;
use crate::routes::secrets::SecretBox;

/// Attempts for a connection that is saved at the same time.
const ATTEMPTS: usize = 5;

/// What was done; with a dry run, what would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Secrets that the newest key had sealed already.
    pub current: u64,
    /// Secrets that are now sealed with it.
    pub moved: u64,
    /// Planes and ids of what could not be opened or read, with the reason; left as it was.
    pub failed: Vec<(String, String)>,
}

/// Seals every stored secret with the newest key. Can be repeated, also after it was cut off, and while the gateway
/// runs, if all its processes know the newest key. `progress` is told after each plane.
///
/// # Errors
/// [`StoreError`]; what was moved before stays moved.
pub async fn reseal_secrets(
    store: &dyn Store,
    secrets: &dyn SecretBox,
    dry_run: bool,
    mut progress: impl FnMut(&str, &Resealed),
) -> Result<Resealed, StoreError> {
    let mut done = Resealed::default();
    for plane in store
        .planes(&SystemScope::new("re-sealing of stored secrets"))
        .await?
    {
        let name = format!("{}/{}", plane.key.tenant_id, plane.key.runtime_id);
        let (_, documents) = store.documents(&plane, DocumentKind::EndpointProfile).await?;
        for document in documents {
            let id = format!("{name}: {}", document.id);
            match reseal(store, secrets, dry_run, &plane, document).await? {
                Outcome::NoSecret => {}
                Outcome::Current => done.current += 1,
                Outcome::Moved => done.moved += 1,
                Outcome::Failed(reason) => done.failed.push((id, reason)),
            }
        }
        progress(&name, &done);
    }
    Ok(done)
}

enum Outcome {
    NoSecret,
    Current,
    Moved,
    Failed(String),
}

async fn reseal(
    store: &dyn Store,
    secrets: &dyn SecretBox,
    dry_run: bool,
    plane: &TenantScope,
    mut document: Document,
) -> Result<Outcome, StoreError> {
    for _ in 0..ATTEMPTS {
        // The parser's own words could repeat what it read.
        let Ok(mut profile) = serde_json::from_str::<Profile>(&document.body) else {
            return Ok(Outcome::Failed("the stored connection cannot be read".to_owned()));
        };
        let Some(sealed) = profile.sealed_api_key.take() else {
            return Ok(Outcome::NoSecret);
        };
        if secrets.is_current(&sealed) {
            return Ok(Outcome::Current);
        }
        let context = Profile::seal_context(plane, &document.id);
        let moved = secrets
            .open(&sealed, &context)
            .and_then(|secret| secrets.seal(&secret, &context));
        profile.sealed_api_key = match moved {
            Ok(moved) => Some(moved),
            Err(error) => return Ok(Outcome::Failed(error.to_string())),
        };
        if dry_run {
            return Ok(Outcome::Moved);
        }
        let body = serde_json::to_string(&profile).unwrap_or_default();
        let resealed = Document {
            body,
            ..document.clone()
        };
        // What somebody has saved meanwhile must not be undone.
        let kind = DocumentKind::EndpointProfile;
        if store
            .replace_unchanged(plane, kind, &document.body, resealed)
            .await?
        {
            return Ok(Outcome::Moved);
        }
        match store.document(plane, kind, &document.id).await? {
            None => return Ok(Outcome::NoSecret),
            Some(now) => document = now,
        }
    }
    Ok(Outcome::Failed("the connection keeps changing".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use ag_auth::{KeyRing, SecretBoxError};
    use ag_store::{Documents as _, Planes as _, PutMode, fake::FakeStore};
    use ag_types::{PlaneKey, SystemClock, Timestamp};
    use futures::FutureExt as _;
    use secrecy::{ExposeSecret as _, SecretString};
    use serde_json::{Value, json};

    use super::*;

    fn ring(keys: &[&str]) -> KeyRing {
        let text = keys
            .iter()
            .map(|id| format!("{id}:{}A", id.repeat(42)))
            .collect::<Vec<_>>();
        KeyRing::parse(&SecretString::from(text.join("\n"))).expect("keys")
    }

    async fn put(store: &FakeStore, plane: &TenantScope, id: &str, sealed: Option<String>) {
        let body = json!({"id": id, "display_name": id, "provider_family": "vllm", "enabled": true, "created_at": "t0",
            "updated_at": "t1", "api_key_fingerprint": "f", "sealed_api_key": sealed});
        let document = Document {
            id: id.to_owned(),
            body: body.to_string(),
            updated_at: Timestamp::from_micros(7),
        };
        let put = store.put_document(plane, DocumentKind::EndpointProfile, document, PutMode::Upsert);
        put.await.expect("stored");
    }

    async fn stored(store: &FakeStore, plane: &TenantScope, id: &str) -> (Value, Timestamp) {
        let found = store.document(plane, DocumentKind::EndpointProfile, id).await;
        let found = found.expect("read").expect("there");
        (
            serde_json::from_str(&found.body).expect("document"),
            found.updated_at,
        )
    }

    /// A ring beside which somebody else saves a connection, always between its reading and its writing.
    struct Beside<'a> {
        ring: KeyRing,
        store: &'a FakeStore,
        /// What the others save, the last one first.
        saves: Mutex<Vec<Option<String>>>,
    }

    impl SecretBox for Beside<'_> {
        fn seal(&self, secret: &SecretString, context: &str) -> Result<String, SecretBoxError> {
            let save = self.saves.lock().expect("no panic meanwhile").pop();
            if let Some(sealed) = save {
                let saved = put(self.store, &TenantScope::root(), "one", sealed).now_or_never();
                saved.expect("the fake never waits");
            }
            self.ring.seal(secret, context)
        }
        fn open(&self, sealed: &str, context: &str) -> Result<SecretString, SecretBoxError> {
            self.ring.open(sealed, context)
        }
        fn is_current(&self, sealed: &str) -> bool {
            self.ring.is_current(sealed)
        }
    }

    /// Whatever is saved while a secret moves is what stays, sealed with the newest key.
    #[tokio::test]
    async fn what_is_saved_meanwhile_is_not_undone() {
        let (root, both) = (TenantScope::root(), || ring(&["b", "a"]));
        let context = Profile::seal_context(&root, "one");
        let sealed = |ring: KeyRing, secret: &str| Some(ring.seal(&secret.into(), &context).expect("sealed"));
        let by_old = |secret: &str| sealed(ring(&["a"]), secret);
        let always: Vec<_> = (0..ATTEMPTS).map(|n| by_old(&format!("sk-{n}"))).collect();
        let one = |moved, current| Resealed {
            moved,
            current,
            ..Resealed::default()
        };
        let given_up = Resealed {
            failed: vec![(
                "default/default: one".to_owned(),
                "the connection keeps changing".to_owned(),
            )],
            ..Resealed::default()
        };
        for (what, saves, expected, secret) in [
            ("a new key", vec![by_old("sk-new")], one(1, 0), "sk-new"),
            (
                "another run of this",
                vec![sealed(both(), "sk-1")],
                one(0, 1),
                "sk-1",
            ),
            ("no key", vec![None], one(0, 0), ""),
            ("one after the other", always, given_up, "sk-0"),
        ] {
            let store = FakeStore::new(Arc::new(SystemClock));
            put(&store, &root, "one", by_old("sk-1")).await;
            let beside = Beside {
                ring: both(),
                store: &store,
                saves: Mutex::new(saves),
            };
            let done = reseal_secrets(&store, &beside, false, |_, _| {}).await;
            assert_eq!(done.expect("done"), expected, "{what}");
            let (body, _) = stored(&store, &root, "one").await;
            let left = body["sealed_api_key"].as_str();
            let left = left.map(|sealed| both().open(sealed, &context).expect("opens"));
            let left = left.as_ref().map_or("", |left| left.expose_secret());
            assert_eq!(left, secret, "{what}");
        }
    }

    #[tokio::test]
    async fn everything_moves_to_the_newest_key_once() {
        let store = FakeStore::new(Arc::new(SystemClock));
        let key = PlaneKey {
            tenant_id: "a".into(),
            runtime_id: "r".into(),
        };
        let other = store.plane(&SystemScope::new("test"), &key).await.expect("plane");
        let root = TenantScope::root();
        let (old, lost, both) = (ring(&["a"]), ring(&["z"]), ring(&["b", "a"]));
        let seal = |ring: &KeyRing, plane: &TenantScope, id: &str, secret: &str| {
            let context = Profile::seal_context(plane, id);
            Some(ring.seal(&secret.into(), &context).expect("sealed"))
        };
        put(&store, &root, "one", seal(&old, &root, "one", "sk-1")).await;
        put(&store, &root, "new", seal(&both, &root, "new", "sk-2")).await;
        put(&store, &root, "bare", None).await;
        put(&store, &other, "two", seal(&old, &other, "two", "sk-3")).await;
        put(&store, &other, "lost", seal(&lost, &other, "lost", "sk-4")).await;
        // Sealed for another row.
        put(&store, &other, "moved", seal(&old, &root, "one", "sk-5")).await;

        let run = async |dry_run| {
            let mut planes = Vec::new();
            let done = reseal_secrets(&store, &both, dry_run, |plane, _| planes.push(plane.to_owned())).await;
            assert_eq!(planes.len(), 2, "progress");
            done.expect("done")
        };
        let failed = vec![
            (
                "a/r: lost".to_owned(),
                "the key of a stored secret is not available".to_owned(),
            ),
            (
                "a/r: moved".to_owned(),
                "a stored secret cannot be opened".to_owned(),
            ),
        ];
        let expected = Resealed {
            current: 1,
            moved: 2,
            failed,
        };
        let before = stored(&store, &root, "one").await;
        assert_eq!(run(true).await, expected);
        assert_eq!(
            stored(&store, &root, "one").await,
            before,
            "a dry run writes nothing"
        );
        assert_eq!(run(false).await, expected);
        let again = Resealed {
            current: 3,
            moved: 0,
            ..expected
        };
        assert_eq!(run(false).await, again, "a second time there is nothing to do");

        let newest = ring(&["b"]);
        for (plane, id, secret) in [
            (&root, "one", "sk-1"),
            (&root, "new", "sk-2"),
            (&other, "two", "sk-3"),
        ] {
            let (body, updated_at) = stored(&store, plane, id).await;
            let sealed = body["sealed_api_key"].as_str().expect("sealed");
            let opened = newest
                .open(sealed, &Profile::seal_context(plane, id))
                .expect("the old key can go");
            assert_eq!(opened.expose_secret(), secret);
            assert_eq!(
                (&body["updated_at"], &body["api_key_fingerprint"]),
                (&json!("t1"), &json!("f"))
            );
            assert_eq!(updated_at, Timestamp::from_micros(7));
        }
    }
}
