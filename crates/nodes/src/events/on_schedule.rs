//! `on_schedule`: waits for an interval or a point in time, repeatedly if recurrent.

use std::sync::LazyLock;

use ag_types::Timestamp;
use regex::Regex;

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "on_schedule",
        title: "On Schedule",
        family: "events",
        doc: "Waits for an interval (`15s`, `5m`) or an ISO time; with an interval it can repeat forever.",
        inputs: &[pin("schedule", "string"), pin("recurrent", "boolean")],
        outputs: &[pin("timestamp", "string")],
        ..LENIENT_EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

static INTERVAL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*$").expect("a constant pattern"));

fn plan(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let setting = |key| inputs.config.section("eventConfig", key);
    let schedule = opt_text(inputs, "schedule")
        .or_else(|| setting("schedule").and_then(opt_str))
        .unwrap_or_else(|| "15s".to_owned());
    let recurrent = inputs.non_null("recurrent").or_else(|| setting("recurrent"));
    let recurrent = recurrent.is_none_or(|value| coerce_bool(value).unwrap_or(false));
    let (until, repeats) = due(&schedule, ctx.env.now)?;
    let mut payload = Object::new();
    payload.insert("until".to_owned(), until.to_string().into());
    Ok(Planned::Effect {
        kind: EffectKind::WaitUntil,
        payload,
        result_key: None,
        after: After::Successor,
        push_control: recurrent && repeats,
    })
}

/// When a schedule is due next, and whether it is an interval.
fn due(schedule: &str, now: Timestamp) -> Result<(Timestamp, bool), Exception> {
    if let Some(parts) = INTERVAL.captures(schedule) {
        let unit = match &parts[2] {
            "ms" => 1e3,
            "s" => 1e6,
            "m" => 6e7,
            "h" => 3.6e9,
            _ => 8.64e10,
        };
        let count: f64 = parts[1].parse().unwrap_or(f64::MAX);
        return Ok((now.plus_micros((count * unit).round() as i64), true));
    }
    Timestamp::parse(schedule)
        .map(|until| (until, false))
        .map_err(|_| {
            Exception::value(format!(
                "Invalid schedule '{schedule}': expected interval like '30s', '5m', '1h' or an ISO timestamp"
            ))
        })
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let mut outputs = passthrough(raw);
    outputs.entry("timestamp").or_insert(Value::Null);
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_and_instants() {
        let now = Timestamp::from_micros(1_000_000);
        for (text, micros, repeats) in [
            ("0.4s", 1_400_000, true),
            (" 300 ms ", 1_300_000, true),
            ("5m", 301_000_000, true),
            ("1h", 3_601_000_000, true),
            ("2d", 172_801_000_000, true),
            ("1970-01-01T00:00:09Z", 9_000_000, false),
            ("1970-01-01T00:00:09", 9_000_000, false),
        ] {
            assert_eq!(
                due(text, now),
                Ok((Timestamp::from_micros(micros), repeats)),
                "{text}"
            );
        }
        let error = due("every tuesday", now).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ValueError: Invalid schedule 'every tuesday': expected interval like '30s', '5m', '1h' or an ISO timestamp"
        );
        assert!(due(&format!("{}d", "9".repeat(400)), now).is_ok(), "saturates");
    }
}
