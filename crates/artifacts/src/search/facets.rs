//! Counts per value of a few fields.

use indexmap::IndexMap;

use crate::ArtifactMeta;

/// Field to value to count: most frequent value first, then by name.
pub type Facets = IndexMap<&'static str, IndexMap<String, u64>>;

/// Name of the empty value.
const NONE: &str = "(none)";

/// Counts over all given artifacts.
pub fn facets(metas: &[&ArtifactMeta]) -> Facets {
    type Field = fn(&ArtifactMeta) -> &str;
    let fields: [(&'static str, Field); 7] = [
        ("semantic_kind", |meta| &meta.descriptor.semantic_kind),
        ("render_kind", |meta| &meta.descriptor.render_kind),
        ("modality", |meta| &meta.descriptor.modality),
        ("content_type", |meta| &meta.content_type),
        ("workflow_id", |meta| {
            meta.descriptor.workflow_id.as_deref().unwrap_or_default()
        }),
        ("node_id", |meta| {
            meta.descriptor.node_id.as_deref().unwrap_or_default()
        }),
        ("run_id", |meta| meta.run_id.as_deref().unwrap_or_default()),
    ];
    fields
        .into_iter()
        .map(|(name, field)| (name, count(metas.iter().map(|meta| field(meta)))))
        .collect()
}

fn count<'a>(values: impl Iterator<Item = &'a str>) -> IndexMap<String, u64> {
    let mut counts: IndexMap<String, u64> = IndexMap::new();
    for value in values {
        let value = if value.is_empty() { NONE } else { value };
        match counts.get_mut(value) {
            Some(count) => *count += 1,
            None => {
                counts.insert(value.to_owned(), 1);
            }
        }
    }
    counts.sort_by(|a, count_a, b, count_b| count_b.cmp(count_a).then_with(|| a.cmp(b)));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_frequent_first_then_by_name() {
        let counts = count(["b", "", "a", "c", "c"].into_iter());
        let text: Vec<String> = counts
            .iter()
            .map(|(name, count)| format!("{name}={count}"))
            .collect();
        assert_eq!(text, ["c=2", "(none)=1", "a=1", "b=1"]);
    }
}
