//! Telling operators about variables that do nothing.

use crate::{EnvSource, sections::providers};

use super::{CONFIG_FILE, IGNORED, Kind, VARIABLES};

const OURS: &str = "ABSTRACTGATEWAY_";

/// Warns about each `ABSTRACTGATEWAY_…` variable that nothing reads: a typing error must not pass silently.
pub(super) fn report(env: &EnvSource, warnings: &mut Vec<String>) {
    for (name, _) in env.iter() {
        if let Some((_, why)) = IGNORED.iter().find(|(ignored, _)| *ignored == name) {
            warnings.push(format!("{name} has no effect: {why}"));
        } else if name.starts_with(OURS) && !is_read(name) && !is_service_link(name) {
            warnings.push(format!("{name} is not a known variable and has no effect"));
        }
    }
}

fn is_read(name: &str) -> bool {
    name == CONFIG_FILE
        || providers::is_known(name)
        || VARIABLES.iter().any(|variable| {
            let file_form = variable.kind == Kind::Secret;
            let stem = name.strip_suffix("_FILE").filter(|_| file_form);
            variable
                .names
                .iter()
                .any(|known| *known == name || Some(*known) == stem)
        })
}

/// Kubernetes sets `<SERVICE>_SERVICE_HOST`, `<SERVICE>_PORT`, `<SERVICE>_PORT_8080_TCP…` in every pod beside a
/// service of that name.
fn is_service_link(name: &str) -> bool {
    let rest = &name[OURS.len() - 1..];
    rest == "_PORT" || rest.contains("_SERVICE_") || rest.contains("_PORT_") && rest.contains("_TCP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_retired_variables_are_reported() {
        let cases: &[(&str, Option<&str>)] = &[
            ("ABSTRACTGATEWAY_PROTECT_REED", Some("not a known variable")),
            ("ABSTRACTGATEWAY_RUN_SCAN_LIMIT", Some("has no effect")),
            ("ABSTRACTGATEWAY_PROTECT_READ", None),
            ("ABSTRACTGATEWAY_AUTH_TOKEN_FILE", None),
            ("ABSTRACTGATEWAY_CONFIG", None),
            ("ABSTRACTGATEWAY_VOICE_TTS_ENGINE", None),
            ("ABSTRACTGATEWAY_PORT", None),
            ("ABSTRACTGATEWAY_SERVICE_HOST", None),
            ("ABSTRACTGATEWAY_PORT_8080_TCP_ADDR", None),
            ("PATH", None),
        ];
        for (name, expected) in cases {
            let env: EnvSource = [(*name, "value")].into_iter().collect();
            let mut warnings = Vec::new();
            report(&env, &mut warnings);
            match expected {
                Some(text) => {
                    assert_eq!(warnings.len(), 1, "{name}");
                    assert!(
                        warnings[0].contains(name) && warnings[0].contains(text),
                        "{warnings:?}"
                    );
                    assert!(!warnings[0].contains("value and"), "{warnings:?}");
                }
                None => assert!(warnings.is_empty(), "{warnings:?}"),
            }
        }
    }
}
