//! What the engine is made of. The composition root fills this in once.

use std::{sync::Arc, time::Duration};

use ag_artifacts::BlobStore;
use ag_effects::{EffectRegistry, Host, Tools};
use ag_kernel::ToolCatalogue;
use ag_messaging::{Bell, RunFeed};
use ag_store::Store;
use ag_types::{Clock, IdGen};

use crate::workflows::Workflows;

/// Limits of ticks.
#[derive(Debug, Clone)]
pub struct TickLimits {
    /// Steps of one tick before it rests ready again.
    pub max_steps: u32,
    /// Time of one tick before it rests ready again.
    pub max_time: Duration,
    /// Steps of a first tick inside a start.
    pub first_steps: u32,
    /// Time of a first tick inside a start.
    pub first_time: Duration,
    /// Offload threshold in bytes, 0 = never.
    pub max_inline_bytes: usize,
}

impl Default for TickLimits {
    fn default() -> Self {
        Self {
            max_steps: 10_000,
            max_time: Duration::from_millis(50),
            first_steps: 100,
            first_time: Duration::from_millis(5),
            max_inline_bytes: ag_kernel::offload::DEFAULT_MAX_INLINE_BYTES,
        }
    }
}

/// Everything a tick needs.
#[derive(Clone)]
pub struct Deps {
    /// System of record.
    pub store: Arc<dyn Store>,
    /// Bytes of artifacts and bundles.
    pub blobs: Arc<dyn BlobStore>,
    /// Wake-ups.
    pub bell: Arc<dyn Bell>,
    /// Streams.
    pub feed: Arc<dyn RunFeed>,
    /// Effect handlers.
    pub effects: EffectRegistry,
    /// Tools of approved batches.
    pub tools: Arc<dyn Tools>,
    /// Answers of steps' questions.
    pub host: Arc<dyn Host>,
    /// Compiled workflows.
    pub workflows: Arc<Workflows>,
    /// Tool descriptions for nodes.
    pub catalogue: Arc<dyn ToolCatalogue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdGen>,
    /// Limits.
    pub limits: TickLimits,
    /// Zone of the host, for `system_datetime` and grounding.
    pub zone: jiff::tz::TimeZone,
    /// Locale of the host (`en_US`).
    pub locale: String,
}

impl Deps {
    /// The environment of one step.
    pub fn env<'a>(
        &'a self,
        now: ag_types::Timestamp,
        host: &'a ag_kernel::HostAnswers,
    ) -> ag_kernel::StepEnv<'a> {
        ag_kernel::StepEnv {
            now,
            zone: &self.zone,
            locale: &self.locale,
            ids: &*self.ids,
            clock: &*self.clock,
            host,
            tools: &*self.catalogue,
        }
    }
}
