//! A small durable world around the kernel: a store that keeps text, outside systems with scripted answers, people
//! who answer questions, and crashes at any commit.

pub(crate) mod flow;
pub(crate) mod world;
