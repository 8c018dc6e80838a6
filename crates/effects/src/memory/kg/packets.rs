//! Statements packed into a budget of tokens, as text for a system prompt.

use ag_types::Object;
use serde_json::{Value, json};

use super::search::score_of;

/// Version of the packets' form.
const VERSION: i64 = 0;
/// Characters per token of plain text, and of the heading, which is markup.
const CHARS_PER_TOKEN: f64 = 4.0;
const MARKUP_CHARS_PER_TOKEN: f64 = 3.8;

/// Adds packets and their text to a result; items stay as they are.
pub(super) fn pack(result: &mut Object, items: &[Value], scope: &str, by_score: bool, budget: i64) {
    let order = if by_score {
        "similarity-desc"
    } else {
        "observed_at-desc"
    };
    let head =
        format!("## KG ACTIVE MEMORY\n(scope={scope}; order={order}; budget={budget} max_input_tokens)\n");
    let budget = usize::try_from(budget).unwrap_or(0);
    let mut used = tokens(&head, MARKUP_CHARS_PER_TOKEN);
    let (mut text, mut packets) = (head, Vec::new());
    for item in items {
        let packet = packet(item);
        let line = format!("\n{}", line(&packet));
        let more = tokens(&line, CHARS_PER_TOKEN);
        if used + more > budget {
            break;
        }
        used += more;
        text.push_str(&line);
        packets.push(packet);
    }
    let packed = packets.len();
    if packed == 0 {
        (text, used) = (String::new(), 0);
    }
    result.insert("packets_version".to_owned(), VERSION.into());
    result.insert("packets".to_owned(), packets.into());
    result.insert("packed_count".to_owned(), packed.into());
    result.insert("estimated_tokens".to_owned(), used.into());
    result.insert("active_memory_text".to_owned(), text.into());
    result.insert("dropped".to_owned(), (items.len() - packed).into());
}

fn packet(item: &Value) -> Object {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    let statement = format!("{} —{}→ {}", text("subject"), text("predicate"), text("object"));
    let mut packet = Object::new();
    packet.insert("version".to_owned(), VERSION.into());
    packet.insert("statement".to_owned(), statement.into());
    for key in [
        "subject",
        "predicate",
        "object",
        "observed_at",
        "scope",
        "owner_id",
        "valid_from",
        "valid_until",
        "confidence",
    ] {
        packet.extend(item.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    for key in ["span_id", "writer_run_id", "writer_workflow_id"] {
        let value = item.get("provenance").and_then(|provenance| provenance.get(key));
        packet.extend(value.map(|value| (key.to_owned(), value.clone())));
    }
    packet.extend(score_of(item).map(|score| ("retrieval_score".to_owned(), json!(score))));
    packet
}

fn line(packet: &Object) -> String {
    let text = |key: &str| packet.get(key).and_then(Value::as_str);
    let mut notes = Vec::new();
    notes.extend(text("span_id").map(|span| format!("span:{span}")));
    let score = packet.get("retrieval_score").and_then(Value::as_f64);
    notes.extend(score.map(|score| format!("score:{score:.3}")));
    let notes = match notes.is_empty() {
        true => String::new(),
        false => format!(" ({})", notes.join("; ")),
    };
    format!(
        "- [{}] {}{notes}",
        text("observed_at").unwrap_or_default(),
        text("statement").unwrap_or_default()
    )
}

/// An estimate without a tokenizer: signs and digits make more tokens of a text, blanks fewer. The steps are those that
/// the reference's answers show.
fn tokens(text: &str, chars_per_token: f64) -> usize {
    let (mut all, mut blanks, mut digits, mut signs) = (0_u32, 0_u32, 0_u32, 0_u32);
    for c in text.chars() {
        all += 1;
        if c.is_whitespace() {
            blanks += 1;
        } else if c.is_numeric() {
            digits += 1;
        } else if !c.is_alphanumeric() {
            signs += 1;
        }
    }
    if all == 0 {
        return 0;
    }
    let part = |count: u32| f64::from(count) / f64::from(all);
    let step = |part: f64, steps: &[(f64, f64)]| {
        let above = steps.iter().find(|(least, _)| part > *least);
        above.map_or(1.0, |(_, factor)| *factor)
    };
    let factor = step(part(blanks), &[(0.25, 0.85), (0.15, 0.92)])
        * step(part(signs), &[(0.15, 1.1), (0.08, 1.05)])
        * step(part(digits), &[(0.2, 1.08)]);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of a small positive number"
    )]
    let estimate = (f64::from(all) / chars_per_token * factor).round() as usize;
    estimate.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(object: &str, score: Option<f64>) -> Value {
        let mut item = json!({
            "subject": "ex:a", "predicate": "p", "object": object, "observed_at": "T", "scope": "run", "owner_id": "o",
            "provenance": {"span_id": "s", "writer_run_id": "w"}, "attributes": {},
        });
        if let Some(score) = score {
            item["attributes"]["_retrieval"] = json!({"score": score});
        }
        item
    }

    #[test]
    fn estimates_are_those_of_the_reference() {
        let time = "2026-11-21T16:50:21.525759+00:00";
        let words = vec!["w"; 60].join(" ");
        for (line, expected) in [
            (
                format!("\n- [{time}] ex:ann —schema:knowsabout→ ex:bob (score:0.858)"),
                25,
            ),
            (format!("\n- [{time}] ex:ann —schema:knowsabout→ ex:bob"), 21),
            (format!("\n- [{time}] ex:ann —schema:genre→ painter"), 20),
            (format!("\n- [{time}] ex:a —rdf:type→ 1"), 16),
            (
                format!("\n- [{time}] ex:a —rdf:type→ value 0 {words} (span:sp)"),
                43,
            ),
        ] {
            assert_eq!(tokens(&line, CHARS_PER_TOKEN), expected, "{line}");
        }
        let head = "## KG ACTIVE MEMORY\n(scope=run; order=observed_at-desc; budget=400 max_input_tokens)\n";
        assert_eq!(tokens(head, MARKUP_CHARS_PER_TOKEN), 25);
        assert_eq!(tokens("", CHARS_PER_TOKEN), 0);
    }

    #[test]
    fn as_many_as_fit() {
        let items = [item("x", None), item(&"y".repeat(400), Some(0.5))];
        let mut result = Object::new();
        pack(&mut result, &items, "run", false, 100);
        assert_eq!(
            (&result["packed_count"], &result["dropped"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(
            result["active_memory_text"],
            "## KG ACTIVE MEMORY\n(scope=run; order=observed_at-desc; budget=100 max_input_tokens)\n\n\
             - [T] ex:a —p→ x (span:s)"
        );
        assert_eq!(result["packets"][0]["writer_run_id"], "w");
        let mut result = Object::new();
        pack(&mut result, &items[1..], "run", true, 400);
        let text = result["active_memory_text"].as_str().expect("text");
        assert!(
            text.contains("order=similarity-desc") && text.ends_with(" (span:s; score:0.500)"),
            "{text}"
        );
        let mut result = Object::new();
        pack(&mut result, &items, "run", false, 5);
        assert_eq!(
            (
                &result["packed_count"],
                &result["active_memory_text"],
                &result["estimated_tokens"]
            ),
            (&json!(0), &json!(""), &json!(0))
        );
    }
}
