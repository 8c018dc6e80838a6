//! Durable blocs: texts by content, kept per plane. Compiled caches of them exist only where a model runs in the same
//! process, which is never the case here.

mod kv;
mod records;
#[cfg(test)]
mod tests;
mod text;

use crate::operation::ops;

ops! {
    /// Blocs.
    pub(super) const BLOCS: "blocs" = {
        POST "/api/gateway/blocs/upsert_text" records::upsert_text_bloc "Stores a text.";
        GET "/api/gateway/blocs/record" records::get_bloc_record "Returns the record of a text.";
        GET "/api/gateway/blocs" records::list_blocs "Lists texts.";
        POST "/api/gateway/blocs/delete" records::delete_bloc "Deletes a text.";
        GET "/api/gateway/blocs/kv/manifest" kv::get_bloc_manifest "Returns the manifest of a compiled text.";
        GET "/api/gateway/blocs/kv/list" kv::list_bloc_artifacts "Lists compiled texts.";
        POST "/api/gateway/blocs/kv/ensure" kv::ensure_bloc "Compiles a text.";
        POST "/api/gateway/blocs/kv/load" kv::load_bloc "Loads a compiled text.";
        POST "/api/gateway/blocs/kv/delete" kv::delete_bloc_artifact "Deletes a compiled text.";
        POST "/api/gateway/blocs/kv/prune" kv::prune_blocs "Deletes unused compiled texts.";
    }
}
