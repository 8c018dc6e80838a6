//! Names of the execution modes and what is refused.

/// Refusal of `full_access`. This build has no interpreter without limits, so the operator's switch
/// cannot change it; the text is the one clients know.
pub const FULL_ACCESS_DISABLED: &str = "full_access code execution is disabled by host policy. Set ABSTRACTRUNTIME_CODE_FULL_ACCESS=1 only for trusted local deployments.";

/// Execution mode after aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// The interpreter with limits.
    Sandbox,
    /// Plain Python with imports; never executed here.
    FullAccess,
}

impl Permissions {
    /// Reads a client's word; the empty text means the default. `Err` is the text for the client.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "" | "sandbox" | "safe" | "protected" | "restricted" | "sandboxed" => Ok(Self::Sandbox),
            "full_access" | "full-access" | "full" | "unrestricted" => Ok(Self::FullAccess),
            _ => Err(format!("Unsupported code execution permissions: '{text}'")),
        }
    }

    /// The name used in `execution` and `diagnostics` objects.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::FullAccess => "full_access",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_and_refusal() {
        for alias in ["", "sandbox", "Safe", "protected", "restricted", "sandboxed"] {
            assert_eq!(Permissions::parse(alias), Ok(Permissions::Sandbox), "{alias}");
        }
        for alias in ["full_access", "full", "unrestricted", "full-access"] {
            assert_eq!(Permissions::parse(alias), Ok(Permissions::FullAccess), "{alias}");
        }
        assert_eq!(
            Permissions::parse("weird"),
            Err("Unsupported code execution permissions: 'weird'".to_owned())
        );
    }
}
