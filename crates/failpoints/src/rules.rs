//! Rules: what happens where.

use std::{
    io::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::BadRule;

/// Stands where other rules name a place.
const CLOCK: &str = "clock";

/// What happens at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Abort,
    Panic,
    Sleep(Duration),
    Block(Duration),
    /// Of the clock, in milliseconds.
    Skew(i64),
}

impl Action {
    /// A pause that needs no thread.
    pub(crate) fn pause(self) -> Option<Duration> {
        match self {
            Self::Sleep(pause) => Some(pause),
            Self::Abort | Self::Panic | Self::Block(_) | Self::Skew(_) => None,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a blocked thread is what was asked for, or the place has no other way to wait"
    )]
    pub(crate) fn carry_out(self) {
        match self {
            Self::Abort => std::process::abort(),
            Self::Panic => std::panic::panic_any("a failpoint"),
            Self::Sleep(pause) | Self::Block(pause) => std::thread::sleep(pause),
            Self::Skew(_) => {}
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Panic => "panic",
            Self::Sleep(_) => "sleep",
            Self::Block(_) => "block",
            Self::Skew(_) => "skew",
        }
    }
}

#[derive(Debug)]
struct Rule {
    point: String,
    filter: Option<String>,
    action: Action,
    /// The only hit at which it fires.
    at: Option<u64>,
    hits: AtomicU64,
}

/// The rules of a process.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    pub(crate) fn parse(specification: &str) -> Result<Self, BadRule> {
        let rules = specification
            .split(';')
            .map(str::trim)
            .filter(|rule| !rule.is_empty());
        let parsed = rules.map(|rule| Rule::parse(rule).ok_or_else(|| BadRule(rule.to_owned())));
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }

    /// What the rules say about the clock.
    pub(crate) fn skew_micros(&self) -> i64 {
        let skew = |rule: &Rule| match rule.action {
            Action::Skew(ms) if rule.point == CLOCK => Some(ms.saturating_mul(1_000)),
            _ => None,
        };
        self.0.iter().find_map(skew).unwrap_or(0)
    }

    /// Counts a hit of each matching rule; what the first one that is due wants.
    pub(crate) fn fires(&self, point: &str, details: &[&str]) -> Option<Action> {
        let mut due = None;
        for rule in self.0.iter().filter(|rule| rule.matches(point, details)) {
            let hit = rule.hits.fetch_add(1, Ordering::Relaxed) + 1;
            if rule.at.is_none_or(|at| at == hit) && due.is_none() {
                due = Some(rule.action);
                say(&format!("failpoint {point}: {} at hit {hit}", rule.action.name()));
            }
        }
        due
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let (place, action) = text.split_once('=')?;
        let (point, filter) = match place.split_once('[') {
            Some((point, filter)) => (point, Some(filter.strip_suffix(']')?)),
            None => (place, None),
        };
        let (action, at) = match action.split_once('@') {
            Some((action, at)) => (action, Some(at.parse().ok().filter(|at| *at > 0)?)),
            None => (action, None),
        };
        let number = |name: &str| action.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        let pause = |name: &str| Some(Duration::from_millis(number(name)?.parse().ok()?));
        let skew = || Some(Action::Skew(number("skew")?.parse().ok()?));
        let action = match action {
            "abort" => Action::Abort,
            "panic" => Action::Panic,
            _ => pause("sleep")
                .map(Action::Sleep)
                .or_else(|| pause("block").map(Action::Block))
                .or_else(skew)?,
        };
        (!point.is_empty()).then(|| Self {
            point: point.to_owned(),
            filter: filter.map(str::to_owned),
            action,
            at,
            hits: AtomicU64::new(0),
        })
    }

    fn matches(&self, point: &str, details: &[&str]) -> bool {
        let wanted = |filter: &String| details.iter().any(|detail| detail.contains(filter));
        self.point == point && self.filter.as_ref().is_none_or(wanted)
    }
}

/// Writes a line at once: the process may not live long enough for a log.
pub(crate) fn say(line: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_fire_where_and_when_they_say() {
        let rules = Rules::parse("a=abort@2; b[poison]=sleep(5);b=block(7)@1 ;").expect("rules");
        let ms = Duration::from_millis;
        let hits = [
            ("a", &[][..], None),
            ("a", &[], Some(Action::Abort)),
            ("a", &[], None),
            ("b", &["x", "a poisoned flow"], Some(Action::Sleep(ms(5)))),
            ("b", &["x"], None),
            ("b", &["poison"], Some(Action::Sleep(ms(5)))),
            ("c", &[], None),
        ];
        for (n, (point, details, wanted)) in hits.into_iter().enumerate() {
            assert_eq!(rules.fires(point, details), wanted, "hit {n} of {point}");
        }
        let rules = Rules::parse("b=block(7)@1").expect("rules");
        assert_eq!(rules.fires("b", &[]), Some(Action::Block(ms(7))));
        assert_eq!(rules.fires("b", &[]), None);
        assert_eq!(Action::Block(ms(7)).pause(), None, "a block keeps its thread");
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for bad in [
            "a",
            "=abort",
            "a=explode",
            "a=sleep",
            "a=sleep(x)",
            "a=abort@0",
            "a=abort@x",
            "a[b=abort",
        ] {
            let refused = Rules::parse(&format!("ok=abort;{bad}")).expect_err(bad);
            assert_eq!(refused, BadRule(bad.to_owned()));
        }
        assert!(Rules::parse(" ").expect("nothing").0.is_empty());
        let skewed = Rules::parse("a=abort;clock=skew(-120000)").expect("rules");
        assert_eq!(skewed.skew_micros(), -120_000_000);
        assert_eq!(Rules::default().skew_micros(), 0);
    }

    /// What is shipped has no failpoints: no profile of the workspace turns assertions on again.
    #[test]
    fn no_profile_brings_them_into_a_release() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
        let text = std::fs::read_to_string(manifest).expect("the workspace");
        assert!(text.contains("[profile.release]"));
        assert!(!text.contains("debug-assertions"), "they would be in every build");
    }
}
