//! Sources that are only linked: fetched by the gateway, under the rules for addresses that flows name.

use std::time::Duration;

use ag_outbound::{Fetched, OutboundClient, fetch};

use crate::EffectCtx;

/// Limit of one download.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Fetches a source.
///
/// # Errors
/// The text of the failed effect; without the address, which may be presigned.
pub(super) async fn load(
    ctx: &EffectCtx<'_>,
    http: Option<&OutboundClient>,
    url: &str,
    limit: u64,
) -> Result<Fetched, String> {
    let Some(http) = http else {
        return Err("A linked source cannot be worked on: import it as an artifact first".to_owned());
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    tokio::select! {
        () = ctx.cancel.cancelled() => Err("cancelled".to_owned()),
        fetched = fetch(http, url, limit, TIMEOUT) => {
            fetched.map_err(|error| format!("A linked source cannot be read: {error}"))
        }
    }
}
