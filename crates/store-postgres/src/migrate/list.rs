//! The migrations.

use sha2::{Digest as _, Sha256};

/// One version of the schema.
pub(super) struct Migration {
    pub(super) version: i32,
    pub(super) name: &'static str,
    pub(super) parts: &'static [&'static str],
}

impl Migration {
    /// Tells whether the text was changed after it ran.
    pub(super) fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        for part in self.parts {
            hash.update(part.as_bytes());
        }
        hex::encode(hash.finalize())
    }
}

macro_rules! sql {
    ($file:literal) => {
        include_str!(concat!("../../../../migrations/postgres/", $file))
    };
}

/// In order. Functions belong to the migration that introduces them.
pub(super) const MIGRATIONS: [Migration; 5] = [
    Migration {
        version: 1,
        name: "0001_initial",
        parts: &[
            sql!("0001_initial.sql"),
            sql!("functions/send_mail_v1.sql"),
            sql!("functions/write_more_v1.sql"),
            sql!("functions/start_runs_v1.sql"),
            sql!("functions/claim_runs_v1.sql"),
            sql!("functions/commit_runs_v1.sql"),
            sql!("functions/post_commands_v1.sql"),
        ],
    },
    Migration {
        version: 2,
        name: "0002_memory",
        parts: &[sql!("0002_memory.sql")],
    },
    Migration {
        version: 3,
        name: "0003_row_security",
        parts: &[
            sql!("functions/0003/start_runs_v1.sql"),
            sql!("functions/0003/commit_runs_v1.sql"),
            sql!("functions/plane_v1.sql"),
            sql!("functions/tails_v1.sql"),
            sql!("functions/protect_table_v1.sql"),
            sql!("functions/grant_roles_v1.sql"),
            sql!("0003_row_security.sql"),
        ],
    },
    Migration {
        version: 4,
        name: "0004_bundle_references",
        parts: &[sql!("0004_bundle_references.sql")],
    },
    Migration {
        version: 5,
        name: "0005_driven_epochs",
        parts: &[sql!("0005_driven_epochs.sql")],
    },
];

/// Version of the schema that this program works with.
pub const SCHEMA_VERSION: i32 = MIGRATIONS[MIGRATIONS.len() - 1].version;
