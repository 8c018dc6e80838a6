//! Relative durations of schedules: `<number><ms|s|m|h|d>` (visualflow spec §6.6).

/// Microseconds of a relative duration, or `None` if the text is none.
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = (&text[..split], text[split..].trim_start());
    let well_formed = number.starts_with(|c: char| c.is_ascii_digit())
        && number.ends_with(|c: char| c.is_ascii_digit())
        && number.matches('.').count() <= 1;
    let value: f64 = number.parse().ok().filter(|_| well_formed)?;
    let unit = match unit.to_ascii_lowercase().as_str() {
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3_600e6,
        "d" => 86_400e6,
        _ => return None,
    };
    let micros = value * unit;
    (micros <= 9.0e18).then_some(micros.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations() {
        for (text, micros) in [
            ("30s", Some(30_000_000)),
            (" 0.5 s ", Some(500_000)),
            ("20m", Some(1_200_000_000)),
            ("1h", Some(3_600_000_000)),
            ("250ms", Some(250_000)),
            ("2d", Some(172_800_000_000)),
            ("s", None),
            ("1.s", None),
            ("1.2.3s", None),
            ("-1s", None),
            ("5", None),
            ("5w", None),
        ] {
            assert_eq!(parse(text), micros, "{text}");
        }
    }
}
