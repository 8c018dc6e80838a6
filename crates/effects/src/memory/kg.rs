//! The knowledge graph: statements, their search, and what effects and the HTTP interface share of it.

mod assert;
mod packets;
mod query;
mod resolve;
mod search;
mod terms;

pub use assert::{KgAssert, statement_body};
pub use query::KgQuery;
pub use resolve::KgResolve;
pub use search::{KgSearch, QueryVector, SearchError, item, sort_by_time};
pub use terms::{Vocabulary, predicate_term, query_term};
