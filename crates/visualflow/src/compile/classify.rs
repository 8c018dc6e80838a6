//! Executable or pure (spec §1.2).

use crate::node::{Behaviour, NodeCatalogue};

/// Types that supply data only when their saved pins say so, although they compute a pure value.
const EXECUTABLE_WITHOUT_PINS: [&str; 5] = [
    "make_array",
    "array_concat",
    "provider_catalog",
    "provider_models",
    "model_catalog",
];

/// The behaviour of a type; joins and muxes exist even where no catalogue lists them.
pub(super) fn behaviour(kind: &str, catalogue: &dyn NodeCatalogue) -> Option<Behaviour> {
    match (catalogue.find(kind), kind) {
        (Some(found), _) => Some(found.behaviour),
        (None, "join_exec") => Some(Behaviour::Join),
        (None, "path_mux") => Some(Behaviour::Mux),
        (None, _) => None,
    }
}

/// Whether the cursor can stand on a node. `exec_pins` is what its saved pins say, if it has any.
pub(super) fn is_executable(kind: &str, behaviour: Option<&Behaviour>, exec_pins: Option<bool>) -> bool {
    match (behaviour, exec_pins) {
        (Some(Behaviour::Literal), _) => false,
        (Some(Behaviour::Join), _) => true,
        (_, Some(declared)) => declared,
        (Some(Behaviour::Pure(_) | Behaviour::Mux), None) => EXECUTABLE_WITHOUT_PINS.contains(&kind),
        (_, None) => kind != "add_message",
    }
}
