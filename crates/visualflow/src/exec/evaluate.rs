//! Data edges: values on demand (spec §4).

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
};

use ag_kernel::{Exception, Interrupt, StepEnv};
use ag_types::{Object, RunHead};
use serde_json::Value;

use super::{check_depth, draws::Draws, outputs, state};
use crate::{
    node::{EvalCtx, Inputs, NodeCtx},
    program::{DefaultRule, Node, NodeIx, Program, Source, Wire},
};

/// Most pure nodes that one input resolution evaluates. Only graphs that fan out over random values need more than
/// they have nodes; those would grow exponentially.
const MAX_EVALUATIONS: u32 = 100_000;

/// Reads data edges for one input resolution.
pub(super) struct Evaluator<'a> {
    pub(super) program: &'a Program,
    pub(super) head: &'a RunHead,
    pub(super) vars: &'a Object,
    pub(super) env: &'a StepEnv<'a>,
    pub(super) draws: &'a Draws<'a>,
    memo: HashMap<NodeIx, Memo, BuildHasherDefault<IndexHasher>>,
    evaluations: u32,
}

enum Memo {
    /// Being evaluated: reading it again is a cycle.
    Busy,
    /// Evaluated, and every reader may have this value.
    Done(Value),
}

/// A node whose inputs are being read. Frames are kept on the heap, so a long chain of nodes is just long.
struct Frame {
    node: NodeIx,
    /// Next wire to read.
    next: usize,
    values: Object,
    /// Random values drawn before this node.
    drawn: u64,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(
        program: &'a Program,
        head: &'a RunHead,
        vars: &'a Object,
        env: &'a StepEnv<'a>,
        draws: &'a Draws<'a>,
    ) -> Self {
        Self {
            program,
            head,
            vars,
            env,
            draws,
            memo: HashMap::default(),
            evaluations: 0,
        }
    }

    /// The value that a wire carries; `None` if its source has no such output (yet).
    pub(super) fn read(&mut self, wire: &Wire) -> Result<Option<Value>, Interrupt> {
        let program = self.program;
        let root = match self.ready(wire)? {
            Ready::Value(value) => return Ok(value),
            Ready::Evaluate(frame) => frame,
        };
        let mut stack = vec![root];
        while let Some(mut frame) = stack.pop() {
            let node = program.node(frame.node);
            if let Some(input) = node.wires.get(frame.next) {
                match self.ready(input)? {
                    Ready::Value(value) => {
                        frame.take(input, value);
                        stack.push(frame);
                    }
                    Ready::Evaluate(source) => stack.extend([frame, source]),
                }
                continue;
            }
            let (ix, drawn) = (frame.node, frame.drawn);
            let output = self.compute(node, frame.values)?;
            let reader = match stack.last() {
                Some(parent) => &program.node(parent.node).wires[parent.next],
                None => wire,
            };
            let value = if node.shared && self.draws.count() == drawn {
                let value = outputs::pick(&output, &reader.handle).cloned();
                self.memo.insert(ix, Memo::Done(output));
                value
            } else {
                self.memo.remove(&ix);
                outputs::pick_owned(output, &reader.handle)
            };
            match stack.last_mut() {
                Some(parent) => parent.take(reader, value),
                None => return Ok(value),
            }
        }
        Ok(None)
    }

    /// The value of a wire where it costs no evaluation, else the frame that evaluates its source.
    fn ready(&mut self, wire: &Wire) -> Result<Ready, Interrupt> {
        let node = self.program.node(wire.from);
        let value = match node.source {
            Source::Nothing => None,
            Source::Literal => outputs::pick_literal(node, &wire.handle),
            Source::Stored => state::node_output(self.vars, &node.id)
                .and_then(|output| outputs::pick(output, &wire.handle))
                .cloned(),
            Source::Effect(map) => {
                if let Some(Memo::Done(output)) = self.memo.get(&wire.from) {
                    outputs::pick(output, &wire.handle).cloned()
                } else {
                    let output = outputs::mapped(node, map, self.vars).map_or(Value::Null, Value::Object);
                    let value = match &output {
                        // Not run yet: not even the whole output exists.
                        Value::Null => None,
                        output => outputs::pick(output, &wire.handle).cloned(),
                    };
                    if node.shared && !output.is_null() {
                        self.memo.insert(wire.from, Memo::Done(output));
                    }
                    value
                }
            }
            _ => return self.computed(node, wire),
        };
        Ok(Ready::Value(value))
    }

    fn computed(&mut self, node: &Node, wire: &Wire) -> Result<Ready, Interrupt> {
        match self.memo.entry(wire.from) {
            Entry::Occupied(slot) => match slot.get() {
                Memo::Done(output) => Ok(Ready::Value(outputs::pick(output, &wire.handle).cloned())),
                Memo::Busy => {
                    Err(Exception::value(format!("Data edge cycle detected at '{}'", node.id)).into())
                }
            },
            Entry::Vacant(slot) => {
                slot.insert(Memo::Busy);
                self.evaluations += 1;
                if self.evaluations > MAX_EVALUATIONS {
                    let text = format!(
                        "Data edges need more than {MAX_EVALUATIONS} evaluations at '{}'",
                        node.id
                    );
                    return Err(Exception::value(text).into());
                }
                let drawn = self.draws.count();
                Ok(Ready::Evaluate(Frame {
                    node: wire.from,
                    next: 0,
                    values: Object::new(),
                    drawn,
                }))
            }
        }
    }

    /// Evaluates a node whose connected inputs are read: those, and the defaults of the other pins.
    fn compute(&self, node: &Node, mut values: Object) -> Result<Value, Interrupt> {
        for ((pin, default), rule) in node
            .config
            .pin_defaults()
            .into_iter()
            .flatten()
            .zip(&node.defaults)
        {
            if *rule != DefaultRule::Never {
                values.insert(pin.clone(), default.clone());
            }
        }
        let inputs = |values| Inputs {
            config: &node.config,
            values,
            raw: None,
        };
        let output = match node.source {
            Source::Pure(eval) => eval(
                &inputs(values),
                &EvalCtx {
                    node_id: &node.id,
                    vars: self.vars,
                    env: self.env,
                },
            )?,
            Source::Mux => outputs::mux(values),
            Source::Function(run) => {
                let inputs = inputs(values);
                let result = self
                    .scratch(node, |ctx| run(&inputs, ctx))
                    .map_err(|error| error.interrupt)?;
                result.stored.unwrap_or(result.value)
            }
            Source::Branch(choose) => self.scratch(node, |ctx| choose(&inputs(values), ctx))?.1,
            _ => Value::Object(values),
        };
        check_depth(&output)?;
        Ok(output)
    }

    /// Runs an executable node's function for its value only: what it writes to variables is lost.
    fn scratch<T>(&self, node: &Node, call: impl FnOnce(&mut NodeCtx<'_>) -> T) -> T {
        let mut vars = self.vars.clone();
        let reads_output = |pin: &str| node.reads_output(pin);
        call(&mut NodeCtx {
            node_id: &node.id,
            head: self.head,
            vars: &mut vars,
            env: self.env,
            next: None,
            reads_output: &reads_output,
            flow_id: &self.program.flow_id,
        })
    }
}

enum Ready {
    Value(Option<Value>),
    Evaluate(Frame),
}

impl Frame {
    /// Accepts the value of the wire that was read and moves to the next one.
    fn take(&mut self, wire: &Wire, value: Option<Value>) {
        if let Some(value) = value {
            self.values.insert(wire.pin.to_string(), value);
        }
        self.next += 1;
    }
}

/// Node indexes are small and dense, so a multiplication spreads them well enough.
#[derive(Default)]
struct IndexHasher(u64);

impl Hasher for IndexHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }
    fn write_u32(&mut self, index: u32) {
        self.0 = (self.0 ^ u64::from(index)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
