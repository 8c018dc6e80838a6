//! Who decides that a tool may run.

use serde_json::{Value, json};

use crate::call::ToolCall;

/// Tools that read and may run without asking. The order is the one that clients see in wait details.
pub const AUTO_APPROVED: &[&str] = &[
    "list_files",
    "skim_folders",
    "analyze_code",
    "read_file",
    "skim_files",
    "search_files",
    "web_search",
    "skim_websearch",
    "skim_url",
    "fetch_url",
    "send_telegram_message",
    "send_telegram_artifact",
];

/// Tools that always ask. Every name in neither list asks too.
pub const GATED: &[&str] = &[
    "write_file",
    "edit_file",
    "execute_command",
    "send_email",
    "send_whatsapp_message",
];

/// The host's tool mode (`ABSTRACTGATEWAY_TOOL_MODE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolMode {
    /// Batches of auto-approved tools run, others wait for a user.
    #[default]
    Approval,
    /// Every batch waits for a user.
    Passthrough,
    /// Every batch waits for an external executor.
    Delegated,
    /// Everything runs at once.
    Local,
}

impl ToolMode {
    /// Reads the wire value. A blank one is the default; an unknown one is the strict [`Self::Passthrough`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.trim().to_lowercase().as_str() {
            "" | "approval" | "local_approval" | "local-approval" => Self::Approval,
            "local" | "local_all" => Self::Local,
            "delegated" | "delegate" | "job" => Self::Delegated,
            _ => Self::Passthrough,
        }
    }

    /// The wire value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Passthrough => "passthrough",
            Self::Delegated => "delegated",
            Self::Local => "local",
        }
    }

    /// What happens to the pending calls of a batch; the batch is the unit. `trusted` are names that the operator lets
    /// run without asking, besides ours.
    pub fn decide<'a>(self, pending: impl IntoIterator<Item = &'a ToolCall>, trusted: &[String]) -> Decision {
        let mut pending = pending.into_iter().peekable();
        if pending.peek().is_none() {
            return Decision::Execute;
        }
        match self {
            Self::Local => Decision::Execute,
            Self::Delegated => Decision::Delegate,
            Self::Passthrough => Decision::AwaitApproval,
            Self::Approval
                if pending.all(|call| {
                    AUTO_APPROVED.contains(&call.name.as_str()) || trusted.contains(&call.name)
                }) =>
            {
                Decision::Execute
            }
            Self::Approval => Decision::AwaitApproval,
        }
    }

    /// `executor.policy` of an approval wait; `trusted` as in [`Self::decide`].
    #[must_use]
    pub fn policy(self, trusted: &[String]) -> Value {
        let auto: Vec<&str> = if self == Self::Passthrough {
            Vec::new()
        } else {
            let ours = AUTO_APPROVED.iter().copied();
            ours.chain(trusted.iter().map(String::as_str)).collect()
        };
        json!({"auto_approve_tools": auto, "require_approval_tools": GATED})
    }
}

/// The verdict over a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Run the pending calls now.
    Execute,
    /// Wait with reason `user`, key `tool_approval:<32 hex>`.
    AwaitApproval,
    /// Wait with reason `job`, key `tool_calls:<run>:<node>`.
    Delegate,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(names: &[&str]) -> Vec<ToolCall> {
        names
            .iter()
            .filter_map(|name| ToolCall::from_value(&json!({"name": name})))
            .collect()
    }

    #[test]
    fn modes_have_aliases() {
        let cases = [
            ("", ToolMode::Approval),
            ("Approval", ToolMode::Approval),
            ("local-approval", ToolMode::Approval),
            ("local_approval", ToolMode::Approval),
            ("local", ToolMode::Local),
            ("local_all", ToolMode::Local),
            ("delegate", ToolMode::Delegated),
            ("job", ToolMode::Delegated),
            ("passthrough", ToolMode::Passthrough),
            ("anything", ToolMode::Passthrough),
        ];
        for (text, mode) in cases {
            assert_eq!(ToolMode::parse(text), mode, "{text}");
        }
    }

    #[test]
    fn the_whole_batch_is_decided_at_once() {
        use Decision::{AwaitApproval, Delegate, Execute};
        let cases: [(&[&str], [Decision; 4]); 5] = [
            (&[], [Execute, Execute, Execute, Execute]),
            (
                &["read_file", "web_search"],
                [Execute, AwaitApproval, Delegate, Execute],
            ),
            (
                &["read_file", "write_file"],
                [AwaitApproval, AwaitApproval, Delegate, Execute],
            ),
            (
                &["no_such_tool"],
                [AwaitApproval, AwaitApproval, Delegate, Execute],
            ),
            (
                &["execute_command"],
                [AwaitApproval, AwaitApproval, Delegate, Execute],
            ),
        ];
        let modes = [
            ToolMode::Approval,
            ToolMode::Passthrough,
            ToolMode::Delegated,
            ToolMode::Local,
        ];
        for (names, expected) in cases {
            for (mode, verdict) in modes.into_iter().zip(expected) {
                assert_eq!(mode.decide(&calls(names), &[]), verdict, "{names:?} {mode:?}");
            }
        }
    }

    #[test]
    fn trusted_names_count_only_where_any_tool_runs_by_itself() {
        let batch = calls(&["read_file", "mcp::a::look"]);
        let trusted = ["mcp::a::look".to_owned()];
        assert_eq!(ToolMode::Approval.decide(&batch, &trusted), Decision::Execute);
        assert_eq!(ToolMode::Approval.decide(&batch, &[]), Decision::AwaitApproval);
        assert_eq!(
            ToolMode::Passthrough.decide(&batch, &trusted),
            Decision::AwaitApproval
        );
        assert_eq!(
            ToolMode::Approval.policy(&trusted)["auto_approve_tools"][12],
            "mcp::a::look"
        );
    }

    #[test]
    fn the_policy_detail_lists_both_sides() {
        let policy = ToolMode::Approval.policy(&[]);
        assert_eq!(policy["auto_approve_tools"][0], "list_files");
        assert_eq!(policy["auto_approve_tools"].as_array().map(Vec::len), Some(12));
        assert_eq!(policy["require_approval_tools"], json!(GATED));
        assert_eq!(ToolMode::Passthrough.policy(&[])["auto_approve_tools"], json!([]));
    }
}
