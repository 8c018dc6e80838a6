//! Exec fan-in: joins in front of nodes with several incoming exec edges, muxes in front of their per-route inputs
//! (spec §6.3).

use std::collections::{BTreeSet, HashMap, HashSet};

use ag_pyvalue::pyrepr_str;
use ag_types::Object;
use serde_json::Value;

use super::{
    CompileError,
    graph::{Draft, Graph},
};
use crate::{
    document::NodeConfig,
    node::{Behaviour, OnInputError},
    program::{NodeIx, Route, Wire},
};

/// Redirects all incoming exec edges of a node that has several of them to a join of its own.
pub(super) fn fan_in(graph: &mut Graph, flow_id: &str) -> Result<(), CompileError> {
    let saved = graph.drafts.len();
    let mut incoming: Vec<Vec<usize>> = vec![Vec::new(); saved];
    for (at, edge) in graph.exec.iter().enumerate() {
        incoming[edge.to as usize].push(at);
    }
    for (target, edges) in incoming.into_iter().enumerate() {
        let is_join = matches!(graph.drafts[target].behaviour, Some(Behaviour::Join));
        if edges.len() < 2 && !is_join {
            continue;
        }
        let (routes, keys) = routes(graph, target, &edges)?;
        if is_join {
            graph.drafts[target].routes = routes;
            continue;
        }
        let target_ix = target as NodeIx;
        let id = format!("__internal_join_exec__{}", graph.drafts[target].id);
        let join = Draft {
            routes,
            executable: true,
            ..synthetic(id, "join_exec", Behaviour::Join)
        };
        let join = graph.add(join, flow_id)?;
        for at in edges {
            graph.exec[at].to = join;
        }
        graph.exec.push(super::graph::ExecEdge {
            from: join,
            handle: "exec-out".into(),
            to: target_ix,
        });
        insert_muxes(graph, target, join, &keys, flow_id)?;
    }
    Ok(())
}

/// Routes of a node in the order of `entryRoutes`, else of its edges, and the names that overrides call them by.
fn routes(
    graph: &Graph,
    target: usize,
    edges: &[usize],
) -> Result<(Vec<Route>, HashMap<String, usize>), CompileError> {
    let draft = &graph.drafts[target];
    let wired = || {
        edges.iter().map(|&at| {
            let edge = &graph.exec[at];
            (&*graph.drafts[edge.from as usize].id, &*edge.handle)
        })
    };
    let listed: Vec<_> = saved_routes(&draft.config.data).collect();
    let mut keys = HashMap::new();
    let mut routes = Vec::new();
    let mut add = |from: &str, handle: &str, key: Option<&str>| {
        keys.entry(format!("{from}::{handle}")).or_insert(routes.len());
        if let Some(key) = key {
            keys.insert(key.to_owned(), routes.len());
        }
        routes.push(Route {
            from: from.into(),
            handle: handle.into(),
        });
    };
    if listed.is_empty() {
        wired().for_each(|(from, handle)| add(from, handle, None));
        return Ok((routes, keys));
    }
    let duplicate = |route: String| CompileError::DuplicateRoute {
        node: draft.id.to_string(),
        route,
    };
    let (mut seen, mut seen_keys) = (HashSet::new(), HashSet::new());
    for &(from, handle, key) in &listed {
        if !seen.insert((from, handle)) {
            return Err(duplicate(format!("{from}::{handle}")));
        }
        if key.is_some_and(|key| !seen_keys.insert(key)) {
            return Err(duplicate(key.unwrap_or_default().to_owned()));
        }
        add(from, handle, key);
    }
    let saved: BTreeSet<_> = listed.iter().map(|&(from, handle, _)| (from, handle)).collect();
    let actual: BTreeSet<_> = wired().collect();
    if saved != actual {
        return Err(CompileError::RoutesMismatch {
            node: draft.id.to_string(),
            missing: tuple_list(saved.difference(&actual)),
            extra: tuple_list(actual.difference(&saved)),
        });
    }
    Ok((routes, keys))
}

fn saved_routes(data: &Object) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
    let listed = data
        .get("entryRoutes")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    listed.iter().filter_map(|route| {
        let text = |key: &str| route.get(key)?.as_str().filter(|text| !text.is_empty());
        Some((text("sourceNodeId")?, text("sourceHandle")?, text("key")))
    })
}

/// `[('if', 'false')]`, as the contract prints routes.
fn tuple_list<'a>(pairs: impl Iterator<Item = &'a (&'a str, &'a str)>) -> String {
    let pairs: Vec<_> = pairs
        .map(|(a, b)| format!("({}, {})", pyrepr_str(a), pyrepr_str(b)))
        .collect();
    format!("[{}]", pairs.join(", "))
}

/// For every pin with overrides: a mux that picks the override of the route taken, else the pin's ordinary source.
fn insert_muxes(
    graph: &mut Graph,
    target: usize,
    join: NodeIx,
    keys: &HashMap<String, usize>,
    flow_id: &str,
) -> Result<(), CompileError> {
    let Some(Value::Object(overrides)) = graph.drafts[target]
        .config
        .data
        .get("inputRouteOverrides")
        .cloned()
    else {
        return Ok(());
    };
    for (pin, arms) in overrides {
        let Some(arms) = arms.as_object().filter(|arms| !arms.is_empty()) else {
            continue;
        };
        let id = format!("__internal_path_mux__{}__{pin}", graph.drafts[target].id);
        let mut mux = synthetic(id, "path_mux", Behaviour::Mux);
        mux.wires.push(Wire {
            from: join,
            handle: "which".into(),
            pin: "select".into(),
        });
        mux.wires.extend(arm_wires(graph, arms, keys));
        let base = graph.drafts[target]
            .wires
            .iter()
            .position(|wire| *wire.pin == *pin);
        match base {
            Some(at) => {
                let base = &graph.drafts[target].wires[at];
                mux.wires.push(Wire {
                    from: base.from,
                    handle: base.handle.clone(),
                    pin: "fallback".into(),
                });
            }
            None => {
                let default = graph.drafts[target]
                    .config
                    .pin_defaults()
                    .and_then(|defaults| defaults.get(&pin));
                if let Some(default) = default {
                    let mut defaults = Object::new();
                    defaults.insert("fallback".into(), default.clone());
                    mux.config
                        .data
                        .insert("pinDefaults".into(), Value::Object(defaults));
                }
            }
        }
        let mux = graph.add(mux, flow_id)?;
        let wire = Wire {
            from: mux,
            handle: "out".into(),
            pin: pin.into_boxed_str(),
        };
        let wires = &mut graph.drafts[target].wires;
        match base {
            Some(at) => wires[at] = wire,
            None => wires.push(wire),
        }
    }
    Ok(())
}

/// The override sources as `in<route>`, in route order; routes and sources that do not exist are left out.
fn arm_wires(graph: &Graph, arms: &Object, keys: &HashMap<String, usize>) -> Vec<Wire> {
    let mut by_route = std::collections::BTreeMap::new();
    for (key, source) in arms {
        let text = |key: &str| source.get(key)?.as_str();
        let (Some(&route), Some(from), Some(handle)) = (
            keys.get(key),
            text("sourceNodeId").and_then(|id| graph.by_id.get(id).copied()),
            text("sourceHandle"),
        ) else {
            continue;
        };
        by_route.insert(route, (from, handle));
    }
    let wire = |(route, (from, handle)): (usize, (NodeIx, &str))| Wire {
        from,
        handle: handle.into(),
        pin: format!("in{route}").into_boxed_str(),
    };
    by_route.into_iter().map(wire).collect()
}

fn synthetic(id: String, kind: &str, behaviour: Behaviour) -> Draft {
    Draft {
        id: id.into_boxed_str(),
        config: NodeConfig {
            kind: kind.to_owned(),
            ..NodeConfig::default()
        },
        behaviour: Some(behaviour),
        on_input_error: OnInputError::Complete,
        main_output: None,
        executable: false,
        repeated: false,
        wires: Vec::new(),
        routes: Vec::new(),
    }
}
