//! What nearly every node file needs.

pub(crate) use ag_kernel::{Exception, HostOp, Interrupt, vars};
pub(crate) use ag_pyvalue::{coerce_bool, opt_float, opt_int, opt_str, py_eq, pystr, strip_py, truthy};
pub(crate) use ag_types::{EffectKind, Object};
pub(crate) use ag_visualflow::{
    document::NodeConfig,
    node::{
        After, Behaviour, ControlKind, EvalCtx, FunctionError, FunctionResult, Inputs, NodeCtx, NodeSpec,
        NodeType, OutputCtx, Planned,
    },
};
pub(crate) use serde_json::{Value, json};

pub(crate) use crate::{
    effect::{effect, passthrough, payload},
    host::ask,
    input::{
        first, flag, float_or, number, one, opt_f64, opt_i64, opt_text, raised, result, text_or,
        text_or_blank, unescape, variadic,
    },
    spec::{EFFECT, FUNCTION, LENIENT_EFFECT, PURE, STRICT_FUNCTION, VOLATILE, pin},
};
