//! Artifacts: bytes stored once per content, and what is known about them.
//!
//! Two halves that meet only in a content hash:
//!
//! * [`BlobStore`], the port for bytes, with [`LocalBlobs`] (a folder) and [`MemoryBlobs`] (tests and
//!   throw-away nodes); object stores are in `ag-artifacts-s3`. A blob is immutable and named by its
//!   SHA-256; a scope owns its own blobs. [`BlobMaintenance`] is what garbage collection needs beyond it.
//! * Pure functions over [`ArtifactMeta`], the metadata document: identity, derivation of the
//!   descriptor, access counters, envelopes and list items, search. A caller fetches rows, applies
//!   these and answers; nothing here does I/O.
//!
//! Order of writing: the blob first, then the metadata row. A crash between the two leaves a blob
//! without a row, which garbage collection removes once it is old enough; a row without its blob
//! cannot happen.

mod access;
mod blob;
mod content_type;
mod descriptor;
mod envelope;
mod ids;
mod links;
mod media;
mod meta;
mod reference;
mod search;
mod upload;
mod visibility;

pub use access::{Access, AccessAction, AccessBy, content_action};
#[cfg(any(test, feature = "conformance"))]
pub use blob::conformance;
pub use blob::{
    BlobError, BlobId, BlobInfo, BlobMaintenance, BlobReader, BlobStore, ByteRange, ByteStream, LocalBlobs,
    MemoryBlobs, RetiredAt, RetiredBlob, ScopeKey, StoredBlob,
};
pub use content_type::{OCTET_STREAM, guess_content_type, header_value, reference_modality, render_kind};
pub use descriptor::{ClassificationSource, Descriptor, DescriptorInput};
pub use envelope::{envelope, list_item, metadata_response, title};
pub use ids::{ArtifactIdHash, artifact_id, is_artifact_id, session_memory_run_id};
pub use links::links;
pub use media::{inspect_media, inspect_media_in};
pub use meta::{ArtifactMeta, ContentFacts, NewArtifact, Tags};
pub use reference::{canonical_reference, node_reference};
pub use search::{
    DEFAULT_PAGE_SIZE, Direction, Facets, OrderBy, Page, RawSearch, SearchError, SearchQuery, SearchScope,
    facets, listing_response, search_response, stats_response,
};
pub use upload::{
    UploadTags, declared_or_guessed, file_name, import_tags, normalise_source_path, upload_tags,
};
pub use visibility::is_visible_to_run;
