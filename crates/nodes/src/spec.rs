//! Shorthand for node specifications: a file states what is particular to its type and takes the rest from the base
//! of its class.

use ag_visualflow::node::{NodeSpec, OnInputError, PinSpec};

/// A pin of the editor's catalogue.
pub(crate) const fn pin(id: &'static str, kind: &'static str) -> PinSpec {
    PinSpec { id, kind }
}

/// Pure nodes with the same value for the same inputs.
pub(crate) const PURE: NodeSpec = NodeSpec {
    kind: "",
    title: "",
    family: "",
    doc: "",
    inputs: &[],
    outputs: &[],
    on_input_error: OnInputError::Complete,
    deterministic: true,
};

/// Pure nodes that read variables, time or randomness.
pub(crate) const VOLATILE: NodeSpec = NodeSpec {
    deterministic: false,
    ..PURE
};

/// Function and branch nodes: an exception while inputs are resolved completes the run without success.
pub(crate) const FUNCTION: NodeSpec = PURE;

/// Function nodes whose input resolution fails the run (`set_var*`, `add_message`, `memact_compose`).
pub(crate) const STRICT_FUNCTION: NodeSpec = NodeSpec {
    on_input_error: OnInputError::Fail,
    ..PURE
};

/// Effect and control nodes.
pub(crate) const EFFECT: NodeSpec = STRICT_FUNCTION;

/// Effect nodes that fall back to their configuration when inputs cannot be resolved.
pub(crate) const LENIENT_EFFECT: NodeSpec = NodeSpec {
    on_input_error: OnInputError::Ignore,
    ..PURE
};
