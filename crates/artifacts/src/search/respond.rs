//! Pages and answers.

use serde_json::{Map, Value, json};

use super::{
    facets::{Facets, facets},
    order::{compare_keys, key, sort},
    params::{DEFAULT_PAGE_SIZE, SearchQuery},
};
use crate::{ArtifactMeta, list_item};

const SUPPORTED_FILTERS: [&str; 13] = [
    "scope",
    "session_id",
    "run_id",
    "modality",
    "semantic_kind",
    "render_kind",
    "workflow_id",
    "node_id",
    "content_type",
    "created_after",
    "created_before",
    "tags",
    "query",
];

/// The part of the matches that one answer carries.
#[derive(Debug)]
pub struct Page<'a> {
    pub items: Vec<&'a ArtifactMeta>,
    /// All matches, before cursor and offset.
    pub total: usize,
    pub has_more: bool,
    /// Cursor after the last item, when more follow.
    pub next_cursor: Option<String>,
}

impl SearchQuery {
    /// Filters, orders and cuts.
    pub fn page<'a>(&self, metas: &'a [ArtifactMeta]) -> Page<'a> {
        self.cut(metas.iter().filter(|meta| self.matches(meta)).collect())
    }

    fn cut<'a>(&self, mut matches: Vec<&'a ArtifactMeta>) -> Page<'a> {
        let total = matches.len();
        sort(&mut matches, self.order_by, self.direction);
        if let Some((created_at, id)) = &self.cursor {
            let cursor = (created_at.as_str(), id.as_str());
            matches.retain(|meta| self.direction.apply(compare_keys(meta, &cursor)).is_gt());
        }
        let rest = matches.get(self.offset..).unwrap_or_default();
        let limit = self.limit.unwrap_or(rest.len());
        let items: Vec<&ArtifactMeta> = rest.iter().take(limit).copied().collect();
        let has_more = rest.len() > items.len();
        let next_cursor = items.last().filter(|_| has_more).map(|last| {
            let (created_at, id) = key(last);
            format!("{created_at}|{id}")
        });
        Page {
            items,
            total,
            has_more,
            next_cursor,
        }
    }
}

/// Answer of the search operation over the documents of (at least) the query's scope.
pub fn search_response(metas: &[ArtifactMeta], query: &SearchQuery) -> Value {
    let matches: Vec<&ArtifactMeta> = metas.iter().filter(|meta| query.matches(meta)).collect();
    let (counts, stats) = if query.include_stats {
        let counts = facets_value(&facets(&matches));
        let bytes = total_bytes(&matches);
        let stats = json!({
            "total": matches.len(), "total_bytes": bytes, "byte_total": bytes, "facets": counts,
            "filters": query.filters, "warnings": query.warnings(), "exact": true, "source": query.source(),
        });
        (counts, stats)
    } else {
        (json!({}), json!({}))
    };
    let mut response = paging(query, query.cut(matches), counts, stats);
    response.extend(query.echo.clone());
    Value::Object(response)
}

/// Answer of the listings of a run or session: the paging part alone.
pub fn listing_response(metas: &[ArtifactMeta], query: &SearchQuery) -> Value {
    Value::Object(paging(query, query.page(metas), json!({}), json!({})))
}

/// Answer of the statistics operation.
pub fn stats_response(metas: &[ArtifactMeta], query: &SearchQuery) -> Value {
    let matches: Vec<&ArtifactMeta> = metas.iter().filter(|meta| query.matches(meta)).collect();
    json!({
        "ok": true,
        "scope": query.echo.get("scope"),
        "total": matches.len(),
        "total_bytes": total_bytes(&matches),
        "filters": query.filters,
        "facets": facets_value(&facets(&matches)),
        "supported_filters": SUPPORTED_FILTERS,
        "default_page_size": DEFAULT_PAGE_SIZE,
    })
}

fn paging(query: &SearchQuery, page: Page<'_>, facets: Value, stats: Value) -> Map<String, Value> {
    let cursor = query
        .cursor
        .as_ref()
        .map(|(created_at, id)| format!("{created_at}|{id}"));
    let limit = query.limit.unwrap_or(page.total);
    let pairs = [
        ("items", page.items.iter().map(|meta| list_item(meta)).collect()),
        ("total", page.total.into()),
        ("offset", query.offset.into()),
        ("limit", limit.into()),
        ("has_more", page.has_more.into()),
        ("cursor", cursor.into()),
        ("next_cursor", page.next_cursor.into()),
        ("facets", facets),
        ("stats", stats),
        ("warnings", query.warnings().into()),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn total_bytes(metas: &[&ArtifactMeta]) -> u64 {
    metas.iter().map(|meta| meta.size_bytes).sum()
}

fn facets_value(facets: &Facets) -> Value {
    let counts = |counts: &indexmap::IndexMap<String, u64>| {
        Value::Object(
            counts
                .iter()
                .map(|(name, count)| (name.clone(), (*count).into()))
                .collect(),
        )
    };
    Value::Object(
        facets
            .iter()
            .map(|(name, values)| ((*name).to_owned(), counts(values)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewArtifact, RawSearch, SearchScope};

    fn metas() -> Vec<ArtifactMeta> {
        // Equal times for two of them: the id decides.
        [
            ("2025-01-01", 3),
            ("2025-01-02", 1),
            ("2025-01-02", 2),
            ("2025-01-03", 5),
            ("2025-01-04", 4),
        ]
        .into_iter()
        .map(|(created_at, size)| {
            let new = NewArtifact {
                run_id: Some("r".to_owned()),
                content_type: "text/plain".to_owned(),
                ..NewArtifact::default()
            };
            ArtifactMeta::new(new, "x".repeat(size).as_bytes(), created_at)
        })
        .collect()
    }

    fn query(change: impl FnOnce(&mut RawSearch)) -> SearchQuery {
        let mut raw = RawSearch::default();
        change(&mut raw);
        SearchQuery::parse(raw).expect("valid")
    }

    fn sizes(page: &Page<'_>) -> Vec<u64> {
        page.items.iter().map(|meta| meta.size_bytes).collect()
    }

    #[test]
    fn cursors_walk_all_matches_once_in_both_directions() {
        let metas = metas();
        for order in ["asc", "desc"] {
            let mut seen = Vec::new();
            let mut cursor = None;
            loop {
                let query = query(|raw| {
                    raw.limit = Some(2);
                    raw.order = Some(order.into());
                    raw.cursor.clone_from(&cursor);
                });
                let page = query.page(&metas);
                assert_eq!(page.total, 5, "the cursor does not change the total");
                seen.extend(
                    page.items
                        .iter()
                        .map(|meta| (meta.created_at.clone(), meta.artifact_id.clone())),
                );
                assert_eq!(page.has_more, page.next_cursor.is_some());
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            let mut expected = seen.clone();
            expected.sort();
            expected.dedup();
            if order == "desc" {
                expected.reverse();
            }
            assert_eq!(seen, expected, "{order}");
            assert_eq!(seen.len(), 5);
        }
    }

    #[test]
    fn orders_offsets_and_limits() {
        let metas = metas();
        let by_size = query(|raw| {
            raw.order_by = Some("size".into());
            raw.offset = Some(1);
            raw.limit = Some(3);
        });
        let page = by_size.page(&metas);
        assert_eq!(sizes(&page), [4, 3, 2]);
        assert!(page.has_more);
        assert_eq!(
            sizes(&query(|raw| raw.offset = Some(99)).page(&metas)),
            Vec::<u64>::new()
        );
    }

    #[test]
    fn search_answer() {
        let metas = metas();
        let query = query(|raw| {
            raw.limit = Some(1);
            raw.include_stats = true;
            raw.semantic_kind = Some("Text".into());
        });
        let answer = search_response(&metas, &query);
        let keys: Vec<&str> = answer
            .as_object()
            .expect("object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys.join(" "),
            "items total offset limit has_more cursor next_cursor facets stats warnings scope query modality artifact_kind \
             semantic_kind render_kind content_type order_by order tags"
        );
        assert_eq!(answer["total"], 5);
        assert_eq!(answer["items"].as_array().expect("array").len(), 1);
        assert_eq!(answer["semantic_kind"], "text");
        assert_eq!(answer["query"], Value::Null);
        assert_eq!(answer["stats"]["total_bytes"], 15);
        assert_eq!(answer["stats"]["source"], "artifact_catalog");
        assert_eq!(
            answer["stats"]["filters"],
            json!({"scope": "all", "semantic_kind": "text"})
        );
        assert_eq!(answer["facets"]["semantic_kind"], json!({"text": 5}));
        assert_eq!(answer["facets"]["node_id"], json!({"(none)": 5}));
        assert_eq!(answer["warnings"], json!([]));
    }

    #[test]
    fn statistics_answer() {
        let answer = stats_response(&metas(), &query(|_| {}));
        assert_eq!(answer["total"], 5);
        assert_eq!(answer["scope"], "all");
        assert_eq!(answer["default_page_size"], 500);
        assert_eq!(answer["supported_filters"].as_array().map(Vec::len), Some(13));
        assert_eq!(answer["facets"]["run_id"], json!({"r": 5}));
    }

    #[test]
    fn listings() {
        let run = SearchScope::Run {
            run_id: "r".to_owned(),
        };
        let answer = listing_response(&metas(), &SearchQuery::listing(run, Some(2), Some(1)));
        assert_eq!(
            (&answer["total"], &answer["limit"], &answer["offset"]),
            (&json!(5), &json!(2), &json!(1))
        );
        assert_eq!(answer["items"][0]["created_at"], "2025-01-03");
        assert_eq!(answer["warnings"], json!([]));
        assert!(answer.get("scope").is_none());
        let session = SearchQuery::listing(SearchScope::session("s"), None, None);
        let answer = listing_response(&metas(), &session);
        assert_eq!((&answer["total"], &answer["limit"]), (&json!(0), &json!(500)));
        assert_eq!(
            answer["warnings"],
            json!(["query_or_scope_requires_gateway_post_filter"])
        );
    }
}
