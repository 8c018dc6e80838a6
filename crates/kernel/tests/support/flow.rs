//! Generated workflows: a graph of steps, cycles included, bounded by a step count in the variables.

use ag_kernel::{Exception, Interrupt, StepEnv, StepPlan, Workflow};
use ag_types::{Effect, EffectKind, Object, RunState};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A run completes after this many planned steps, wherever it is.
const MAX_STEPS: u64 = 14;

/// What a node does; `next` is a node number.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Pure,
    SetVar(u8),
    /// Text that is the same at every visit, or not.
    Answer(bool),
    Ask,
    Until(u16),
    Event,
    /// Outside call; constant or varying payload.
    Model(bool),
    Tools,
    /// A database-only effect that needs the driver (`start_subworkflow` stands for its class).
    Inline,
    /// An effect that reads the store.
    Reads,
    Raise,
    End,
}

#[derive(Debug, Clone)]
pub(crate) struct Flow {
    pub(crate) nodes: Vec<(Node, usize)>,
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        3 => Just(Node::Pure),
        2 => any::<u8>().prop_map(Node::SetVar),
        2 => any::<bool>().prop_map(Node::Answer),
        2 => Just(Node::Ask),
        1 => (0..50_u16).prop_map(Node::Until),
        1 => Just(Node::Event),
        5 => any::<bool>().prop_map(Node::Model),
        2 => Just(Node::Tools),
        1 => Just(Node::Inline),
        1 => Just(Node::Reads),
        1 => Just(Node::Raise),
        1 => Just(Node::End),
    ]
}

/// Up to eight nodes with arbitrary successors.
pub(crate) fn flows() -> impl Strategy<Value = Flow> {
    proptest::collection::vec((node(), 0..64_usize), 1..8).prop_map(|nodes| Flow { nodes })
}

impl Flow {
    fn name(&self, number: usize) -> String {
        format!("n{}", number % self.nodes.len())
    }
}

impl Workflow for Flow {
    fn entry_node(&self) -> &str {
        "n0"
    }

    fn plan(&self, run: &mut RunState, env: &StepEnv<'_>) -> Result<StepPlan, Interrupt> {
        let at: usize = run.current_node[1..]
            .parse()
            .map_err(|_| Exception::value("bad node"))?;
        let (node, next) = &self.nodes[at];
        let steps = run.vars.get("steps").and_then(Value::as_u64).unwrap_or(0) + 1;
        run.vars.insert("steps".into(), steps.into());
        if steps > MAX_STEPS {
            return Ok(StepPlan::complete(outcome(run)));
        }
        // Not every effect has a successor or a place for its result.
        let next = (*next % 13 != 12).then(|| self.name(*next));
        let result_key = (at % 4 != 3).then(|| format!("results.n{at}"));
        let effect = |kind: EffectKind, payload: Value| {
            let payload = payload.as_object().cloned().unwrap_or_default();
            Ok(StepPlan::effect(
                Effect {
                    kind,
                    payload,
                    result_key: result_key.clone(),
                },
                next.clone(),
            ))
        };
        match node {
            Node::Pure => Ok(StepPlan::goto(self.name(self.nodes[at].1))),
            Node::SetVar(value) => {
                run.vars.insert(format!("v{}", value % 4), json!([value, steps]));
                Ok(StepPlan::goto(self.name(self.nodes[at].1)))
            }
            Node::Answer(varies) => effect(
                EffectKind::AnswerUser,
                json!({"message": if *varies { steps } else { 0 }}),
            ),
            Node::Ask => effect(EffectKind::AskUser, json!({"prompt": "Q?"})),
            Node::Until(ms) => {
                let until = env.now.plus_micros(i64::from(*ms) * 1_000);
                effect(EffectKind::WaitUntil, json!({"until": until.to_string()}))
            }
            Node::Event => effect(EffectKind::WaitEvent, json!({"name": "e"})),
            Node::Model(varies) => effect(
                EffectKind::LlmCall,
                json!({"prompt": if *varies { format!("p{steps}") } else { "p".into() }}),
            ),
            Node::Tools => effect(
                EffectKind::ToolCalls,
                json!({"tool_calls": [{"name": "t", "arguments": {"n": steps}}]}),
            ),
            Node::Inline => effect(EffectKind::StartSubworkflow, json!({"workflow_id": "w"})),
            Node::Reads => effect(EffectKind::VarsQuery, json!({"path": "steps"})),
            Node::Raise => Err(Exception::value("raised").into()),
            Node::End => Ok(StepPlan::complete(outcome(run))),
        }
    }
}

/// Everything a flow has collected.
fn outcome(run: &RunState) -> Value {
    let shown = run.vars.iter().filter(|(key, _)| !key.starts_with('_'));
    Value::Object(
        shown
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Object>(),
    )
}
