//! Tool calls written as text, where a final answer is wanted.

/// Opening and closing marks of the spellings that models use.
const MARKS: [(&str, &str); 4] = [
    ("<function_call>", "</function_call>"),
    ("<tool_call>", "</tool_call>"),
    ("<|tool_call|>", "</|tool_call|>"),
    ("```tool_code", "```"),
];

/// True when the text holds a call.
pub(super) fn contains(text: &str) -> bool {
    MARKS.iter().any(|(open, _)| text.contains(open))
}

/// The text without calls. A call that is not closed reaches to the end.
pub(super) fn strip(text: &str) -> String {
    let mut text = text.to_owned();
    for (open, close) in MARKS {
        let mut kept = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(start) = rest.find(open) {
            kept.push_str(&rest[..start]);
            let body = &rest[start + open.len()..];
            rest = body.find(close).map_or("", |end| &body[end + close.len()..]);
        }
        kept.push_str(rest);
        text = kept;
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_removed() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a <tool_call>{}</tool_call> b<tool_call>x</tool_call>", "a  b"),
            ("a <|tool_call|>{}", "a"),
            ("```tool_code\nf()\n``` end", "end"),
            ("<function_call>{}</function_call>", ""),
        ] {
            assert_eq!(contains(text), text != "plain");
            assert_eq!(strip(text), expected);
        }
    }
}
