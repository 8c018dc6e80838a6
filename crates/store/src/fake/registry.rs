//! Documents, artifacts, owners and planes.

use std::{cmp::Reverse, collections::BTreeSet};

use ag_types::{PlaneId, PlaneKey, SystemScope, TenantScope};
use async_trait::async_trait;

use super::FakeStore;
use crate::{
    ArtifactFilter, ArtifactIndex, ArtifactOrder, ArtifactRow, Document, DocumentKind, Documents, OwnerRow,
    OwnerStore, Planes, PutMode, PutOutcome, Result,
};

#[async_trait]
impl Documents for FakeStore {
    async fn generation(&self, scope: &TenantScope) -> Result<i64> {
        Ok(self.world()?.counters(scope.plane).generation)
    }

    async fn document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        let key = (scope.plane, kind.as_str(), id.to_owned());
        Ok(self.world()?.documents.get(&key).cloned())
    }

    async fn documents(&self, scope: &TenantScope, kind: DocumentKind) -> Result<(i64, Vec<Document>)> {
        let mut world = self.world()?;
        let generation = world.counters(scope.plane).generation;
        let of_kind = world
            .documents
            .iter()
            .filter(|((plane, of, _), _)| *plane == scope.plane && *of == kind.as_str());
        Ok((
            generation,
            of_kind.map(|(_, document)| document.clone()).collect(),
        ))
    }

    async fn put_document(
        &self,
        scope: &TenantScope,
        kind: DocumentKind,
        document: Document,
        mode: PutMode,
    ) -> Result<PutOutcome> {
        let mut world = self.world()?;
        let key = (scope.plane, kind.as_str(), document.id.clone());
        match (mode, world.documents.contains_key(&key)) {
            (PutMode::Create, true) => return Ok(PutOutcome::Exists),
            (PutMode::Replace, false) => return Ok(PutOutcome::Missing),
            _ => {}
        }
        world.documents.insert(key, document);
        let counters = world.counters(scope.plane);
        counters.generation += 1;
        Ok(PutOutcome::Written {
            generation: counters.generation,
        })
    }

    async fn replace_unchanged(
        &self,
        scope: &TenantScope,
        kind: DocumentKind,
        read: &str,
        document: Document,
    ) -> Result<bool> {
        let mut world = self.world()?;
        let key = (scope.plane, kind.as_str(), document.id.clone());
        let stored = world.documents.get_mut(&key).filter(|stored| stored.body == read);
        let replaced = stored.map(|stored| *stored = document).is_some();
        world.counters(scope.plane).generation += i64::from(replaced);
        Ok(replaced)
    }

    async fn delete_document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<bool> {
        let mut world = self.world()?;
        let deleted = world
            .documents
            .remove(&(scope.plane, kind.as_str(), id.to_owned()))
            .is_some();
        world.counters(scope.plane).generation += i64::from(deleted);
        Ok(deleted)
    }
}

#[async_trait]
impl ArtifactIndex for FakeStore {
    async fn put_artifact(&self, scope: &TenantScope, row: ArtifactRow) -> Result<()> {
        self.world()?
            .artifacts
            .insert((scope.plane, row.artifact_id.clone()), row);
        Ok(())
    }

    async fn artifact(&self, scope: &TenantScope, artifact_id: &str) -> Result<Option<ArtifactRow>> {
        Ok(self
            .world()?
            .artifacts
            .get(&(scope.plane, artifact_id.to_owned()))
            .cloned())
    }

    async fn artifacts(&self, scope: &TenantScope, filter: ArtifactFilter) -> Result<Vec<ArtifactRow>> {
        let world = self.world()?;
        let mine = world
            .artifacts
            .iter()
            .filter(|((plane, _), _)| *plane == scope.plane)
            .map(|(_, row)| row);
        let mut rows: Vec<_> = mine.filter(|row| matches(row, &filter)).cloned().collect();
        match filter.order {
            ArtifactOrder::NewestFirst => {
                rows.sort_by_cached_key(|row| Reverse((row.created_at, row.artifact_id.clone())));
            }
            ArtifactOrder::OldestFirst => {
                rows.sort_by_cached_key(|row| (row.created_at, row.artifact_id.clone()));
            }
        }
        if filter.limit > 0 {
            rows.truncate(filter.limit);
        }
        Ok(rows)
    }

    async fn update_artifact_meta(&self, scope: &TenantScope, artifact_id: &str, meta: &str) -> Result<bool> {
        let mut world = self.world()?;
        let row = world.artifacts.get_mut(&(scope.plane, artifact_id.to_owned()));
        Ok(row.map(|row| row.meta = meta.into()).is_some())
    }

    async fn delete_artifacts_of(
        &self,
        scope: &TenantScope,
        run_ids: &[String],
    ) -> Result<(u64, Vec<String>)> {
        let mut world = self.world()?;
        let owned = |row: &ArtifactRow| row.run_id.as_ref().is_some_and(|id| run_ids.contains(id));
        let mut blobs = BTreeSet::new();
        let before = world.artifacts.len();
        world.artifacts.retain(|(plane, _), row| {
            let delete = *plane == scope.plane && owned(row);
            if delete {
                blobs.insert(row.blob_id.clone());
            }
            !delete
        });
        let deleted = (before - world.artifacts.len()) as u64;
        let left = world
            .artifacts
            .iter()
            .filter(|((plane, _), _)| *plane == scope.plane);
        for (_, row) in left {
            blobs.remove(&row.blob_id);
        }
        Ok((deleted, blobs.into_iter().collect()))
    }

    async fn blobs_in_use(&self, scope: &TenantScope, blob_ids: &[String]) -> Result<Vec<String>> {
        let world = self.world()?;
        let artifacts = world.artifacts.iter();
        let artifacts = artifacts
            .filter(|((plane, _), _)| *plane == scope.plane)
            .map(|(_, row)| row.blob_id.as_str());
        let runs = world.runs.iter().filter(|(key, _)| key.plane == scope.plane);
        let bundles = runs.filter_map(|(_, run)| run.bundle_sha256.as_deref());
        let used: BTreeSet<&str> = artifacts.chain(bundles).collect();
        let named = blob_ids.iter().filter(|id| used.contains(id.as_str()));
        Ok(named.cloned().collect())
    }
}

fn matches(row: &ArtifactRow, filter: &ArtifactFilter) -> bool {
    let any_owner = filter.run_ids.is_empty() && filter.or_session_id.is_none();
    let owner = row.run_id.as_ref().is_some_and(|id| filter.run_ids.contains(id));
    let session = filter.or_session_id.is_some() && row.session_id == filter.or_session_id;
    (any_owner || owner || session)
        && filter.created_after.is_none_or(|after| row.created_at >= after)
        && filter
            .created_before
            .is_none_or(|before| row.created_at <= before)
}

#[async_trait]
impl OwnerStore for FakeStore {
    async fn ensure_owner(&self, scope: &TenantScope, owner: OwnerRow) -> Result<OwnerRow> {
        let mut world = self.world()?;
        Ok(world
            .owners
            .entry((scope.plane, owner.owner_id.clone()))
            .or_insert(owner)
            .clone())
    }

    async fn owner(&self, scope: &TenantScope, owner_id: &str) -> Result<Option<OwnerRow>> {
        Ok(self
            .world()?
            .owners
            .get(&(scope.plane, owner_id.to_owned()))
            .cloned())
    }
}

#[async_trait]
impl Planes for FakeStore {
    async fn plane(&self, _: &SystemScope, key: &PlaneKey) -> Result<TenantScope> {
        Ok(self.world()?.plane(key))
    }

    async fn plane_by_id(&self, _: &SystemScope, plane: PlaneId) -> Result<Option<TenantScope>> {
        Ok(self
            .world()?
            .planes
            .iter()
            .find(|scope| scope.plane == plane)
            .cloned())
    }

    async fn planes(&self, _: &SystemScope) -> Result<Vec<TenantScope>> {
        Ok(self.world()?.planes.clone())
    }
}
