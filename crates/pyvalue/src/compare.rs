//! `==` and the ordering operators.

use std::cmp::Ordering;

use serde_json::Value;

use crate::{convert::type_name, error::PyError, number::Num};

/// A comparison operator of Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CmpOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl CmpOp {
    /// The operator with this spelling.
    pub fn parse(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "==" => Self::Eq,
            "!=" => Self::Ne,
            "<" => Self::Lt,
            "<=" => Self::Le,
            ">" => Self::Gt,
            ">=" => Self::Ge,
            _ => return None,
        })
    }

    pub fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

/// Python's `==`: numbers and booleans by value, containers by their members, no equality between
/// other types.
pub fn py_eq(a: &Value, b: &Value) -> bool {
    let mut pairs = vec![(a, b)];
    while let Some((a, b)) = pairs.pop() {
        let equal = match (a, b) {
            (Value::Null, Value::Null) => true,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => {
                pairs.extend(a.iter().zip(b));
                a.len() == b.len()
            }
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, member)| match b.get(key) {
                        Some(other) => {
                            pairs.push((member, other));
                            true
                        }
                        None => false,
                    })
            }
            _ => match (Num::of_value(a), Num::of_value(b)) {
                (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
                _ => false,
            },
        };
        if !equal {
            return false;
        }
    }
    true
}

/// The order of two values, with the error of Python's `<` for types that have none.
pub fn py_cmp(a: &Value, b: &Value) -> Result<Ordering, PyError> {
    ordering(a, b, CmpOp::Lt)
}

/// Evaluates `a op b`.
pub fn py_compare(a: &Value, op: CmpOp, b: &Value) -> Result<bool, PyError> {
    Ok(match op {
        CmpOp::Eq => py_eq(a, b),
        CmpOp::Ne => !py_eq(a, b),
        CmpOp::Lt => ordering(a, b, op)?.is_lt(),
        CmpOp::Le => ordering(a, b, op)?.is_le(),
        CmpOp::Gt => ordering(a, b, op)?.is_gt(),
        CmpOp::Ge => ordering(a, b, op)?.is_ge(),
    })
}

/// Lists order by their first unequal members. One walk finds them at any depth, so that nested
/// lists are not compared again at each level.
fn ordering(a: &Value, b: &Value, op: CmpOp) -> Result<Ordering, PyError> {
    let (Value::Array(left), Value::Array(right)) = (a, b) else {
        return leaf_ordering(a, b, op);
    };
    let mut open = vec![(left.iter(), right.iter())];
    while let Some((left, right)) = open.last_mut() {
        match (left.next(), right.next()) {
            (Some(Value::Array(left)), Some(Value::Array(right))) => open.push((left.iter(), right.iter())),
            (Some(a), Some(b)) if py_eq(a, b) => {}
            (Some(a), Some(b)) => return leaf_ordering(a, b, op),
            (Some(_), None) => return Ok(Ordering::Greater),
            (None, Some(_)) => return Ok(Ordering::Less),
            (None, None) => {
                open.pop();
            }
        }
    }
    Ok(Ordering::Equal)
}

/// The order of two values that are not both lists.
fn leaf_ordering(a: &Value, b: &Value, op: CmpOp) -> Result<Ordering, PyError> {
    if let (Value::String(a), Value::String(b)) = (a, b) {
        return Ok(a.cmp(b));
    }
    let numbers = Num::of_value(a).zip(Num::of_value(b));
    numbers.and_then(|(a, b)| a.compare(b)).ok_or_else(|| {
        PyError::type_error(format!(
            "'{}' not supported between instances of '{}' and '{}'",
            op.symbol(),
            type_name(a),
            type_name(b)
        ))
    })
}
