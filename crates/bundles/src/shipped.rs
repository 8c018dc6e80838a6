//! The bundles that come with the gateway.

use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;

use crate::{
    archive::Limits,
    bundle::{Bundle, Package},
    flow::Object,
    manifest::Manifest,
    pack::pack,
};

/// One shipped bundle as source: its manifest and its flows by manifest key.
struct Source {
    manifest: &'static str,
    flows: &'static [(&'static str, &'static str)],
}

const SOURCES: [Source; 1] = [Source {
    manifest: include_str!("../assets/basic-agent/manifest.json"),
    flows: &[("81795ea9", include_str!("../assets/basic-agent/81795ea9.json"))],
}];

/// Packages of the shipped bundles, for installing them as files or blobs. The bytes are the same on
/// every machine and in every process of one build.
#[must_use]
pub fn shipped_packages() -> Vec<Package> {
    SOURCES.iter().map(package).collect()
}

/// The shipped bundles, loaded.
#[must_use]
pub fn shipped_bundles() -> Vec<Bundle> {
    shipped_packages()
        .iter()
        .map(|package| {
            package
                .load()
                .expect("shipped flows are part of this crate and covered by its tests")
        })
        .collect()
}

fn package(source: &Source) -> Package {
    let manifest = Manifest::parse(source.manifest.as_bytes())
        .expect("a shipped manifest is part of this crate and covered by its tests");
    let flows: IndexMap<String, Arc<Object>> = source
        .flows
        .iter()
        .map(|(id, json)| {
            let flow = serde_json::from_str(json)
                .expect("a shipped flow is part of this crate and covered by its tests");
            ((*id).to_owned(), Arc::new(flow))
        })
        .collect();
    let bytes =
        pack(&manifest, &flows).expect("a shipped bundle is part of this crate and covered by its tests");
    Package::open(Bytes::from(bytes), &manifest.bundle_ref(), &Limits::default())
        .expect("a packed bundle can be opened")
}

#[cfg(test)]
mod tests;
