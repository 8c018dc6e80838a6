//! The seam for encryption at rest: the port is that of `ag-auth`, under the name that this crate's users know.

pub use ag_auth::{SecretBox, SecretBoxError};
