//! Shell globs over a whole text: `*`, `?`, `[seq]`, `[!seq]`; case-sensitive, no escapes, `/` is a character
//! like any other. An unclosed `[` stands for itself.

/// Whether an entry is a glob at all.
pub(crate) fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Whether the whole of `text` matches. Time is at most the product of both lengths.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last star when what follows it did not match.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            p += 1;
            retry = Some((p, t));
        } else if let Some(next) = single(&pattern, p, text[t]) {
            p = next;
            t += 1;
        } else if let Some((star, from)) = retry {
            p = star;
            t = from + 1;
            retry = Some((star, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// If the element at `p` matches `c`, where the next element begins.
fn single(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => match set_end(pattern, p) {
            Some(end) => in_set(&pattern[p + 1..end], c).then_some(end + 1),
            None => (c == '[').then_some(p + 1),
        },
        literal => (*literal == c).then_some(p + 1),
    }
}

/// The index of the `]` that closes the set at `p`; one right after the opening (or the `!`) is a member.
fn set_end(pattern: &[char], p: usize) -> Option<usize> {
    let mut first = p + 1;
    if pattern.get(first) == Some(&'!') {
        first += 1;
    }
    let from = first + 1;
    pattern
        .get(from..)?
        .iter()
        .position(|c| *c == ']')
        .map(|i| from + i)
}

fn in_set(set: &[char], c: char) -> bool {
    let (set, negated) = match set {
        ['!', rest @ ..] => (rest, true),
        set => (set, false),
    };
    let mut found = false;
    let mut i = 0;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == '-' {
            found |= (set[i]..=set[i + 2]).contains(&c);
            i += 3;
        } else {
            found |= set[i] == c;
            i += 1;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_semantics() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*", "abc", true),
            ("a*", "ABC", false),
            ("*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a?", "aé", true),
            ("[ab]c", "bc", true),
            ("[ab]c", "cc", false),
            ("[!ab]c", "cc", true),
            ("[!ab]c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[c-a]x", "bx", false),
            ("[a-]x", "-x", true),
            ("[-a]x", "-x", true),
            ("[]a]x", "]x", true),
            ("[!]a]x", "]x", false),
            ("[!]a]x", "bx", true),
            ("[a", "[a", true),
            ("[a", "a", false),
            ("[]", "[]", true),
            ("[!]", "[!]", true),
            ("a[*]b", "a*b", true),
            ("a[*]b", "axb", false),
            ("**a**", "xxaxx", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} against {text}");
        }
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = "a*".repeat(60) + "b";
        let text = "a".repeat(20_000);
        assert!(!matches(&pattern, &text));
    }
}
