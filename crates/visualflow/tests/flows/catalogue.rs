//! A few node types, as small as they can be.

use ag_kernel::{Exception, HostCall, HostOp, vars};
use ag_types::{EffectKind, Object};
use ag_visualflow::node::{
    After, Behaviour, BranchFn, ControlKind, FunctionError, FunctionFn, FunctionResult, NodeCatalogue,
    NodeSpec, NodeType, OnInputError, OutputsFn, PinSpec, PlanFn, Planned, PureFn,
};
use serde_json::{Value, json};

pub(crate) struct Few;

impl NodeCatalogue for Few {
    fn find(&self, kind: &str) -> Option<&NodeType> {
        TYPES.iter().find(|known| known.spec.kind == kind)
    }
}

const fn of(kind: &'static str, on_input_error: OnInputError, behaviour: Behaviour) -> NodeType {
    const MESSAGE: &[PinSpec] = &[PinSpec {
        id: "message",
        kind: "string",
    }];
    let spec = NodeSpec {
        kind,
        title: kind,
        family: "test",
        doc: "",
        inputs: &[],
        outputs: MESSAGE,
        on_input_error,
        deterministic: true,
    };
    NodeType { spec, behaviour }
}

const fn pure(kind: &'static str, eval: PureFn) -> NodeType {
    of(kind, OnInputError::Complete, Behaviour::Pure(eval))
}

const fn control(kind: &'static str, which: ControlKind) -> NodeType {
    of(kind, OnInputError::Fail, Behaviour::Control(which))
}

const fn effect(kind: &'static str, on_input_error: OnInputError, plan: PlanFn) -> NodeType {
    const KEYS: OutputsFn = |raw, _| raw.as_object().cloned().unwrap_or_default();
    of(kind, on_input_error, Behaviour::Effect { plan, outputs: KEYS })
}

const START: FunctionFn = |_, ctx| {
    let outputs = ctx.vars.iter().filter(|(key, _)| !key.starts_with('_'));
    Ok(FunctionResult::of(Value::Object(
        outputs.map(|(key, value)| (key.clone(), value.clone())).collect(),
    )))
};

const SET_VAR: FunctionFn = |inputs, ctx| {
    let name = inputs.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(Exception::value("Set Variable requires a non-empty variable name.").into());
    }
    let value = inputs.get("value").cloned().unwrap_or(Value::Null);
    vars::set_path(ctx.vars, name, value.clone());
    let terminal = json!({"success": true, "result": ctx.vars.get("_last_output")});
    Ok(FunctionResult {
        value: json!({"value": value}),
        keep_last: true,
        terminal: Some(terminal),
        stored: None,
    })
};

/// Succeeds with `10 / input`, as the code node of scenario 12.
const TEN_BY: FunctionFn = |inputs, _| match inputs.get("input").and_then(Value::as_f64) {
    Some(0.0) => {
        let record = Object::from_iter([("output".to_owned(), Value::Null)]);
        Err(FunctionError {
            interrupt: Exception::runtime("Runtime error: division by zero").into(),
            record: Some(record),
        })
    }
    Some(n) => Ok(FunctionResult {
        value: json!(10.0 / n),
        stored: Some(json!({"success": true, "output": 10.0 / n})),
        ..FunctionResult::default()
    }),
    None => Ok(FunctionResult::of(Value::Object(inputs.values.clone()))),
};

const ASK_HOST: FunctionFn = |inputs, ctx| {
    let args = json!(inputs.get("expression"));
    let answer = ctx.env.ask(HostCall {
        op: HostOp::RunExpression,
        node_id: ctx.node_id.to_owned(),
        args,
    })?;
    Ok(FunctionResult::of(json!({"answer": answer})))
};

const IF: BranchFn = |inputs, _| {
    let condition = inputs.get("condition").cloned().unwrap_or(Value::Null);
    let branch = if ag_pyvalue::truthy(&condition) {
        "true"
    } else {
        "false"
    };
    Ok((
        branch.to_owned(),
        json!({"branch": branch, "condition": condition}),
    ))
};

const ANSWER: PlanFn = |inputs, _| {
    let message = inputs
        .get("message")
        .map(|message| ag_pyvalue::pystr(message).into_owned());
    let payload = object(json!({"type": "answer_user", "message": message}));
    let effect = Planned::Effect {
        kind: EffectKind::AnswerUser,
        payload,
        result_key: None,
        after: After::Successor,
        push_control: false,
    };
    Ok(effect)
};

const ON_EVENT: PlanFn = |_, _| {
    let effect = Planned::Effect {
        kind: EffectKind::WaitEvent,
        payload: object(json!({"name": "e"})),
        result_key: None,
        after: After::Successor,
        push_control: true,
    };
    Ok(effect)
};

/// Asks twice from the same node, then has its own result.
const TWO_PHASES: PlanFn = |_, ctx| {
    let phase = vars::get_path(ctx.vars, "_temp.phase")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    vars::set_path(ctx.vars, "_temp.phase", (phase + 1).into());
    if phase == 2 {
        return Ok(Planned::Result {
            raw: json!({"message": "done"}),
            set_last: true,
        });
    }
    let effect = Planned::Effect {
        kind: EffectKind::LlmCall,
        payload: object(json!({"phase": phase})),
        result_key: Some(format!("_temp.phases.p{phase}")),
        after: After::Itself,
        push_control: false,
    };
    Ok(effect)
};

static TYPES: &[NodeType] = &[
    of("start", OnInputError::Complete, Behaviour::Function(START)),
    of("end", OnInputError::Complete, Behaviour::End),
    of("literal", OnInputError::Complete, Behaviour::Literal),
    of("set_var", OnInputError::Fail, Behaviour::Function(SET_VAR)),
    of("ten_by", OnInputError::Complete, Behaviour::Function(TEN_BY)),
    of("ask_host", OnInputError::Complete, Behaviour::Function(ASK_HOST)),
    of("if", OnInputError::Complete, Behaviour::Branch(IF)),
    effect("answer_user", OnInputError::Fail, ANSWER),
    effect("emit", OnInputError::Ignore, ANSWER),
    effect("on_event", OnInputError::Ignore, ON_EVENT),
    effect("agent", OnInputError::Fail, TWO_PHASES),
    control("sequence", ControlKind::Sequence),
    control("parallel", ControlKind::Parallel),
    control("loop", ControlKind::Loop),
    control("for", ControlKind::For),
    control("while", ControlKind::While),
    pure("get_var", |inputs, ctx| {
        let name = inputs.get("name").and_then(Value::as_str).unwrap_or_default();
        Ok(json!({"value": vars::get_path(ctx.vars, name)}))
    }),
    pure("add", |inputs, _| {
        let number = |pin| inputs.get(pin).and_then(Value::as_f64).unwrap_or(0.0);
        Ok(json!({"result": number("a") + number("b")}))
    }),
    pure("less", |inputs, _| {
        let number = |pin| inputs.get(pin).and_then(Value::as_f64).unwrap_or(0.0);
        Ok(json!({"result": number("a") < number("b")}))
    }),
    pure("object", |inputs, _| Ok(json!({"result": inputs.values}))),
    pure("random", |_, ctx| Ok(json!({"result": ctx.env.ids.random()}))),
    pure("fails", |_, _| Err(Exception::value("Division by zero").into())),
    pure("asks", |_, ctx| {
        let call = HostCall {
            op: HostOp::ProviderCatalog,
            node_id: ctx.node_id.to_owned(),
            args: json!({}),
        };
        Ok(json!({"result": ctx.env.ask(call)?}))
    }),
    pure("append", |inputs, _| {
        let mut list = inputs
            .get("list")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        list.push(inputs.get("item").cloned().unwrap_or(Value::Null));
        Ok(json!({"result": list}))
    }),
];

pub(crate) fn object(value: Value) -> Object {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}
