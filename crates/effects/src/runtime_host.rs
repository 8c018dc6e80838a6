//! The host of steps: answers their questions with the sandbox, the workspace, the artifact store and the catalogues.
//!
//! Files are touched on blocking threads, and code runs there too. Questions about files are answered at least once:
//! a crash between the answer and the commit of its step asks again.

mod artifacts;
mod code;
mod files;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use ag_artifacts::BlobStore;
use ag_kernel::{Exception, HostCall, HostOp};
use ag_sandbox::{CodeSandbox, Limits};
use ag_store::ArtifactIndex;
use ag_tools::workspace::WorkspacePolicy;
use ag_types::{Clock, TenantScope};
use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    host::{Host, HostFailure, HostQuestion},
    routes::Catalogues,
    workspaces::{Workspaces, scope_of},
};

/// Answers questions about providers and models: [`HostOp::ProviderCatalog`], [`HostOp::ProviderModels`].
#[async_trait]
pub trait ModelCatalogues: Send + Sync {
    /// A list of texts.
    ///
    /// # Errors
    /// [`HostFailure`].
    async fn answer(
        &self,
        scope: &TenantScope,
        call: &HostCall,
        cancel: &CancellationToken,
    ) -> Result<Value, HostFailure>;
}

#[async_trait]
impl ModelCatalogues for Catalogues {
    async fn answer(
        &self,
        scope: &TenantScope,
        call: &HostCall,
        cancel: &CancellationToken,
    ) -> Result<Value, HostFailure> {
        Catalogues::answer(self, scope, call, cancel).await
    }
}

/// What a host is made of.
#[derive(Clone)]
pub struct HostParts {
    /// Runs code.
    pub sandbox: Arc<dyn CodeSandbox>,
    /// Bounds of one call of it.
    pub limits: Limits,
    /// Workspaces of runs; `None` on pools that have no workspace mount, which refuse all questions about files.
    pub workspaces: Option<Workspaces>,
    /// Metadata of artifacts.
    pub index: Arc<dyn ArtifactIndex>,
    /// Bytes of artifacts.
    pub blobs: Arc<dyn BlobStore>,
    /// Providers and models.
    pub catalogues: Arc<dyn ModelCatalogues>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Limit of an imported file in bytes, unless its run says otherwise.
    pub max_attachment_bytes: u64,
}

/// The host of a runner.
#[derive(Clone)]
pub struct RuntimeHost {
    parts: HostParts,
}

impl fmt::Debug for RuntimeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeHost")
            .field("workspaces", &self.parts.workspaces)
            .finish_non_exhaustive()
    }
}

impl RuntimeHost {
    /// A host of these parts.
    pub fn new(parts: HostParts) -> Self {
        Self { parts }
    }

    /// Does file work under the workspace policy that the question's scope describes.
    async fn with_workspace<T: Send + 'static>(
        &self,
        question: &HostQuestion<'_>,
        work: impl FnOnce(&WorkspacePolicy) -> Result<T, String> + Send + 'static,
    ) -> Result<T, Exception> {
        let no_mount = || Exception::runtime("This pool has no workspace");
        let workspaces = self.parts.workspaces.clone().ok_or_else(no_mount)?;
        let (scope, run) = (scope_of(&question.call.args), question.run.head.run_id);
        let done = tokio::task::spawn_blocking(move || work(&workspaces.policy(&scope, run)?)).await;
        done.map_err(|error| Exception::runtime(format!("File operation failed: {error}")))?
            .map_err(raised)
    }
}

#[async_trait]
impl Host for RuntimeHost {
    async fn answer(&self, question: HostQuestion<'_>) -> Result<Value, HostFailure> {
        let call = question.call;
        match call.op {
            HostOp::RunCode => Ok(code::run(&self.parts, &call.args).await?),
            HostOp::RunExpression => Ok(code::evaluate(&self.parts, &call.args).await?),
            HostOp::ProviderCatalog | HostOp::ProviderModels => {
                self.parts
                    .catalogues
                    .answer(question.scope, call, question.cancel)
                    .await
            }
            HostOp::ReadFile
            | HostOp::WriteFile
            | HostOp::ListFolder
            | HostOp::ReadPdf
            | HostOp::WritePdf => {
                let (op, args, now) = (call.op, call.args.clone(), self.parts.clock.now());
                let answer =
                    self.with_workspace(&question, move |policy| files::answer(op, policy, &args, now));
                Ok(Value::Object(answer.await?))
            }
            HostOp::ImportFile => self.import(&question).await,
            HostOp::ReadArtifact => self.read_artifact(&question).await,
            HostOp::ExportArtifact => self.export(&question).await,
        }
    }
}

/// The exception of a failure text (classes of kernel spec §2.5).
fn raised(text: String) -> Exception {
    const MISSING: [&str; 3] = ["File not found: ", "Folder not found: ", "Artifact not found: "];
    match MISSING.iter().any(|start| text.starts_with(start)) {
        true => Exception::of("FileNotFoundError", text),
        false => Exception::value(text),
    }
}

fn text<'a>(args: &'a Value, key: &str) -> &'a str {
    args.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Name of the asking node type, for messages.
fn node_type(args: &Value) -> &str {
    match text(args, "node_type") {
        "" => "file operation",
        known => known,
    }
}
