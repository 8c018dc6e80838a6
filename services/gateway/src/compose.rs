//! The only place that names concrete adapters.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ag_agents::ReactAgent;
use ag_api::{CodeService, Extensions, ModelServices, StoredProfiles};
use ag_artifacts::{BlobStore, LocalBlobs};
use ag_config::{Config, EnvSource};
use ag_effects::{
    EffectRegistry,
    llm_call::{LlmCall, LlmCallSettings},
    model_residency::ModelResidency,
    routes::{CapabilityRoutes, Catalogues, ModelDefaults, ModelResolver, RouteLevels},
    runtime_host::{HostParts, RuntimeHost},
    tool_calls::{ToolCallsEffect, ToolSettings},
    workspaces::Workspaces,
};
use ag_engine::{Deps, RunSettings, TickLimits, Workflows, handlers};
use ag_outbound::OutboundPolicy;
use ag_providers::{CapabilityTable, ProviderDirectory};
use ag_providers_openai::{EnvironmentDirectory, OpenAiProviders, OpenAiSettings, ProviderSettings};
use ag_sandbox::{CodeSandbox, MontySandbox};
use ag_store::Store;
use ag_tools::{DuckDuckGo, ExecPolicy, SearchEngine, ToolContext, Toolbox, mode::ToolMode};
use ag_types::{Clock, EffectKind, IdGen, SystemClock, SystemIds};
use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use url::Url;

use crate::{
    backend::{self, Backend},
    tool_catalogue::Tools,
};

/// Everything below the roles.
pub(crate) struct Platform {
    pub(crate) backend: Backend,
    pub(crate) deps: Arc<Deps>,
    pub(crate) defaults: Arc<dyn ModelDefaults>,
    pub(crate) settings: RunSettings,
    pub(crate) extensions: Extensions,
}

/// Builds the platform for the configured store.
pub(crate) async fn platform(config: &Config, env: &EnvSource) -> anyhow::Result<Platform> {
    let backend = backend::open(config).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdGen> = Arc::new(SystemIds);
    let store = backend.store.clone();
    let blobs: Arc<dyn BlobStore> = Arc::new(LocalBlobs::new(config.data_path("blobs")));

    let table = Arc::new(CapabilityTable::built_in());
    let directory = providers(config, store.clone(), table.clone())?;
    let levels = RouteLevels::Single;
    let routes = Arc::new(CapabilityRoutes::new(
        store.clone(),
        table.clone(),
        clock.clone(),
        levels,
        None,
    ));
    let resolver = ModelResolver::new(routes.clone(), directory.clone());
    let catalogues = Arc::new(Catalogues::new(directory, store.clone(), table));
    let defaults: Arc<dyn ModelDefaults> = routes;

    let sandbox: Arc<dyn CodeSandbox> = Arc::new(MontySandbox::default());
    let workspaces = workspaces(config)?;
    let tools = tools(config, env, workspaces.clone())?;
    let host = RuntimeHost::new(HostParts {
        sandbox: sandbox.clone(),
        limits: ag_sandbox::Limits::default(),
        workspaces: Some(workspaces),
        index: store.clone(),
        blobs: blobs.clone(),
        catalogues,
        clock: clock.clone(),
        max_attachment_bytes: config.limits.attachment_bytes(),
    });
    let effects = EffectRegistry::default()
        .with(
            EffectKind::LlmCall,
            Arc::new(LlmCall::new(resolver.clone(), llm_settings(config))),
        )
        .with(
            EffectKind::ModelResidency,
            Arc::new(ModelResidency::new(resolver.clone())),
        )
        .with(EffectKind::ToolCalls, tools.clone())
        .with(
            EffectKind::StartSubworkflow,
            Arc::new(handlers::StartSubworkflow::new(defaults.clone())),
        )
        .with(EffectKind::EmitEvent, Arc::new(handlers::EmitEvent))
        .with(EffectKind::VarsQuery, Arc::new(handlers::VarsQuery));
    let limits = ag_bundles::Limits::default();
    let workflows = Workflows::new(
        store.clone(),
        blobs.clone(),
        Arc::new(ag_nodes::Registry),
        Arc::new(ReactAgent),
        limits,
    );
    let deps = Arc::new(Deps {
        store,
        blobs,
        bell: backend.bell.clone(),
        feed: backend.feed.clone(),
        effects,
        tools,
        host: Arc::new(host),
        workflows: Arc::new(workflows),
        catalogue: Arc::new(Tools),
        clock,
        ids,
        limits: TickLimits {
            max_inline_bytes: usize::try_from(config.execution.max_inline_bytes).unwrap_or(usize::MAX),
            ..TickLimits::default()
        },
        zone: ag_types::system_zone(),
        locale: locale(env),
    });
    let extensions = Extensions::default()
        .with(ModelServices {
            resolver,
            secrets: None,
        })
        .with(CodeService(sandbox));
    let settings = RunSettings {
        prompt_cache: config.execution.prompt_cache,
        max_attachment_bytes: config.limits.max_attachment_bytes,
    };
    Ok(Platform {
        backend,
        deps,
        defaults,
        settings,
        extensions,
    })
}

fn providers(
    config: &Config,
    store: Arc<dyn Store>,
    table: Arc<CapabilityTable>,
) -> anyhow::Result<Arc<dyn ProviderDirectory>> {
    let providers = OpenAiProviders::new(OpenAiSettings::default(), table).context("cannot set up TLS")?;
    let lookup = |name: &str| {
        let plain = config.providers.get(name).map(str::to_owned);
        plain.or_else(|| {
            config
                .providers
                .secret(name)
                .map(|secret| secret.expose_secret().to_owned())
        })
    };
    // No key encrypts stored secrets yet, so connections that hold one cannot be made.
    let profiles = StoredProfiles::new(store, None, true);
    let directory = EnvironmentDirectory::new(ProviderSettings::from_lookup(lookup), Arc::new(providers));
    Ok(Arc::new(directory.with_profiles(Arc::new(profiles))))
}

fn llm_settings(config: &Config) -> LlmCallSettings {
    LlmCallSettings {
        prompt_cache: config.execution.prompt_cache.unwrap_or(false),
        max_attachment_bytes: config.limits.attachment_bytes(),
    }
}

fn workspaces(config: &Config) -> anyhow::Result<Workspaces> {
    let home = config.workspaces_root();
    std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    if config.client_scope_overrides() {
        return Ok(Workspaces::open(&home));
    }
    let root = match &config.workspace.dir {
        Some(dir) => dir.clone(),
        // As the HTTP role has it: without a configured root, the directory that `serve` was started in.
        None => std::path::absolute(".").context("the working directory is gone")?,
    };
    let roots: Vec<PathBuf> = vec![root];
    Ok(Workspaces::confined(&home, &roots))
}

fn tools(config: &Config, env: &EnvSource, workspaces: Workspaces) -> anyhow::Result<Arc<ToolCallsEffect>> {
    // In single-token mode every caller is the operator, whose tools may reach local services (architecture D15a).
    let http =
        ToolContext::http_client(OutboundPolicy::operator()).context("cannot set up HTTP for tools")?;
    let endpoint = Url::parse(DuckDuckGo::ENDPOINT).context("search endpoint")?;
    let search: Arc<dyn SearchEngine> = Arc::new(DuckDuckGo::new(http.clone(), endpoint));
    let toolbox = Toolbox::new(
        ExecPolicy::allowed(
            env.iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ),
        Some(search),
    );
    let mode = ToolMode::parse(&config.execution.tool_mode);
    let mut settings = ToolSettings::new(mode, http, workspaces);
    settings.max_attachment_bytes = config.limits.attachment_bytes();
    settings.timeout = Duration::from_secs(7_200);
    Ok(Arc::new(ToolCallsEffect::new(toolbox, settings)))
}

/// The machine's locale without encoding (`en_US`); empty when none is set.
fn locale(env: &EnvSource) -> String {
    let set = ["LC_ALL", "LANG"]
        .iter()
        .filter_map(|name| env.get(name))
        .find(|value| !value.is_empty());
    set.map(|value| value.split('.').next().unwrap_or_default().to_owned())
        .unwrap_or_default()
}
