//! What the crates below answer, as statuses and texts of the contract.

use ag_bundles::{ErrorStatus, SelectError};
use ag_engine::{CommandError, ScheduleError, StartError, Stop, workflows::WorkflowError};
use ag_store::StoreError;
use http::StatusCode;

use super::ApiError;

/// Seconds after which a caller may try again when the database was away.
const STORE_RETRY_S: u64 = 1;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) | StoreError::Ambiguous(_) | StoreError::SessionLost => {
                tracing::warn!(error = %error, "the store did not answer");
                Self::unavailable("Storage is temporarily unavailable", STORE_RETRY_S)
            }
            StoreError::Corrupt { .. } | StoreError::Internal(_) => {
                Self::internal("store call failed", &error)
            }
        }
    }
}

impl From<SelectError> for ApiError {
    fn from(error: SelectError) -> Self {
        Self::new(status_of(error.status()), error.to_string())
    }
}

impl From<WorkflowError> for ApiError {
    fn from(error: WorkflowError) -> Self {
        match error {
            WorkflowError::Store(error) => error.into(),
            WorkflowError::Blob { .. } => Self::internal("bundle unreadable", &error),
        }
    }
}

impl From<Stop> for ApiError {
    fn from(error: Stop) -> Self {
        match error {
            Stop::Store(error) => error.into(),
            Stop::Lost | Stop::Unfit(_) | Stop::Blob(_) => Self::internal("commit failed", &error),
        }
    }
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Select(error) => Self::new(status_of(error.status()), error.start_detail()),
            StartError::DraftNeedsPurpose => Self::bad_request(error.to_string()),
            StartError::Deprecated(_) | StartError::KeyConflict => Self::conflict(error.to_string()),
            StartError::Unusable(reason) => Self::bad_request(format!("Failed to start run: {reason}")),
            StartError::Workflow(error) => error.into(),
            StartError::Store(error) => error.into(),
            StartError::Stop(error) => error.into(),
        }
    }
}

impl From<ScheduleError> for ApiError {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::Invalid(text) => Self::bad_request(text),
            // The target's errors are shown as they are here, without the prefix of a start.
            ScheduleError::Start(StartError::Select(error)) => error.into(),
            ScheduleError::Start(error) => error.into(),
        }
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::UnknownRun(_) => Self::not_found(error.to_string()),
            CommandError::Store(error) => error.into(),
        }
    }
}

/// The HTTP status of a bundle error.
pub(crate) fn status_of(status: ErrorStatus) -> StatusCode {
    StatusCode::from_u16(status.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
