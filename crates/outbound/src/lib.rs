//! Outgoing HTTP: the one place that builds clients, and the guard that decides which addresses they may reach.
//!
//! Whoever can make this service fetch a URL can otherwise read what only the service's network position may read:
//! loopback admin ports, private hosts, a cloud's instance credentials. The guard therefore looks at three moments:
//! the URL itself ([`check_url`]), every address a name resolves to (inside the client's resolver, so that a name
//! cannot answer differently to check and to connect), and every redirect (inside the client's redirect policy).
//!
//! - [`OutboundPolicy`]: what an operator configured may be private, what a user supplied may not unless allow-listed,
//!   metadata services are refused to everyone;
//! - [`OutboundClient`]: a client that checks each URL before use; [`client`] gives the bare one;
//! - [`read_body`]: a body read with a limit;
//! - [`fetch()`]: one download with all of this.

mod address;
mod allowlist;
mod body;
mod client;
mod fetch;
mod policy;
mod resolver;
mod tls;

pub use allowlist::{AllowEntry, Allowlist};
pub use body::{BodyError, read_body};
pub use client::{ClientOptions, OutboundClient, client, outbound_client};
pub use fetch::{FetchError, Fetched, fetch};
pub use policy::{OutboundError, OutboundPolicy, check_url};
