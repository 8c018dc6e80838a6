//! No document makes the compiler panic, and no program that compiles makes the executor panic.

use ag_visualflow::{NodeCatalogue, compile};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use crate::{
    catalogue::{Few, object},
    driver::drive,
    flow::{end, exec, flow, get, log, log_edges, pure, set, start},
};

/// A flow with something of everything.
fn rich() -> Value {
    let overrides = json!({"v": {"say::exec-out": {"sourceNodeId": "g", "sourceHandle": "value"}}});
    let nodes = [
        vec![
            start(),
            exec(
                "each",
                "loop",
                &["items"],
                json!({"pinDefaults": {"items": [0, 1]}}),
            ),
            end(&["v"]),
        ],
        vec![
            exec("if", "if", &["condition"], json!({})),
            set("sv", "x"),
            get("g", "x"),
        ],
        vec![exec(
            "say",
            "answer_user",
            &["message"],
            json!({"outputKey": "o.k"}),
        )],
        vec![exec(
            "meet",
            "unknown",
            &["v"],
            json!({"inputRouteOverrides": overrides, "pinDefaults": {"v": 1}}),
        )],
        vec![
            exec("par", "parallel", &[], json!({})),
            exec("while", "while", &["condition"], json!({})),
        ],
        vec![exec(
            "for",
            "for",
            &["start", "end"],
            json!({"pinDefaults": {"start": 0, "end": 2}}),
        )],
        vec![
            pure("add", "add", &["a", "b"], json!({"pinDefaults": {"b": 1}})),
            set("clear", "x"),
            exec("on", "on_event", &[], json!({})),
        ],
        log("log").to_vec(),
    ]
    .concat();
    let edges = "start.exec-out > each.exec-in; each.loop > if.exec-in; if.true > sv.exec-in; if.false > say.exec-in
        sv.exec-out > meet.exec-in; say.exec-out > meet.exec-in; each.done > par.exec-in; par.then:0 > for.exec-in
        par.completed > while.exec-in; for.loop > log.exec-in; while.loop > clear.exec-in; while.done > end.exec-in
        on.exec-out > clear.exec-in; each.item > if.condition; g.value > add.a; add.result > sv.value
        each.item > say.message; g.value > while.condition; for.i > log_append.item; say.message > end.v;";
    flow(&nodes, &format!("{edges}{}", log_edges("log")))
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "start",
        "if",
        "loop",
        "end",
        "exec-in",
        "exec-out",
        "true",
        "then:0",
        "then:99999999999999999999",
        "execution",
        "join_exec",
        "path_mux",
        "literal",
        "for",
        "while",
        "add",
        "__internal_join_exec__end",
        "",
        ".",
        "a.b",
        "on_event",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "id",
        "nodes",
        "edges",
        "type",
        "data",
        "inputs",
        "outputs",
        "source",
        "target",
        "sourceHandle",
        "targetHandle",
        "pinDefaults",
        "entryNode",
        "entryRoutes",
        "inputRouteOverrides",
        "literalValue",
        "outputKey",
        "inputKey",
        "value",
    ]);
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((keys.clone().prop_map(str::to_owned), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Number of values in a document.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

/// Puts `new` at the n-th place of a document.
fn replace(value: &mut Value, n: &mut usize, new: &Value) -> bool {
    if *n == 0 {
        *value = new.clone();
        return true;
    }
    *n -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, n, new)),
        Value::Object(map) => map.values_mut().any(|item| replace(item, n, new)),
        _ => false,
    }
}

fn try_everything(document: &Value) {
    let catalogues: [&dyn NodeCatalogue; 2] = [&Few, &ag_nodes::Registry];
    for (catalogue, entry) in catalogues
        .into_iter()
        .flat_map(|known| [None, Some("on"), Some("end")].map(|entry| (known, entry)))
    {
        let Ok(program) = compile(document, "w", catalogue, entry) else {
            continue;
        };
        let _ = (program.node_types().count(), program.agents().count());
        let _ = (program.subflows().count(), program.listeners().count());
        let vars = object(json!({"x": 1, "_temp": {"_control": 3}}));
        drive(&program, vars, 100, &mut |_, effect| {
            Some(Value::Object(effect.payload.clone()))
        });
    }
}

#[test]
fn the_rich_flow_runs() {
    let program = compile(&rich(), "w", &Few, None).expect("compiles");
    let ended = drive(&program, object(json!({})), 200, &mut |_, effect| {
        Some(Value::Object(effect.payload.clone()))
    });
    assert_eq!(ended.error, None);
    assert_eq!(ended.output, Some(json!({"v": "0", "success": true})));
    assert_eq!(
        (&ended.vars["log"], &ended.vars["x"]),
        (&json!([0.0, 1.0]), &json!(null))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_json_never_panics(document in any_json()) {
        try_everything(&document);
    }

    #[test]
    fn mutated_flows_never_panic(changes in prop::collection::vec((any::<Index>(), any_json()), 1..4)) {
        let mut document = rich();
        for (place, new) in changes {
            let mut at = place.index(size(&document));
            replace(&mut document, &mut at, &new);
        }
        try_everything(&document);
    }

    #[test]
    fn rewired_flows_never_panic(changes in prop::collection::vec((any::<Index>(), any::<Index>(), any::<bool>()), 1..8)) {
        let mut document = rich();
        let edges = document["edges"].as_array().expect("edges").clone();
        for (edge, other, side) in changes {
            let from = &edges[other.index(edges.len())];
            let edge = edge.index(edges.len());
            let keys = if side { ["source", "sourceHandle"] } else { ["target", "targetHandle"] };
            for key in keys {
                document["edges"][edge][key] = from[key].clone();
            }
        }
        try_everything(&document);
    }
}
