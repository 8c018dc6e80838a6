//! Search over metadata documents.
//!
//! The caller fetches the documents of a scope (with whatever filters its store can apply) and these
//! functions decide, order, page and count, so that every store answers alike.

mod facets;
mod filter;
mod order;
mod params;
mod respond;

pub use facets::{Facets, facets};
pub use order::{Direction, OrderBy};
pub use params::{DEFAULT_PAGE_SIZE, RawSearch, SearchError, SearchQuery, SearchScope};
pub use respond::{Page, listing_response, search_response, stats_response};
