//! The adapter.

use std::sync::Arc;

use ag_providers::family::{ACEMUSIC, Wire};
use ag_providers::{ModelResidency, ProviderClient, ProviderEndpoint};
use ag_providers_http::{Kit, WireAdapter, transport::Transport};

use crate::chat::OpenAiChat;
use crate::embeddings::OpenAiEmbedder;
use crate::media::OpenAiMedia;
use crate::models::{Catalogue, KnownModels};
use crate::music::OpenAiMusic;
use crate::residency::Residency;

/// The OpenAI-compatible protocol.
#[derive(Debug, Default)]
pub struct OpenAiWire {
    known: Arc<KnownModels>,
}

impl WireAdapter for OpenAiWire {
    fn wire(&self) -> Wire {
        Wire::OpenAi
    }

    fn ports(&self, endpoint: Arc<ProviderEndpoint>, transport: Transport, kit: &Kit) -> ProviderClient {
        let chat = Arc::new(OpenAiChat::new(
            transport.clone(),
            Arc::clone(&kit.table),
            Arc::clone(&self.known),
        ));
        let media = Arc::new(OpenAiMedia {
            transport: transport.clone(),
            foreign: kit.foreign.clone(),
        });
        if endpoint.family.name == ACEMUSIC.name {
            return ProviderClient {
                music: Some(Arc::new(OpenAiMusic(media))),
                catalogue: Some(Arc::new(Catalogue(transport))),
                ..ProviderClient::new(endpoint, chat)
            };
        }
        ProviderClient {
            embedder: Some(Arc::new(OpenAiEmbedder {
                transport: transport.clone(),
                retry: kit.retry,
                pause: Arc::clone(&kit.pause),
            })),
            images: Some(media.clone()),
            speech: Some(media.clone()),
            transcriber: Some(media),
            catalogue: Some(Arc::new(Catalogue(transport.clone()))),
            residency: Residency::new(transport)
                .map(|residency| Arc::new(residency) as Arc<dyn ModelResidency>),
            ..ProviderClient::new(endpoint, chat)
        }
    }
}
