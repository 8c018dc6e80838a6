//! What is loaded in one data plane: bundle ids, versions, manifests.

use std::{collections::BTreeMap, sync::Arc};

use crate::{manifest::Manifest, version};

/// Prefix of the internal ids under which the tenant catalogue's bundles are loaded.
pub const CATALOG_PREFIX: &str = "__catalog__";

/// True for an internal catalogue id; such ids never appear in listings and cannot be named by clients.
#[must_use]
pub fn is_catalog_id(bundle_id: &str) -> bool {
    bundle_id.starts_with(CATALOG_PREFIX)
}

/// One loaded version of a bundle.
#[derive(Clone, Debug)]
pub struct IndexedVersion {
    /// The bundle's manifest.
    pub manifest: Arc<Manifest>,
    /// Lower-case hex SHA-256 of the bundle file; what a run keeps.
    pub sha256: String,
}

/// All versions of all bundles of a plane.
///
/// The id an entry is filed under is given explicitly, because a catalogue bundle is loaded under
/// another id than its manifest's.
#[derive(Clone, Debug, Default)]
pub struct BundleIndex {
    bundles: BTreeMap<String, Vec<IndexedVersion>>,
}

impl BundleIndex {
    /// Files a version under an id. The first of a repeated `id@version` wins, as when a directory is
    /// scanned in name order; returns whether this one was taken.
    pub fn insert(&mut self, bundle_id: &str, entry: IndexedVersion) -> bool {
        let versions = self.bundles.entry(bundle_id.to_owned()).or_default();
        let new = !versions
            .iter()
            .any(|known| known.manifest.bundle_version == entry.manifest.bundle_version);
        if new {
            versions.push(entry);
        }
        new
    }

    /// Forgets one version, or all; returns how many.
    pub fn remove(&mut self, bundle_id: &str, bundle_version: Option<&str>) -> usize {
        let Some(versions) = self.bundles.get_mut(bundle_id) else {
            return 0;
        };
        let before = versions.len();
        versions
            .retain(|known| bundle_version.is_some_and(|version| known.manifest.bundle_version != version));
        let removed = before - versions.len();
        if versions.is_empty() {
            self.bundles.remove(bundle_id);
        }
        removed
    }

    /// All ids in order, internal catalogue ids included.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.bundles.keys().map(String::as_str)
    }

    /// Ids without the catalogue's.
    pub fn private_ids(&self) -> impl Iterator<Item = &str> {
        self.ids().filter(|id| !is_catalog_id(id))
    }

    /// True when any version of the id is loaded.
    #[must_use]
    pub fn contains(&self, bundle_id: &str) -> bool {
        self.bundles.contains_key(bundle_id)
    }

    /// All versions of an id, in the order they were filed; empty when unknown.
    #[must_use]
    pub fn versions(&self, bundle_id: &str) -> &[IndexedVersion] {
        self.bundles.get(bundle_id).map_or(&[], Vec::as_slice)
    }

    /// One version.
    #[must_use]
    pub fn get(&self, bundle_id: &str, bundle_version: &str) -> Option<&IndexedVersion> {
        self.versions(bundle_id)
            .iter()
            .find(|known| known.manifest.bundle_version == bundle_version)
    }

    /// The version meant when none is named.
    #[must_use]
    pub fn latest(&self, bundle_id: &str) -> Option<&IndexedVersion> {
        self.get(bundle_id, version::latest(self.dated(bundle_id))?)
    }

    /// The latest version that is no draft.
    #[must_use]
    pub fn latest_published(&self, bundle_id: &str) -> Option<&IndexedVersion> {
        self.get(bundle_id, version::latest_published(self.dated(bundle_id))?)
    }

    /// The latest version, drafts on a par with published ones.
    #[must_use]
    pub fn latest_any(&self, bundle_id: &str) -> Option<&IndexedVersion> {
        self.get(bundle_id, version::newest(self.dated(bundle_id))?)
    }

    fn dated(&self, bundle_id: &str) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.versions(bundle_id).iter().map(|known| {
            (
                known.manifest.bundle_version.as_str(),
                known.manifest.created_at.as_str(),
            )
        })
    }

    /// The bundle meant when none is named: the only private one.
    #[must_use]
    pub fn default_bundle(&self) -> Option<&str> {
        let mut ids = self.private_ids();
        ids.next().filter(|_| ids.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: &str, version: &str) -> IndexedVersion {
        let manifest = serde_json::json!({
            "bundle_id": id, "bundle_version": version, "entrypoints": [{"flow_id": "main"}],
            "flows": {"main": "flows/main.json"}
        });
        let manifest = Manifest::from_value(&manifest).expect("test manifest");
        IndexedVersion {
            manifest: Arc::new(manifest),
            sha256: format!("sha-{version}"),
        }
    }

    #[test]
    fn first_of_a_repeated_version_wins_and_removal_forgets() {
        let mut index = BundleIndex::default();
        assert!(index.insert("b", version("b", "1.0.0")));
        assert!(!index.insert(
            "b",
            IndexedVersion {
                sha256: "other".into(),
                ..version("b", "1.0.0")
            }
        ));
        assert!(index.insert("b", version("b", "1.1.0")));
        assert!(index.insert("b", version("b", "draft.1")));
        assert_eq!(
            index.get("b", "1.0.0").map(|found| found.sha256.as_str()),
            Some("sha-1.0.0")
        );
        assert_eq!(
            index
                .latest("b")
                .map(|found| found.manifest.bundle_version.as_str()),
            Some("1.1.0")
        );
        assert_eq!(
            index
                .latest_any("b")
                .map(|found| found.manifest.bundle_version.as_str()),
            Some("draft.1")
        );
        assert_eq!(index.default_bundle(), Some("b"));
        assert!(index.insert("__catalog__v2__x", version("c", "1.0.0")));
        assert_eq!(index.default_bundle(), Some("b"));
        assert!(index.insert("c", version("c", "1.0.0")));
        assert_eq!(index.default_bundle(), None);
        assert_eq!(index.remove("b", Some("1.1.0")), 1);
        assert_eq!(index.remove("b", None), 2);
        assert!(!index.contains("b"));
        assert_eq!(index.remove("b", None), 0);
    }
}
