//! Callers and the data plane that belongs to each.

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// How a principal was established; the names are on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrincipalSource {
    /// A shared token, or authentication switched off.
    LegacyToken,
    /// An anonymous read from a loopback address.
    LoopbackDevRead,
    /// A registered user.
    UserRegistry,
}

/// The caller of a request, in the shape of `core-security.md` section 2 plus `admin`.
///
/// Not `Deserialize`: a principal comes from authentication, never from a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// User within the tenant.
    pub user_id: String,
    /// Tenant.
    pub tenant_id: String,
    /// Roles; `admin` opens the admin routes.
    pub roles: Vec<String>,
    /// Scopes; kept and returned, no core route consults them.
    pub scopes: Vec<String>,
    /// First 12 hex digits of the token's SHA-256, empty without a token.
    pub token_fingerprint: String,
    /// The user's runtime.
    pub runtime_id: String,
    /// How it was established.
    pub source: PrincipalSource,
}

const ADMIN: &str = "admin";

impl Principal {
    /// The caller with a shared token. Everybody when security or the protection of a method is off, then
    /// without a fingerprint.
    #[must_use]
    pub fn local_admin(token_fingerprint: impl Into<String>) -> Self {
        Self {
            user_id: "local-admin".to_owned(),
            tenant_id: "local".to_owned(),
            roles: vec![ADMIN.to_owned(), "user".to_owned()],
            scopes: vec!["*".to_owned()],
            token_fingerprint: token_fingerprint.into(),
            runtime_id: "local-admin".to_owned(),
            source: PrincipalSource::LegacyToken,
        }
    }

    /// The anonymous reader of `DEV_READ_NO_AUTH`.
    #[must_use]
    pub fn loopback_reader() -> Self {
        Self {
            user_id: "loopback-readonly".to_owned(),
            tenant_id: "local".to_owned(),
            roles: vec!["readonly".to_owned()],
            scopes: vec!["gateway:read".to_owned()],
            token_fingerprint: String::new(),
            runtime_id: "loopback-readonly".to_owned(),
            source: PrincipalSource::LoopbackDevRead,
        }
    }

    /// Whether the role `admin` is present; a `*` scope does not count.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role == ADMIN)
    }
}

impl Serialize for Principal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Principal", 8)?;
        out.serialize_field("user_id", &self.user_id)?;
        out.serialize_field("tenant_id", &self.tenant_id)?;
        out.serialize_field("roles", &self.roles)?;
        out.serialize_field("scopes", &self.scopes)?;
        out.serialize_field("token_fingerprint", &self.token_fingerprint)?;
        out.serialize_field("runtime_id", &self.runtime_id)?;
        out.serialize_field("source", &self.source)?;
        out.serialize_field("admin", &self.is_admin())?;
        out.end()
    }
}

/// The owner of data: every stored row belongs to one such pair.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct PlaneKey {
    /// Tenant.
    pub tenant_id: String,
    /// Runtime.
    pub runtime_id: String,
}

const DEFAULT: &str = "default";

impl PlaneKey {
    /// The plane of every caller in single-token mode.
    #[must_use]
    pub fn root() -> Self {
        Self {
            tenant_id: DEFAULT.to_owned(),
            runtime_id: DEFAULT.to_owned(),
        }
    }

    fn is_root(&self) -> bool {
        self.tenant_id == DEFAULT && self.runtime_id == DEFAULT
    }
}

/// Which plane a principal works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaneRule {
    /// One user: everything is on the root plane.
    SingleToken,
    /// Users mode: a plane for each `(tenant, runtime)`.
    Users {
        /// `default/admin` works on the root plane (`ADMIN_USES_DEFAULT_RUNTIME`).
        admin_uses_default_runtime: bool,
    },
}

impl PlaneRule {
    /// The plane of a principal.
    #[must_use]
    pub fn plane_of(self, principal: &Principal) -> PlaneKey {
        let Self::Users {
            admin_uses_default_runtime,
        } = self
        else {
            return PlaneKey::root();
        };
        let own = PlaneKey {
            tenant_id: safe_name(&principal.tenant_id),
            runtime_id: safe_name(&principal.runtime_id),
        };
        if admin_uses_default_runtime
            && principal.source == PrincipalSource::UserRegistry
            && own.tenant_id == DEFAULT
            && principal.user_id == ADMIN
            && principal.is_admin()
            && (own.runtime_id == ADMIN || own.runtime_id == DEFAULT)
        {
            return PlaneKey::root();
        }
        if own.is_root() {
            // A runtime that happens to be called like the root plane must not become it. No safe name ends
            // with an underscore, so this one belongs to nobody else.
            return PlaneKey {
                runtime_id: format!("{DEFAULT}_"),
                ..own
            };
        }
        own
    }
}

/// Reduces a tenant, user or runtime name to `[A-Za-z0-9_.@-]`: other characters become `_`, dots and
/// underscores at the edges go. What is left of nothing is `default`.
#[must_use]
pub fn safe_name(name: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "_.@-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let reduced: String = name.trim().chars().map(safe).collect();
    match reduced.trim_matches(['.', '_']) {
        "" => DEFAULT.to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(tenant: &str, user: &str, runtime: &str, roles: &[&str]) -> Principal {
        Principal {
            user_id: user.to_owned(),
            tenant_id: tenant.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            scopes: Vec::new(),
            token_fingerprint: String::new(),
            runtime_id: runtime.to_owned(),
            source: PrincipalSource::UserRegistry,
        }
    }

    #[test]
    fn wire_shape() {
        let text = serde_json::to_string(&Principal::local_admin("1a7674eb4ee7")).expect("serializable");
        assert_eq!(
            text,
            r#"{"user_id":"local-admin","tenant_id":"local","roles":["admin","user"],"scopes":["*"],"token_fingerprint":"1a7674eb4ee7","runtime_id":"local-admin","source":"legacy-token","admin":true}"#
        );
        let text = serde_json::to_string(&Principal::loopback_reader()).expect("serializable");
        assert_eq!(
            text,
            r#"{"user_id":"loopback-readonly","tenant_id":"local","roles":["readonly"],"scopes":["gateway:read"],"token_fingerprint":"","runtime_id":"loopback-readonly","source":"loopback-dev-read","admin":false}"#
        );
    }

    #[test]
    fn a_star_scope_is_no_admin() {
        let mut principal = user("default", "u", "u", &["user"]);
        principal.scopes = vec!["*".to_owned()];
        assert!(!principal.is_admin());
    }

    #[test]
    fn single_token_callers_share_the_root_plane() {
        for principal in [Principal::local_admin(""), Principal::loopback_reader()] {
            assert_eq!(PlaneRule::SingleToken.plane_of(&principal), PlaneKey::root());
        }
    }

    #[test]
    fn planes_in_users_mode() {
        // principal, ADMIN_USES_DEFAULT_RUNTIME, plane
        let cases = [
            (
                user("default", "admin", "default", &["admin"]),
                true,
                ("default", "default"),
            ),
            (
                user("default", "admin", "admin", &["admin", "user"]),
                true,
                ("default", "default"),
            ),
            (
                user("default", "admin", "admin", &["admin"]),
                false,
                ("default", "admin"),
            ),
            (
                user("default", "admin", "default", &["admin"]),
                false,
                ("default", "default_"),
            ),
            (
                user("default", "admin", "lab", &["admin"]),
                true,
                ("default", "lab"),
            ),
            (
                user("default", "admin", "admin", &["user"]),
                true,
                ("default", "admin"),
            ),
            (
                user("acme", "admin", "default", &["admin"]),
                true,
                ("acme", "default"),
            ),
            (
                user("default", "carol", "carol", &["admin"]),
                true,
                ("default", "carol"),
            ),
            // Nobody gets the root plane by a name.
            (
                user("default", "carol", "default", &["admin"]),
                true,
                ("default", "default_"),
            ),
            (
                user("default", "carol", "._default", &["user"]),
                true,
                ("default", "default_"),
            ),
            (user("", "carol", "//", &["user"]), true, ("default", "default_")),
            (user("a/../b", "carol", "c d", &["user"]), true, ("a_.._b", "c_d")),
            (Principal::local_admin("x"), true, ("local", "local-admin")),
            (Principal::loopback_reader(), true, ("local", "loopback-readonly")),
        ];
        for (principal, admin_uses_default_runtime, (tenant, runtime)) in cases {
            let plane = PlaneRule::Users {
                admin_uses_default_runtime,
            }
            .plane_of(&principal);
            assert_eq!(
                (plane.tenant_id.as_str(), plane.runtime_id.as_str()),
                (tenant, runtime),
                "{principal:?}"
            );
        }
    }

    #[test]
    fn safe_names() {
        let cases = [
            ("carol", "carol"),
            (" carol@example.org ", "carol@example.org"),
            ("../etc/passwd", "etc_passwd"),
            ("..", "default"),
            ("", "default"),
            ("é", "default"),
            ("_a_", "a"),
            ("a b\u{0}c", "a_b_c"),
        ];
        for (name, expected) in cases {
            assert_eq!(safe_name(name), expected, "{name:?}");
        }
    }
}
