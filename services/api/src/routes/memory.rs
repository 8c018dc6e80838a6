//! Memory over HTTP: the knowledge graph that workflows have written, and the embedding model behind its search.

mod embeddings;
mod kg;
#[cfg(test)]
mod tests;

use crate::operation::ops;

ops! {
    /// The knowledge graph.
    pub(super) const KNOWLEDGE: "kg" = {
        POST "/api/gateway/kg/query" kg::query_kg "Queries the statements of the knowledge graph.";
    }
}

ops! {
    /// The embedding model.
    pub(super) const EMBEDDING_MODEL: "embeddings" = {
        POST "/api/gateway/embeddings" embeddings::create_embeddings "Turns texts into vectors.";
        GET "/api/gateway/embeddings/config" embeddings::get_embeddings_config "Tells the embedding model and its dimension.";
    }
}
