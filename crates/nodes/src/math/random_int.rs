//! `random_int`: random whole number, both bounds included.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "random_int",
        title: "Random Int",
        family: "math",
        doc: "Random whole number, both bounds included.",
        inputs: &[pin("min", "number"), pin("max", "number")],
        outputs: &[pin("result", "number")],
        ..VOLATILE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let a = opt_i64(inputs, "min").unwrap_or(0);
    let b = opt_i64(inputs, "max").unwrap_or(100);
    Ok(result(pick(a.min(b), a.max(b), ctx.env.ids.random())))
}

/// Scales 64 random bits to the range; the bias is below 2^-64 times the width of the range.
fn pick(low: i64, high: i64, bits: u64) -> i64 {
    let width = high.abs_diff(low) as u128 + 1;
    let offset = (u128::from(bits) * width) >> 64;
    low.wrapping_add_unsigned(offset as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_are_reached_and_never_passed() {
        for (low, high) in [(0, 100), (-3, -3), (i64::MIN, i64::MAX), (-1, 1)] {
            assert_eq!(pick(low, high, 0), low);
            assert_eq!(pick(low, high, u64::MAX), high);
        }
        assert_eq!(pick(0, 1, u64::MAX / 2), 0);
        assert_eq!(pick(0, 1, u64::MAX / 2 + 1), 1);
    }
}
