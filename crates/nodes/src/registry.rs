//! All node types by wire name.

use std::{collections::HashMap, sync::LazyLock};

use ag_visualflow::node::{NodeCatalogue, NodeType};

use crate::{control, core, data, events, files, internal, literals, math, media, memory, text, variables};

/// The families in the order of the editor's menu.
const FAMILIES: [&[NodeType]; 12] = [
    events::NODES,
    core::NODES,
    media::NODES,
    files::NODES,
    memory::NODES,
    control::NODES,
    literals::NODES,
    variables::NODES,
    math::NODES,
    text::NODES,
    data::NODES,
    internal::NODES,
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static NodeType>> = LazyLock::new(|| {
    FAMILIES
        .iter()
        .copied()
        .flatten()
        .map(|node| (node.spec.kind, node))
        .collect()
});

/// The node types that this build knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry;

impl Registry {
    /// All types in the order of the editor's menu.
    pub fn types() -> impl Iterator<Item = &'static NodeType> {
        FAMILIES.iter().copied().flatten()
    }
}

impl NodeCatalogue for Registry {
    fn find(&self, kind: &str) -> Option<&NodeType> {
        BY_NAME.get(kind).copied()
    }

    fn needs_workspace(&self, kind: &str) -> bool {
        let is_file = |node: &NodeType| node.spec.family == "files";
        TOOL_NODES.contains(&kind) || self.find(kind).is_some_and(is_file)
    }
}

/// Node types that run tools in the run itself; those of an agent run in its own child run.
const TOOL_NODES: [&str; 2] = ["call_tool", "tool_calls"];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// The types of the contract, one per line.
    const CONTRACT: &str = include_str!("../tests/data/node_types.txt");
    /// Types with the recorded flows that hold them to the contract.
    const GOLDEN: &str = include_str!("../tests/data/golden_vectors.txt");

    #[test]
    fn every_type_of_the_contract_is_registered_once() {
        let expected: BTreeSet<_> = CONTRACT.lines().collect();
        let kinds: Vec<_> = Registry::types().map(|node| node.spec.kind).collect();
        assert_eq!(kinds.len(), 128);
        assert_eq!(kinds.iter().copied().collect::<BTreeSet<_>>(), expected);
        assert!(
            expected
                .iter()
                .all(|kind| Registry.find(kind).is_some_and(|node| node.spec.kind == *kind))
        );
        assert!(Registry.find("no_such_type").is_none());
    }

    #[test]
    fn every_type_has_a_golden_vector() {
        let golden: BTreeMap<_, _> = GOLDEN.lines().filter_map(|line| line.split_once(": ")).collect();
        let inserted_by_the_compiler = ["join_exec", "path_mux"];
        for node in Registry::types().filter(|node| !inserted_by_the_compiler.contains(&node.spec.kind)) {
            assert!(
                golden.get(node.spec.kind).is_some_and(|names| !names.is_empty()),
                "{}",
                node.spec.kind
            );
        }
    }

    #[test]
    fn specifications_are_complete() {
        for node in Registry::types() {
            let spec = &node.spec;
            assert!(
                !spec.title.is_empty() && spec.doc.ends_with('.') && !spec.family.is_empty(),
                "{}",
                spec.kind
            );
            for pins in [spec.inputs, spec.outputs] {
                let ids: BTreeSet<_> = pins.iter().map(|pin| pin.id).collect();
                assert_eq!(ids.len(), pins.len(), "{} repeats a pin", spec.kind);
            }
        }
    }
}
