//! The unit of the embedded mode.

use crate::{is_variable, read};

#[test]
fn the_unit_is_confined_and_configured() {
    let unit = read("deploy/systemd/abstractgateway.service");
    for line in [
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "CapabilityBoundingSet=",
        "LoadCredential=auth-token:/etc/abstractgateway/auth-token",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
    let mut credentials = 0;
    for setting in unit.lines().filter_map(|line| line.strip_prefix("Environment=")) {
        let (name, value) = setting.split_once('=').expect("NAME=value");
        assert!(is_variable(name), "{name}");
        credentials += usize::from(value == "%d/auth-token");
    }
    assert_eq!(credentials, 1, "the token comes as a credential");
    // Time to drain before the end, as `runner.drain_s` has it, and some more.
    let grace = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec="));
    let drain = ag_config::Config::default().runner.drain_s;
    assert!(
        grace
            .and_then(|grace| grace.parse::<f64>().ok())
            .is_some_and(|grace| grace > drain + 10.0)
    );
}
