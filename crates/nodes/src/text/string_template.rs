//! `string_template`: `{{ path | filter … }}` in a text.

use std::{borrow::Cow, sync::LazyLock};

use ag_pyvalue::{DumpOptions, dumps};
use regex::{Captures, Regex};

use crate::{paths, prelude::*};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "string_template",
        title: "String Template",
        family: "text",
        doc: "Fills `{{ path }}` placeholders, with the filters json, join, trim, lower and upper.",
        inputs: &[pin("template", "string"), pin("vars", "object")],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{\s*(.*?)\s*\}\}").expect("a constant pattern"));

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let template = text_or_blank(inputs, "template");
    let vars = inputs
        .get("vars")
        .filter(|vars| vars.is_object())
        .unwrap_or(&Value::Null);
    let filled = PLACEHOLDER.replace_all(&template, |found: &Captures<'_>| render(&found[1], vars));
    Ok(result(filled.into_owned()))
}

fn render(expression: &str, vars: &Value) -> String {
    let mut stages = split_stages(expression).into_iter();
    let path = stages.next().unwrap_or_default().trim();
    let Some(value) = paths::read(vars, path).filter(|value| !value.is_null()) else {
        return String::new();
    };
    let value = stages.fold(Cow::Borrowed(value), |value, stage| filter(stage.trim(), value));
    pystr(&value).into_owned()
}

fn filter<'v>(stage: &str, value: Cow<'v, Value>) -> Cow<'v, Value> {
    let (name, argument) = match stage.split_once('(') {
        Some((name, rest)) => (name.trim(), Some(rest.trim_end().trim_end_matches(')').trim())),
        None => (stage, None),
    };
    let text = |edit: fn(&str) -> String| Cow::Owned(Value::String(edit(&pystr(&value))));
    match name {
        "json" => Cow::Owned(dumps(&value, DumpOptions::UNICODE.with_sorted_keys(true)).into()),
        "join" => match value.as_ref() {
            Value::Array(items) => {
                let texts: Vec<_> = items
                    .iter()
                    .map(|item| if item.is_null() { "".into() } else { pystr(item) })
                    .collect();
                Cow::Owned(
                    texts
                        .join(&argument.map_or(", ".into(), |text| unescape(unquote(text))))
                        .into(),
                )
            }
            _ => value,
        },
        "trim" => text(|text| strip_py(text).to_owned()),
        "lower" => text(str::to_lowercase),
        "upper" => text(str::to_uppercase),
        _ => value,
    }
}

/// Splits at `|` outside quotes.
fn split_stages(expression: &str) -> Vec<&str> {
    let mut quote = None;
    expression
        .split(|c: char| {
            match quote {
                Some(open) if c == open => quote = None,
                None if c == '"' || c == '\'' => quote = Some(c),
                _ => {}
            }
            c == '|' && quote.is_none()
        })
        .collect()
}

fn unquote(text: &str) -> &str {
    let mut chars = text.chars();
    match (chars.next(), chars.next_back()) {
        (Some(open @ ('"' | '\'')), Some(close)) if open == close => chars.as_str(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_may_hold_the_pipe() {
        let vars = json!({"x": [1, null, "z"]});
        assert_eq!(render("x | join(\" | \") | upper", &vars), "1 |  | Z");
        assert_eq!(render("x | join('\\n')", &vars), "1\n\nz");
        assert_eq!(render("", &vars), "");
    }
}
