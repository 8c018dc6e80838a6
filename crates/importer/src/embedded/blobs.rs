//! Bytes of artifacts and bundles: kept where they are if both gateways share the place, copied otherwise.

use ag_artifacts::{ByteRange, ScopeKey};

use super::{EmbeddedOptions, PlanePair};
use crate::{ImportError, Progress};

/// Blobs listed at a time.
const PAGE: usize = 500;

/// How many there are, and how many were copied.
pub(super) async fn copy(
    options: &EmbeddedOptions,
    planes: &[PlanePair],
    progress: &dyn Progress,
) -> Result<(u64, u64), ImportError> {
    let (source, target) = (&options.source_blobs, &options.target_blobs);
    let (mut seen, mut copied) = (0, 0);
    progress.begin("blobs", 0, "blobs");
    for plane in planes {
        let scope = ScopeKey::plane(&plane.tenant, &plane.runtime);
        let mut after = None;
        loop {
            let page = source.list(&scope, after.as_ref(), PAGE).await?;
            for blob in &page {
                seen += 1;
                if !options.apply || target.size(&scope, &blob.id).await? == Some(blob.size) {
                    continue;
                }
                if let Some(reader) = source.open(&scope, &blob.id, ByteRange::ALL).await? {
                    target.put_stream(&scope, reader.stream, u64::MAX).await?;
                    copied += 1;
                }
            }
            progress.advance(seen);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
        }
    }
    progress.end();
    Ok((seen, copied))
}
