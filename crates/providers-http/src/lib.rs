//! What every model server behind HTTP has in common: finding it, one guarded exchange with it, and the layers around
//! its wire.
//!
//! - [`ProviderSettings`], [`EnvironmentDirectory`]: endpoints by name, from the environment and stored connections.
//! - [`HttpProviders`]: from an endpoint to its ports. It owns connections, circuit breaker and retries, and asks the
//!   [`WireAdapter`] of the family for the rest. Wires live in crates of their own.
//! - [`SplitService`]: the control plane of the service that calls the models in split mode.
//! - [`transport`]: one exchange with address check, headers, time limit, cancellation, size limit, error statuses.
//! - [`errors`]: what servers and networks do, as [`ag_providers::ProviderError`].
//! - [`events`]: event streams and line streams, cut out of bytes. [`streamed`] runs one.

mod directory;
pub mod errors;
pub mod events;
mod factory;
mod service;
pub mod streamed;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod transport;

pub use directory::{EnvironmentDirectory, ProviderSettings};
pub use factory::{HttpProviders, HttpSettings, Kit, SplitServer, WireAdapter};
pub use service::SplitService;
