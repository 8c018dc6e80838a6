//! What this gateway can do: providers, models, tools, vocabularies and the capability contract.

mod audio;
mod capabilities;
mod catalog;
mod embeddings;
mod items;
mod media;
mod model_capabilities;
mod providers;
mod remote;
mod semantics;
#[cfg(test)]
mod tests;
mod tools;
mod vision;

pub use semantics::predicates_registry;

pub use tools::ToolServices;

use crate::operation::ops;

ops! {
    /// Discovery.
    pub(super) const DISCOVERY: "discovery" = {
        GET "/api/gateway/discovery/capabilities" capabilities::get_capabilities "Describes what this gateway offers (contract v1).";
        GET "/api/gateway/discovery/providers" providers::list_providers "Lists model providers.";
        GET "/api/gateway/discovery/providers/{provider_name}/models" providers::list_provider_models "Lists the models of a provider.";
        GET "/api/gateway/discovery/models/capabilities" model_capabilities::get_model_capabilities "Tells what a model can do.";
        GET "/api/gateway/discovery/tools" tools::list_tools "Lists the tools that models may call.";
    }
}

ops! {
    /// Vocabularies.
    pub(super) const SEMANTICS: "semantics" = {
        GET "/api/gateway/semantics" semantics::get_semantics "Lists predicates and entity types for knowledge graphs.";
    }
}

ops! {
    /// Catalogues of media models.
    pub(super) const CATALOGS: "catalogs" = {
        GET "/api/gateway/voice/voices" audio::list_voices "Lists voices.";
        GET "/api/gateway/audio/speech/models" audio::list_speech_models "Lists text-to-speech models.";
        GET "/api/gateway/audio/transcriptions/models" audio::list_transcription_models "Lists speech-to-text models.";
        GET "/api/gateway/audio/music/providers" audio::list_music_providers "Lists providers of music generation.";
        GET "/api/gateway/audio/music/models" audio::list_music_models "Lists models of music generation.";
        GET "/api/gateway/vision/provider_models" vision::list_vision_provider_models "Lists image and video models by provider.";
        GET "/api/gateway/vision/models" vision::list_vision_models "Lists local image models.";
        GET "/api/gateway/vision/adapters" vision::list_vision_adapters "Lists adapters of image models.";
    }
}

ops! {
    /// Embeddings.
    pub(super) const EMBEDDINGS: "embeddings" = {
        GET "/api/gateway/embeddings/models" embeddings::list_embedding_models "Lists embedding models by provider.";
    }
}
