//! Reachability, exit checks, and the final form of the nodes.

use std::collections::BTreeSet;

use ag_pyvalue::pyrepr_str;

use super::{
    CompileError,
    graph::{Draft, Graph},
};
use crate::{
    document::NodeConfig,
    node::{Behaviour, ControlKind},
    program::{Action, DefaultRule, Exit, Node, NodeIx, Program, Source, Survey, Wire},
};

/// Makes the program of what `entry` reaches.
pub(super) fn link(graph: Graph, flow_id: String, entry: NodeIx) -> Result<Program, CompileError> {
    let Graph {
        drafts,
        mut by_id,
        exec,
    } = graph;
    let mut exits: Vec<Vec<Exit>> = std::iter::repeat_with(Vec::new).take(drafts.len()).collect();
    for edge in exec {
        exits[edge.from as usize].push(Exit {
            handle: edge.handle,
            to: edge.to,
        });
    }
    let reached = reach(&exits, entry);
    let in_program = || {
        drafts
            .iter()
            .zip(&exits)
            .zip(&reached)
            .filter(|&(_, &reached)| reached)
            .map(|(pair, _)| pair)
    };
    if let Some((draft, _)) = in_program().find(|(draft, _)| draft.repeated) {
        return Err(CompileError::DuplicateNode {
            node: draft.id.to_string(),
            flow: flow_id,
        });
    }
    for (draft, exits) in in_program() {
        check_exits(draft, exits)?;
    }
    by_id.retain(|_, ix| reached[*ix as usize]);

    let (reads, shared) = readers(&drafts);
    let parts = drafts
        .into_iter()
        .zip(exits)
        .zip(reached)
        .zip(reads.into_iter().zip(shared));
    let nodes: Vec<Node> = parts
        .map(|(((draft, exits), reached), (reads, shared))| finish(draft, exits, reached, reads, shared))
        .collect();
    let writes_through =
        |node: &&Node| matches!(node.action, Some(Action::Effect(_))) && node.text("outputKey").is_some();
    let write_through = nodes
        .iter()
        .filter(writes_through)
        .map(|node| by_id[&node.id])
        .collect();
    Ok(Program {
        flow_id: flow_id.into(),
        entry,
        nodes,
        by_id,
        write_through,
        survey: Survey::default(),
    })
}

fn reach(exits: &[Vec<Exit>], entry: NodeIx) -> Vec<bool> {
    let mut reached = vec![false; exits.len()];
    let mut open = vec![entry];
    reached[entry as usize] = true;
    while let Some(at) = open.pop() {
        for exit in &exits[at as usize] {
            if !std::mem::replace(&mut reached[exit.to as usize], true) {
                open.push(exit.to);
            }
        }
    }
    reached
}

fn is_branch_handle(handle: &str) -> bool {
    matches!(handle, "true" | "false" | "default") || handle.starts_with("case:")
}

/// The number of a `then:<n>` handle.
fn then_number(handle: &str) -> Option<u64> {
    handle.strip_prefix("then:")?.parse().ok()
}

fn check_exits(draft: &Draft, exits: &[Exit]) -> Result<(), CompileError> {
    let id = || draft.id.to_string();
    let repeated = {
        let handles: BTreeSet<_> = exits.iter().map(|exit| &exit.handle).collect();
        handles.len() < exits.len()
    };
    if let Some(Behaviour::Control(kind)) = draft.behaviour {
        let known = |handle: &str| match kind {
            ControlKind::Sequence => then_number(handle).is_some(),
            ControlKind::Parallel => handle == "completed" || then_number(handle).is_some(),
            ControlKind::Loop | ControlKind::For | ControlKind::While => matches!(handle, "loop" | "done"),
        };
        let unknown: BTreeSet<&str> = exits
            .iter()
            .map(|exit| &*exit.handle)
            .filter(|handle| !known(handle))
            .collect();
        if !unknown.is_empty() {
            let handles: Vec<_> = unknown.into_iter().map(pyrepr_str).collect();
            return Err(CompileError::UnknownControlExits {
                node: id(),
                handles: format!("[{}]", handles.join(", ")),
            });
        }
        return if repeated {
            Err(CompileError::MultipleExits(id()))
        } else {
            Ok(())
        };
    }
    match exits {
        [] if matches!(draft.behaviour, Some(Behaviour::Join)) => Err(CompileError::JoinWithoutExit(id())),
        [] => Ok(()),
        [only] if &*only.handle == "exec-out" || is_branch_handle(&only.handle) => Ok(()),
        [only] => Err(CompileError::UnknownExit {
            node: id(),
            handle: only.handle.to_string(),
        }),
        _ if repeated || exits.iter().any(|exit| !is_branch_handle(&exit.handle)) => {
            Err(CompileError::MultipleExits(id()))
        }
        _ => Ok(()),
    }
}

/// For each node: output pins that some edge reads, and whether several edges do.
fn readers(drafts: &[Draft]) -> (Vec<Vec<Box<str>>>, Vec<bool>) {
    let mut reads: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); drafts.len()];
    let mut edges = vec![0_usize; drafts.len()];
    for wire in drafts.iter().flat_map(|draft| &draft.wires) {
        reads[wire.from as usize].insert(&wire.handle);
        edges[wire.from as usize] += 1;
    }
    let reads = reads
        .into_iter()
        .map(|pins| pins.into_iter().map(Box::from).collect())
        .collect();
    (reads, edges.into_iter().map(|count| count > 1).collect())
}

fn finish(draft: Draft, exits: Vec<Exit>, reached: bool, reads: Vec<Box<str>>, shared: bool) -> Node {
    let Draft {
        id,
        config,
        behaviour,
        on_input_error,
        main_output,
        executable,
        wires,
        routes,
        ..
    } = draft;
    let action = (executable && reached).then(|| match behaviour {
        Some(Behaviour::Function(run)) => Action::Function(run),
        Some(Behaviour::Pure(eval)) => Action::PureFunction(eval),
        Some(Behaviour::Mux) => Action::MuxFunction,
        Some(Behaviour::Branch(choose)) => Action::Branch(choose),
        Some(Behaviour::Effect { plan, .. }) => Action::Effect(plan),
        Some(Behaviour::End) => Action::End,
        Some(Behaviour::Join) => Action::Join(routes),
        Some(Behaviour::Control(ControlKind::Sequence)) => Action::Sequence(in_order(&exits)),
        Some(Behaviour::Control(ControlKind::Parallel)) => Action::Parallel(in_order(&exits)),
        Some(Behaviour::Control(ControlKind::Loop)) => Action::Loop,
        Some(Behaviour::Control(ControlKind::For)) => Action::For,
        Some(Behaviour::Control(ControlKind::While)) => Action::While,
        // Literals are never executable.
        None | Some(Behaviour::Literal) => Action::Identity,
    });
    let source = match (executable, behaviour) {
        (true, _) if !reached => Source::Nothing,
        (true, Some(Behaviour::Effect { outputs, .. })) => Source::Effect(outputs),
        (true, _) => Source::Stored,
        (false, Some(Behaviour::Literal)) => Source::Literal,
        (false, Some(Behaviour::Pure(eval))) => Source::Pure(eval),
        (false, Some(Behaviour::Mux)) => Source::Mux,
        (false, Some(Behaviour::Function(run))) => Source::Function(run),
        (false, Some(Behaviour::Branch(choose))) => Source::Branch(choose),
        (false, None) => Source::Identity,
        (
            false,
            Some(Behaviour::Effect { .. } | Behaviour::Control(_) | Behaviour::End | Behaviour::Join),
        ) => Source::Nothing,
    };
    let branches = !exits.is_empty() && exits.iter().all(|exit| is_branch_handle(&exit.handle));
    let defaults = default_rules(&config, &wires);
    Node {
        id,
        config,
        executable,
        action,
        source,
        on_input_error,
        main_output,
        wires,
        defaults,
        exits,
        branches,
        reads,
        shared,
    }
}

/// `then:<n>` exits by ascending number.
fn in_order(exits: &[Exit]) -> Vec<u32> {
    let mut order: Vec<_> = exits
        .iter()
        .enumerate()
        .filter_map(|(at, exit)| Some((then_number(&exit.handle)?, at as u32)))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| at).collect()
}

fn default_rules(config: &NodeConfig, wires: &[Wire]) -> Vec<DefaultRule> {
    let Some(defaults) = config.pin_defaults() else {
        return Vec::new();
    };
    let connected: BTreeSet<&str> = wires.iter().map(|wire| &*wire.pin).collect();
    let declared: BTreeSet<&str> = config
        .inputs
        .iter()
        .flatten()
        .map(|pin| pin.id.as_str())
        .collect();
    let rule = |pin: &String| match pin.as_str() {
        pin if connected.contains(pin) => DefaultRule::Never,
        pin if declared.contains(pin) => DefaultRule::Override,
        _ => DefaultRule::FillGap,
    };
    defaults.keys().map(rule).collect()
}
