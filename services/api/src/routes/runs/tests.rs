//! The run operations through the router.

mod ledgers;
mod starts;
mod views;
