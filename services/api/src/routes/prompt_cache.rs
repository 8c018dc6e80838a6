//! Prompt caches: the control plane of providers, and the life of a session's cache key.
//!
//! Model servers behind HTTP key their caches by what they are sent; all that can be controlled here is the key. The
//! operations that need an engine of our own say so in their answers.

mod control;
mod namespace;
mod provider;
mod session;
#[cfg(test)]
mod tests;

use crate::operation::ops;

ops! {
    /// Control plane.
    pub(super) const PROMPT_CACHE: "prompt-cache" = {
        GET "/api/gateway/prompt_cache/stats" control::prompt_cache_stats "Tells what a provider's prompt cache holds.";
        GET "/api/gateway/prompt_cache/capabilities" control::prompt_cache_capabilities "Tells what a provider's prompt cache can do.";
        POST "/api/gateway/prompt_cache/set" control::set_prompt_cache_key "Chooses a cache key.";
        POST "/api/gateway/prompt_cache/update" control::update_prompt_cache "Adds to a cached prompt.";
        POST "/api/gateway/prompt_cache/fork" control::fork_prompt_cache "Copies a cached prompt.";
        POST "/api/gateway/prompt_cache/clear" control::clear_prompt_cache "Clears a cached prompt, or all.";
        POST "/api/gateway/prompt_cache/prepare_modules" control::prepare_prompt_cache_modules "Prepares prompt modules.";
        GET "/api/gateway/prompt_cache/saved" control::list_saved_prompt_caches "Lists exported caches.";
        POST "/api/gateway/prompt_cache/save" control::save_prompt_cache "Exports a cached prompt.";
        POST "/api/gateway/prompt_cache/load" control::load_prompt_cache "Imports a cached prompt.";
    }
}

ops! {
    /// Life of a session's key.
    pub(super) const SESSION_PROMPT_CACHE: "prompt-cache" = {
        GET "/api/gateway/sessions/{session_id}/prompt_cache/status" session::session_prompt_cache_status "Tells the state of a session's prompt cache.";
        POST "/api/gateway/sessions/{session_id}/prompt_cache/prepare" session::prepare_session_prompt_cache "Prepares a session's prompt cache.";
        POST "/api/gateway/sessions/{session_id}/prompt_cache/clear" session::clear_session_prompt_cache "Clears a session's prompt cache.";
        POST "/api/gateway/sessions/{session_id}/prompt_cache/rebuild" session::rebuild_session_prompt_cache "Clears and prepares a session's prompt cache.";
    }
}
