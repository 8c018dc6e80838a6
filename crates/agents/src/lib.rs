//! Agent loops as native workflows of the kernel.
//!
//! * [`ReactAgent`] is the loop behind `agent` nodes: the model thinks, calls tools, reads their results and answers.
//!
//! A loop has no state of its own. Everything it knows lies in the run's variables, so a run can move to another
//! process between any two steps.

mod react;

pub use react::{ReactAgent, nodes};
