//! Room for the answer, and more of it after a cut one.

use ag_providers::ModelCapabilities;

use super::input::{Input, positive};

/// Budget of a call that sets none, for a model whose own limit is unknown.
const DEFAULT_BUDGET: u64 = 2048;
const LEAST_GROWTH: u64 = 500;
const MOST: u64 = 1_000_000;
const DEFAULT_ATTEMPTS: u64 = 3;
/// More are never useful: the budget doubles each time.
const MAX_ATTEMPTS: u64 = 10;

/// What to do about answers that the token limit cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Truncation {
    /// A cut answer is an answer.
    pub(super) allowed: bool,
    /// Requests in all.
    pub(super) attempts: usize,
    /// Budget of the first request; none leaves it to the server's family.
    pub(super) first: Option<u64>,
    /// What a first request without budget gets.
    assumed: u64,
    cap: u64,
}

impl Truncation {
    pub(super) fn new(input: &Input<'_>, capabilities: &ModelCapabilities) -> Self {
        let any = |keys: &[&str]| keys.iter().find_map(|key| input.flag(key));
        let model = Some(capabilities.max_output_tokens).filter(|limit| *limit > 0);
        let retries = any(&["retry_on_truncation", "no_truncation"]).unwrap_or(true);
        let attempts = positive(input.payload().get("max_truncation_attempts")).unwrap_or(DEFAULT_ATTEMPTS);
        let attempts = if retries { attempts.min(MAX_ATTEMPTS) } else { 1 };
        Self {
            allowed: any(&["allow_truncation", "allow_truncated"]).unwrap_or(false),
            attempts: usize::try_from(attempts).unwrap_or(1),
            first: input.max_output_tokens(),
            assumed: model.unwrap_or(DEFAULT_BUDGET),
            cap: input.output_caps().chain(model).min().unwrap_or(MOST).min(MOST),
        }
    }

    /// The budget as error texts name it.
    pub(super) fn shown(&self, budget: Option<u64>) -> u64 {
        budget.unwrap_or(self.assumed)
    }

    /// The budget after a cut answer.
    pub(super) fn next(&self, budget: Option<u64>) -> u64 {
        let now = self.shown(budget);
        let more = now.saturating_mul(2).max(now.saturating_add(LEAST_GROWTH));
        // A caller's own budget above the cap is never lowered.
        more.min(self.cap.max(now))
    }

    /// The contract's failure.
    pub(super) fn failure(finish_reason: &str, attempted: &[u64]) -> String {
        let attempted: Vec<String> = attempted.iter().map(u64::to_string).collect();
        format!(
            "LLM_CALL output was truncated (finish_reason={finish_reason}). Attempted max_output_tokens: {}. Increase \
             max_output_tokens/max_out_tokens (or set allow_truncation=true).",
            attempted.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use ag_providers::CapabilityTable;
    use ag_types::Object;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn budgets_grow_up_to_the_cap() {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        let table = CapabilityTable::built_in();
        let cases: [(Value, Value, &str, [u64; 3]); 6] = [
            (
                json!({}),
                json!({"max_output_tokens": 16000}),
                "gpt-4o-mini",
                [16000, 16000, 16000],
            ),
            (
                json!({"params": {"max_tokens": 64}}),
                json!({}),
                "gpt-4o-mini",
                [64, 564, 1128],
            ),
            (
                json!({"max_out_tokens": 4000, "max_output_tokens_cap": 5000}),
                json!({}),
                "gpt-4o-mini",
                [4000, 5000, 5000],
            ),
            (
                json!({"params": {"max_output_tokens": 0}}),
                json!({}),
                "gpt-4o-mini",
                [16000, 16000, 16000],
            ),
            (
                json!({}),
                json!({"max_output_tokens": null}),
                "nobody-knows",
                [4096, 4096, 4096],
            ),
            (
                json!({"params": {"max_tokens": 9000}}),
                json!({}),
                "nobody-knows",
                [9000, 9000, 9000],
            ),
        ];
        for (payload, limits, model, expected) in cases {
            let payload = object(payload);
            let mut vars = Object::new();
            vars.insert("_limits".into(), limits);
            let rule = Truncation::new(&Input::new(&payload, &vars), &table.lookup(model));
            let second = rule.next(rule.first);
            let seen = [rule.shown(rule.first), second, rule.next(Some(second))];
            assert_eq!(seen, expected, "{payload:?}");
        }
    }
}
