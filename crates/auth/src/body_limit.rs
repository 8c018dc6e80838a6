//! How large a request body may be.

/// What multipart framing and form fields may add to an upload's file.
const UPLOAD_ALLOWANCE: u64 = 2_097_152;

/// Limits in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Ordinary bodies; 0 = unlimited.
    pub body: u64,
    /// Additional cap of upload bodies; 0 = none.
    pub upload_cap: u64,
    /// One attachment.
    pub attachment: u64,
    /// One bundle.
    pub bundle: u64,
}

impl BodyLimits {
    /// The largest body that this path takes, `None` = unlimited.
    ///
    /// Uploads into the workflow catalogue are bundle uploads as well.
    #[must_use]
    pub fn limit_for(&self, path: &str) -> Option<u64> {
        let Some(file) = self.file_of(path) else {
            return Some(self.body).filter(|limit| *limit > 0);
        };
        let limit = file.saturating_add(UPLOAD_ALLOWANCE);
        Some(if self.upload_cap > 0 {
            limit.min(self.upload_cap)
        } else {
            limit
        })
    }

    /// Whether the path takes uploads, whose bodies are read as they come and never collected.
    #[must_use]
    pub fn is_upload(&self, path: &str) -> bool {
        self.file_of(path).is_some()
    }

    /// The largest file of an upload.
    fn file_of(&self, path: &str) -> Option<u64> {
        let path = path.trim_end_matches('/');
        if path.ends_with("/attachments/upload") {
            Some(self.attachment)
        } else if path.ends_with("/bundles/upload") || path.ends_with("/workflow-catalog/upload") {
            Some(self.bundle)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_by_path() {
        let limits = BodyLimits {
            body: 256_000,
            upload_cap: 0,
            attachment: 26_214_400,
            bundle: 78_643_200,
        };
        let capped = BodyLimits {
            upload_cap: 1_000,
            ..limits
        };
        let open = BodyLimits { body: 0, ..limits };
        let cases = [
            (limits, "/api/gateway/runs/start", Some(256_000)),
            (limits, "/api/gateway/attachments/upload", Some(28_311_552)),
            (limits, "/api/gateway/attachments/upload/", Some(28_311_552)),
            (
                limits,
                "/api/gateway/backlog/planned/x.md/attachments/upload",
                Some(28_311_552),
            ),
            (limits, "/api/gateway/bundles/upload", Some(80_740_352)),
            (
                limits,
                "/api/gateway/admin/workflow-catalog/upload",
                Some(80_740_352),
            ),
            (limits, "/api/gateway/bundles/upload/x", Some(256_000)),
            (limits, "/api/gateway/xbundles/upload", Some(256_000)),
            (capped, "/api/gateway/bundles/upload", Some(1_000)),
            (capped, "/api/gateway/attachments/upload", Some(1_000)),
            (capped, "/api/gateway/runs/start", Some(256_000)),
            (open, "/api/gateway/runs/start", None),
            (open, "/api/gateway/bundles/upload", Some(80_740_352)),
            (
                BodyLimits {
                    bundle: u64::MAX,
                    ..limits
                },
                "/bundles/upload",
                Some(u64::MAX),
            ),
        ];
        for (limits, path, expected) in cases {
            assert_eq!(limits.limit_for(path), expected, "{limits:?} {path}");
            let is_upload = path.trim_end_matches('/').ends_with("/upload");
            assert_eq!(
                limits.is_upload(path),
                is_upload && !path.contains("xbundles"),
                "{path}"
            );
        }
    }
}
