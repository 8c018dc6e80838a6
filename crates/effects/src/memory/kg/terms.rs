//! The form of terms.
//!
//! Terms are trimmed and lower-cased, so that a statement is found however it was spelt; a literal object keeps its
//! case. Local names (`ex:`) become kebab case in ASCII. Predicates come from the vocabulary of the gateway, a few
//! under names of older vocabularies.

use std::collections::HashSet;

use serde_json::Value;

/// Older names of predicates, lower case.
const ALIASES: [(&str, &str); 11] = [
    ("schema:description", "dcterms:description"),
    ("schema:creator", "dcterms:creator"),
    ("schema:awareness", "schema:knowsabout"),
    ("schema:hasparent", "dcterms:ispartof"),
    ("schema:ispartof", "dcterms:ispartof"),
    ("schema:hasmember", "dcterms:haspart"),
    ("schema:haspart", "dcterms:haspart"),
    ("schema:recognizedas", "skos:closematch"),
    ("schema:hasmemorysource", "dcterms:references"),
    ("dcterms:has_part", "dcterms:haspart"),
    ("dcterms:is_part_of", "dcterms:ispartof"),
];

const LOCAL: &str = "ex:";

/// The predicates that statements may use.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    predicates: HashSet<String>,
}

impl Vocabulary {
    /// Of a registry document: its `predicates[].id`.
    pub fn of_registry(registry: &Value) -> Self {
        let predicates = registry.get("predicates").and_then(Value::as_array);
        Self {
            predicates: predicates
                .into_iter()
                .flatten()
                .filter_map(|predicate| predicate.get("id").and_then(Value::as_str))
                .map(query_term)
                .collect(),
        }
    }

    /// Whether a predicate in stored form may be used; local names only where the author allows them.
    pub(super) fn allows(&self, predicate: &str, custom: bool) -> bool {
        self.predicates.contains(predicate)
            || custom && predicate.len() > LOCAL.len() && predicate.starts_with(LOCAL)
    }
}

/// A term as it is stored and looked for.
pub fn query_term(term: &str) -> String {
    term.trim().to_lowercase()
}

/// A predicate as it is stored and looked for.
pub fn predicate_term(predicate: &str) -> String {
    let predicate = query_term(predicate);
    let known = ALIASES.iter().find(|(old, _)| *old == predicate);
    known.map_or(predicate, |(_, new)| (*new).to_owned())
}

/// A subject or object as it is stored; `literal` keeps the case of what is no local name.
pub(super) fn stored_term(term: &str, literal: bool) -> String {
    let term = term.trim();
    let lower = term.to_lowercase();
    if let Some(name) = lower.strip_prefix(LOCAL) {
        let slug = slug(name);
        return match slug.is_empty() {
            true => lower,
            false => format!("{LOCAL}{slug}"),
        };
    }
    if literal { term.to_owned() } else { lower }
}

/// Letters and digits in ASCII, words joined by single hyphens.
fn slug(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars().filter_map(fold) {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out.truncate(out.trim_end_matches('-').len());
    out
}

/// A letter without its marks; `None` where no ASCII letter is left of it.
fn fold(c: char) -> Option<char> {
    if c.is_ascii() {
        return Some(c);
    }
    const FOLDED: [(&str, char); 24] = [
        ("àáâãäåāăąǎ", 'a'),
        ("çćĉċč", 'c'),
        ("ďḋḍ", 'd'),
        ("èéêëēĕėęěẽ", 'e'),
        ("ḟ", 'f'),
        ("ĝğġģǧ", 'g'),
        ("ĥȟḥ", 'h'),
        ("ìíîïĩīĭįǐ", 'i'),
        ("ĵǰ", 'j'),
        ("ķǩ", 'k'),
        ("ĺļľḷ", 'l'),
        ("ṁṃ", 'm'),
        ("ñńņňṇ", 'n'),
        ("òóôõöōŏőǒ", 'o'),
        ("ṕ", 'p'),
        ("ŕŗřṛ", 'r'),
        ("śŝşšșṣ", 's'),
        ("ţťțṭ", 't'),
        ("ùúûüũūŭůűųǔ", 'u'),
        ("ṽ", 'v'),
        ("ŵẁẃẅ", 'w'),
        ("ẋ", 'x'),
        ("ýÿŷỳ", 'y'),
        ("źżžẓ", 'z'),
    ];
    let folded = FOLDED
        .iter()
        .find(|(letters, _)| letters.contains(c))
        .map(|(_, letter)| *letter);
    folded.or_else(|| c.is_whitespace().then_some(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_take_one_form() {
        for (term, literal, stored) in [
            ("ex:Ann Miller", false, "ex:ann-miller"),
            ("EX:Zoë Ünder_score--x!", false, "ex:zoe-under-score-x"),
            ("ex:!!", false, "ex:!!"),
            ("ex:", false, "ex:"),
            (" Paris ", false, "paris"),
            (" Paris ", true, "Paris"),
            ("Ex:Foo Bar", true, "ex:foo-bar"),
            ("http://x/Y", false, "http://x/y"),
        ] {
            assert_eq!(stored_term(term, literal), stored, "{term}");
        }
        assert_eq!(predicate_term(" Schema:hasPart "), "dcterms:haspart");
        assert_eq!(predicate_term("rdf:Type"), "rdf:type");
    }

    #[test]
    fn the_vocabulary_decides() {
        let registry = serde_json::json!({"predicates": [{"id": "schema:knowsAbout"}, {"x": 1}]});
        let vocabulary = Vocabulary::of_registry(&registry);
        assert!(vocabulary.allows("schema:knowsabout", false));
        assert!(!vocabulary.allows("ex:likes", false));
        assert!(vocabulary.allows("ex:likes", true));
        assert!(!vocabulary.allows("ex:", true));
        assert!(!vocabulary.allows("made:up", true));
    }
}
