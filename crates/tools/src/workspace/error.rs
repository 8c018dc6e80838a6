//! Refused paths, in the three wordings of the contract.

/// Why a path may not be used. `Display` is the wording of tools.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing was given.
    #[error("Empty path")]
    Empty,
    /// A relative path that leaves the root, by `..` or through a link.
    #[error("Path escapes workspace_root: '{path}'")]
    Escapes {
        /// As given.
        path: String,
    },
    /// An absolute path that no root covers.
    #[error("Path is outside workspace roots: '{path}'")]
    Outside {
        /// As given.
        path: String,
    },
    /// Below one of the run's ignored paths.
    #[error("Path is blocked by workspace_ignored_paths: '{path}'")]
    Blocked {
        /// As given.
        path: String,
    },
    /// Named by the ignore rules.
    #[error("File '{path}' is ignored by .abstractignore policy")]
    Ignored {
        /// As given.
        path: String,
    },
    /// The configured root is a file.
    #[error("workspace_root must be a directory (got file): {path}")]
    RootIsFile {
        /// The root.
        path: String,
    },
    /// The configured root cannot be used.
    #[error("workspace_root is not usable: {path}: {reason}")]
    RootUnusable {
        /// The root.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// Not one of the known access modes.
    #[error("Invalid workspace_access_mode: {mode}")]
    InvalidMode {
        /// As given.
        mode: String,
    },
    /// A file tool was called without its path.
    #[error("{tool} requires file_path")]
    Missing {
        /// Tool name.
        tool: String,
    },
}

impl PathError {
    /// Wording of the file *nodes* (`op` is the node type).
    #[must_use]
    pub fn node_text(&self, op: &str) -> String {
        let reason = match self {
            Self::Empty => return format!("{op} requires a non-empty 'file_path' input."),
            Self::Outside { .. } => "path is outside workspace roots".to_owned(),
            other => other.to_string(),
        };
        format!("{op} path rejected by workspace policy: {reason}")
    }

    /// Wording of the HTTP file operations; an [`Self::Empty`] one is a 400, the others are 403.
    #[must_use]
    pub fn http_text(&self) -> String {
        match self {
            Self::Empty => "path is required".to_owned(),
            Self::Escapes { .. } => "path escapes workspace root".to_owned(),
            Self::Outside { .. } => "path is outside workspace roots".to_owned(),
            Self::Blocked { .. } => "path is blocked by workspace_ignored_paths".to_owned(),
            Self::Ignored { .. } => "Path is ignored by .abstractignore policy".to_owned(),
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_gets_its_own_wording() {
        let path = "/etc/hostname".to_owned();
        let outside = PathError::Outside { path: path.clone() };
        assert_eq!(
            outside.to_string(),
            "Path is outside workspace roots: '/etc/hostname'"
        );
        assert_eq!(
            outside.node_text("read_file"),
            "read_file path rejected by workspace policy: path is outside workspace roots"
        );
        assert_eq!(outside.http_text(), "path is outside workspace roots");
        let escapes = PathError::Escapes {
            path: "../escape.txt".to_owned(),
        };
        assert_eq!(
            escapes.node_text("write_file"),
            "write_file path rejected by workspace policy: Path escapes workspace_root: '../escape.txt'"
        );
        assert_eq!(
            PathError::Empty.node_text("read_file"),
            "read_file requires a non-empty 'file_path' input."
        );
        assert_eq!(
            PathError::Ignored { path }.http_text(),
            "Path is ignored by .abstractignore policy"
        );
    }
}
