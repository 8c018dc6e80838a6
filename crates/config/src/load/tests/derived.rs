//! What follows from several keys.

use std::path::Path;

use super::config;
use crate::{DbSync, StoreBackend, ToolMode};

#[test]
fn users_mode_rule() {
    // environment, registry file exists, users mode
    type Case<'a> = (&'a [(&'a str, &'a str)], bool, bool);
    let cases: &[Case<'_>] = &[
        (&[], true, false),
        (&[("ABSTRACTGATEWAY_USER_AUTH", "1")], false, true),
        (
            &[
                ("ABSTRACTGATEWAY_USER_AUTH", "0"),
                ("ABSTRACTGATEWAY_MULTI_USER", "1"),
            ],
            true,
            false,
        ),
        (
            &[
                ("ABSTRACTGATEWAY_USER_AUTH", "maybe"),
                ("ABSTRACTGATEWAY_AUTH_MODE", "users"),
            ],
            true,
            false,
        ),
        (
            &[
                ("ABSTRACTGATEWAY_USER_AUTH", " "),
                ("ABSTRACTGATEWAY_MULTI_USER", "on"),
            ],
            false,
            true,
        ),
        (&[("ABSTRACTFLOW_GATEWAY_USER_AUTH", "yes")], false, true),
        (&[("ABSTRACTGATEWAY_AUTH_MODE", "Hosted")], false, true),
        (
            &[
                ("ABSTRACTGATEWAY_AUTH_MODE", "single"),
                ("ABSTRACTGATEWAY_USER_AUTH_AUTO", "1"),
            ],
            true,
            false,
        ),
        (
            &[
                ("ABSTRACTGATEWAY_AUTH_MODE", "other"),
                ("ABSTRACTGATEWAY_USER_AUTH_AUTO", "1"),
            ],
            true,
            true,
        ),
        (&[("ABSTRACTGATEWAY_USER_AUTH_AUTO", "1")], false, false),
    ];
    for (pairs, exists, expected) in cases {
        assert_eq!(config(pairs).users_mode(*exists), *expected, "{pairs:?} {exists}");
    }
}

#[test]
fn what_follows_from_several_keys() {
    let plain = config(&[]);
    assert_eq!(plain.store_backend(), StoreBackend::Sqlite);
    assert_eq!(plain.store.db_sync, DbSync::Full);
    assert_eq!(plain.db_path(), Path::new("/nonexistent/data/gateway.sqlite3"));
    assert_eq!(plain.workspaces_root(), Path::new("/nonexistent/data/workspaces"));
    assert_eq!(plain.audit_file(), Path::new("/nonexistent/data/audit_log.jsonl"));
    assert_eq!(plain.bind_host(false), "127.0.0.1");
    assert_eq!(plain.bind_host(true), "0.0.0.0");
    assert_eq!(plain.execution.mode(), ToolMode::Approval);

    let cluster = config(&[("ABSTRACTGATEWAY_DATABASE_URL", "postgres://h/d")]);
    assert_eq!(cluster.store_backend(), StoreBackend::Postgres);

    assert!(!config(&[("ABSTRACTGATEWAY_AUTH_TOKEN", ", ,")]).has_shared_token());
    let token = config(&[("ABSTRACTGATEWAY_AUTH_TOKENS", "a,b")]);
    assert!(token.has_shared_token());
    assert_eq!(token.bind_host(false), "0.0.0.0");
    let open = config(&[
        ("ABSTRACTGATEWAY_AUTH_TOKEN", "a"),
        ("ABSTRACTGATEWAY_SECURITY", "0"),
    ]);
    assert_eq!(open.bind_host(false), "127.0.0.1");
}

#[test]
fn client_scope_overrides_rule() {
    let cases = [
        ("ABSTRACTGATEWAY_ALLOW_CLIENT_WORKSPACE_SCOPE", "1", true),
        ("ABSTRACTGATEWAY_TRUST_CLIENT_WORKSPACE_SCOPE", "1", true),
        ("ABSTRACTGATEWAY_TOOL_MODE", "local", true),
        ("ABSTRACTGATEWAY_TOOL_MODE", "local_all", false),
    ];
    for (name, value, expected) in cases {
        assert_eq!(
            config(&[(name, value)]).client_scope_overrides(),
            expected,
            "{name}={value}"
        );
    }
}

#[test]
fn tool_modes() {
    let cases = [
        ("APPROVAL", ToolMode::Approval),
        ("local-approval", ToolMode::Approval),
        ("passthrough", ToolMode::Passthrough),
        ("whatever", ToolMode::Passthrough),
        ("job", ToolMode::Delegated),
        ("local", ToolMode::Local),
        ("local_all", ToolMode::LocalAll),
    ];
    for (name, mode) in cases {
        assert_eq!(
            config(&[("ABSTRACTGATEWAY_TOOL_MODE", name)]).execution.mode(),
            mode,
            "{name}"
        );
    }
}
