//! Python's rendering of a list of strings, which one contract text contains.

/// `['a', "it's"]`.
pub(crate) fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let shown: Vec<String> = items.into_iter().map(string).collect();
    format!("[{}]", shown.join(", "))
}

/// Single quotes unless the text has them and has no double quotes.
fn string(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if u32::from(c) < 0x20 || u32::from(c) == 0x7f => {
                out.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_read_like_python() {
        assert_eq!(super::list([]), "[]");
        assert_eq!(
            super::list(["a", "it's", "\"q'", "x\ny\u{1}"]),
            r#"['a', "it's", '"q\'', 'x\ny\x01']"#
        );
    }
}
