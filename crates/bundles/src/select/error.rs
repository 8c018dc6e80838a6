//! Why a reference cannot be resolved; the texts are the contract's.

use crate::status::ErrorStatus;

/// The reason, with what it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A start that names nothing.
    #[error("flow_id is required (or provide bundle_id to start a bundle entrypoint)")]
    NothingToStart,
    /// A draft without the marker that says it is meant.
    #[error("draft bundle versions require run_lifecycle.purpose='draft_test'")]
    DraftPurpose,
    /// No flow, no bundle, and no default bundle.
    #[error(
        "flow_id is required when multiple bundles are loaded; provide bundle_id (or pass flow_id as 'bundle:flow')"
    )]
    FlowIdRequired,
    /// A plain flow id without bundle, and no default bundle.
    #[error("bundle_id is required when multiple bundles are loaded (or pass flow_id as 'bundle:flow')")]
    BundleIdRequired,
    /// Several entrypoints and no default one.
    #[error(
        "Bundle '{bundle_ref}' has {count} entrypoints; specify flow_id to select which entrypoint to start (or set manifest.default_entrypoint)"
    )]
    EntrypointRequired {
        /// `id@version`.
        bundle_ref: String,
        /// How many there are.
        count: usize,
    },
    /// `bundle_id` with a version that contradicts `bundle_version`.
    #[error("bundle_version conflicts with bundle_id (bundle_id already includes '@version')")]
    VersionConflict,
    /// The same for a removal, which words it differently.
    #[error("bundle_id version does not match bundle_version")]
    RemovalVersionConflict,
    /// `flow_id` of another bundle.
    #[error("flow_id bundle prefix does not match bundle_id")]
    FlowBundleMismatch,
    /// `flow_id` of another version than `bundle_version`.
    #[error("flow_id version does not match bundle_version")]
    FlowVersionMismatch,
    /// `flow_id` of another version than the one in `bundle_id`.
    #[error("flow_id version does not match bundle_id")]
    FlowBundleVersionMismatch,
    /// Nothing after the colon.
    #[error("Invalid flow_id")]
    InvalidFlowId,
    /// A full workflow id of an unknown bundle together with a bundle.
    #[error("flow_id '{0}' is already namespaced, but bundle_id/bundle_version was also provided")]
    AlreadyNamespaced(String),
    /// A schedule needs both.
    #[error("bundle_id and flow_id are required")]
    ScheduleTarget,
    /// Internal catalogue id in a start or schedule.
    #[error("Catalog workflows must be started through registry_scope='tenant_catalog'")]
    CatalogStart,
    /// Internal catalogue id in a bundle operation.
    #[error("Catalog bundles must be accessed through /api/gateway/workflow-catalog")]
    CatalogBundle,
    /// Internal catalogue id in a workflow inspection.
    #[error("Catalog workflows must be inspected through /api/gateway/workflow-catalog")]
    CatalogWorkflow,
    /// Unknown bundle or version; holds what to show, with `@version` where one was named.
    #[error("Bundle '{0}' not found")]
    BundleNotFound(String),
    /// The id is known but nothing of it is loaded.
    #[error("Bundle '{0}' has no versions loaded")]
    NoVersions(String),
    /// No such workflow to start or inspect.
    #[error("Workflow '{0}' not found")]
    WorkflowNotFound(String),
    /// No such workflow to schedule.
    #[error("Target workflow '{0}' not found")]
    TargetNotFound(String),
    /// No such flow to look at.
    #[error("Flow '{flow_id}' not found in bundle '{bundle_ref}'")]
    FlowNotFound {
        /// The flow asked for.
        flow_id: String,
        /// `id@version`.
        bundle_ref: String,
    },
    /// No such entrypoint to deprecate.
    #[error("Entrypoint '{bundle_id}:{flow_id}' not found")]
    EntrypointNotFound {
        /// Bare id.
        bundle_id: String,
        /// The flow asked for.
        flow_id: String,
    },
    /// A display name that several bundles use.
    #[error(
        "Workflow name '{name}' matches multiple bundles ({candidates}); use bundle_id[@version] instead"
    )]
    AmbiguousName {
        /// As asked for.
        name: String,
        /// Bundle references, comma separated.
        candidates: String,
    },
}

impl SelectError {
    /// HTTP status family of the answer.
    #[must_use]
    pub const fn status(&self) -> ErrorStatus {
        match self {
            Self::CatalogStart | Self::CatalogBundle | Self::CatalogWorkflow => ErrorStatus::Forbidden,
            Self::BundleNotFound(_)
            | Self::NoVersions(_)
            | Self::WorkflowNotFound(_)
            | Self::TargetNotFound(_)
            | Self::FlowNotFound { .. }
            | Self::EntrypointNotFound { .. } => ErrorStatus::NotFound,
            _ => ErrorStatus::BadRequest,
        }
    }

    /// The `detail` of `POST /runs/start`, which puts a prefix before the errors that its host raises.
    #[must_use]
    pub fn start_detail(&self) -> String {
        match self {
            Self::FlowIdRequired
            | Self::BundleIdRequired
            | Self::EntrypointRequired { .. }
            | Self::VersionConflict
            | Self::AlreadyNamespaced(_) => format!("Failed to start run: {self}"),
            _ => self.to_string(),
        }
    }
}
