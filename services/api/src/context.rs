//! Who is calling, and the only way from a handler to data.
//!
//! A handler without a [`CallContext`] reaches no store: the state's fields are visible to this module alone, and
//! every store method wants the scope that only the context has.

mod plane;
mod state;

use std::{fmt::Display, sync::Arc};

use ag_artifacts::BlobStore;
use ag_auth::Principal;
use ag_engine::{
    CallRequest, CommandError, CommandReceipt, CommandRequest, ScheduleError, ScheduleRequest, StartError,
    StartRequest, Workflows,
};
use ag_messaging::RunFeed;
use ag_store::Store;
use ag_types::{Clock, IdGen, RunId, RunKey, TenantScope, Timestamp};
use axum::extract::FromRequestParts;
use http::request::Parts;

pub use state::{AppState, CsrfCheck, Extensions, Fitness, NoSessions, Services};

use crate::{ApiError, ApiResult, stream::Streams};

/// What the security layer found out about a request; a request extension.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) principal: Arc<Principal>,
    pub(crate) request_id: Arc<str>,
}

/// The caller of an operation with everything that is the caller's.
#[derive(Clone)]
pub struct CallContext {
    state: AppState,
    caller: Caller,
    scope: TenantScope,
}

impl FromRequestParts<AppState> for CallContext {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        // Absent only where a route outside the security layer asks for a context: a defect, answered safely.
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| ApiError::new(http::StatusCode::UNAUTHORIZED, "Unauthorized"))?;
        let scope = state.scope_of(&caller.principal).await?;
        Ok(Self {
            state: state.clone(),
            caller,
            scope,
        })
    }
}

impl CallContext {
    /// The caller.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.caller.principal
    }

    /// The caller's plane; first argument of every store method.
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }

    /// Id of the request, for logs.
    pub fn request_id(&self) -> &str {
        &self.caller.request_id
    }

    /// The full key of a run of the caller's plane.
    pub fn key(&self, run: RunId) -> RunKey {
        RunKey {
            run,
            plane: self.scope.plane,
        }
    }

    /// For operations that check the role themselves (security contract §4, "additional handler checks").
    ///
    /// # Errors
    /// 403 `Admin principal required`.
    pub fn require_admin(&self) -> ApiResult<()> {
        match self.caller.principal.is_admin() {
            true => Ok(()),
            false => Err(ApiError::forbidden("Admin principal required")),
        }
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        &*self.state.deps().store
    }

    /// The store, for tasks that outlive the handler (streams, tracked work).
    pub fn store_arc(&self) -> Arc<dyn Store> {
        self.state.deps().store.clone()
    }

    /// Bytes of artifacts and bundles.
    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.state.deps().blobs
    }

    /// Registry and compiled workflows.
    pub fn workflows(&self) -> &Workflows {
        &self.state.deps().workflows
    }

    /// The same, for work that outlives the call.
    pub fn workflows_arc(&self) -> Arc<Workflows> {
        self.state.deps().workflows.clone()
    }

    /// Ids.
    pub fn ids(&self) -> &dyn IdGen {
        &*self.state.deps().ids
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        let clock: &dyn Clock = &*self.state.deps().clock;
        clock.now()
    }

    /// What belongs to the node and not to the caller: configuration, services of other families.
    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// The ledger streams of this node.
    pub(crate) fn streams(&self) -> &Arc<Streams> {
        self.state.streams()
    }

    /// Starts a run.
    ///
    /// # Errors
    /// [`StartError`]; nothing was stored then.
    pub async fn start(&self, request: StartRequest) -> Result<RunId, StartError> {
        self.state.starter().start(&self.scope, request).await
    }

    /// Starts a run that carries out one model call.
    ///
    /// # Errors
    /// [`StartError`]; nothing was stored then.
    pub async fn start_call(&self, request: CallRequest) -> Result<RunId, StartError> {
        self.state.starter().start_call(&self.scope, request).await
    }

    /// The announcements about runs.
    pub(crate) fn feed(&self) -> &dyn RunFeed {
        &*self.state.deps().feed
    }

    /// Starts a schedule.
    ///
    /// # Errors
    /// [`ScheduleError`]; no run was started then.
    pub async fn schedule(&self, request: ScheduleRequest) -> Result<RunId, ScheduleError> {
        self.state.starter().schedule(&self.scope, request).await
    }

    /// Stores a command.
    ///
    /// # Errors
    /// [`CommandError`]; nothing was stored then.
    pub async fn post_command(&self, request: CommandRequest) -> Result<CommandReceipt, CommandError> {
        let receipt = self.state.deps().post_command(&self.scope, request).await?;
        self.state.look_again(&self.scope, &receipt.held);
        Ok(receipt)
    }

    /// 500 with the contract's prefix; the details go to the log.
    pub fn failed(&self, what: &'static str, error: &dyn Display) -> ApiError {
        tracing::error!(error = %error, request.id = self.request_id(), "{what}");
        ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, what)
    }
}
