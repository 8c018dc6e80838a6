//! Recall levels: how much effort a query may take. They apply only where one is named; what goes beyond is cut, and
//! said (effects spec §5, table).

use serde_json::{Value, json};

/// Limits of a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    pub(super) name: &'static str,
    pub(super) spans: Limit,
    /// Archived messages may be searched.
    pub(super) deep: bool,
    pub(super) deep_spans: i64,
    pub(super) deep_messages: i64,
    /// Neighbours may be added.
    pub(super) connected: bool,
    pub(super) hops: i64,
    pub(super) query_messages: Limit,
    pub(super) rehydrate_messages: Limit,
    pub(super) kg_score: f64,
    pub(super) kg_score_floor: f64,
    pub(super) kg_statements: Limit,
    pub(super) kg_tokens: Limit,
    pub(super) candidates: i64,
}

/// What is taken without a wish, and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) default: i64,
    pub(super) most: i64,
}

const fn limit(default: i64, most: i64) -> Limit {
    Limit { default, most }
}

const LEVELS: [Level; 3] = [
    Level {
        name: "urgent",
        spans: limit(2, 3),
        deep: false,
        deep_spans: 0,
        deep_messages: 0,
        connected: false,
        hops: 0,
        query_messages: limit(30, 60),
        rehydrate_messages: limit(30, 60),
        kg_score: 0.55,
        kg_score_floor: 0.5,
        kg_statements: limit(20, 40),
        kg_tokens: limit(600, 1000),
        candidates: 3,
    },
    Level {
        name: "standard",
        spans: limit(5, 8),
        deep: true,
        deep_spans: 25,
        deep_messages: 200,
        connected: true,
        hops: 1,
        query_messages: limit(80, 150),
        rehydrate_messages: limit(80, 200),
        kg_score: 0.4,
        kg_score_floor: 0.25,
        kg_statements: limit(80, 200),
        kg_tokens: limit(1200, 3000),
        candidates: 5,
    },
    Level {
        name: "deep",
        spans: limit(8, 20),
        deep: true,
        deep_spans: 100,
        deep_messages: 400,
        connected: true,
        hops: 2,
        query_messages: limit(200, 600),
        rehydrate_messages: limit(200, 800),
        kg_score: 0.25,
        kg_score_floor: 0.0,
        kg_statements: limit(200, 1000),
        kg_tokens: limit(2400, 6000),
        candidates: 10,
    },
];

/// The level that a payload names.
///
/// # Errors
/// The text of the failed effect.
pub(super) fn of(payload: &ag_types::Object) -> Result<Option<&'static Level>, String> {
    let Some(name) = super::owners::text(payload, "recall_level") else {
        return Ok(None);
    };
    let lower = name.to_lowercase();
    let level = LEVELS.iter().find(|level| level.name == lower);
    level
        .map(Some)
        .ok_or_else(|| format!("Unknown recall_level: {name}"))
}

/// Cuts wishes and remembers what it cut.
#[derive(Debug)]
pub(super) struct Clamp {
    level: &'static Level,
    pub(super) warnings: Vec<String>,
}

impl Clamp {
    pub(super) fn new(level: &'static Level) -> Self {
        Self {
            level,
            warnings: Vec::new(),
        }
    }

    pub(super) fn warn(&mut self, text: &str) {
        self.warnings
            .push(format!("recall_level={}: {text}", self.level.name));
    }

    /// At most `most`.
    pub(super) fn at_most(&mut self, field: &str, wish: i64, most: i64) -> i64 {
        if wish > most {
            self.warn(&format!("clamped {field} from {wish} to {most}"));
        }
        wish.min(most)
    }

    /// A number of messages: none and negative ones mean "all", which no level allows.
    pub(super) fn messages(&mut self, wish: Option<i64>, limit: Limit) -> i64 {
        match wish {
            None => limit.default,
            Some(wish) if wish < 0 => {
                let most = limit.most;
                self.warn(&format!(
                    "max_messages={wish} (unbounded) is not allowed; clamped to {most}"
                ));
                most
            }
            Some(0) => limit.default,
            Some(wish) => self.at_most("max_messages", wish, limit.most),
        }
    }

    /// `effort` of a result.
    pub(super) fn effort(&self, applied: Value) -> Value {
        json!({"recall_level": self.level.name, "applied": applied})
    }
}
