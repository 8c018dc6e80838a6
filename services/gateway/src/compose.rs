//! The only place that names concrete adapters.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ag_agents::ReactAgent;
use ag_api::{CodeService, Extensions, ModelServices, StoredProfiles, ToolServices};
use ag_artifacts::{BlobMaintenance, BlobStore};
use ag_config::{Config, EnvSource, StoreBackend};
use ag_effects::{
    EffectRegistry,
    llm_call::{LlmCall, LlmCallSettings, MediaBackends},
    memory::{self, MemoryOwners, MemoryParts, kg::Vocabulary},
    model_residency::ModelResidency,
    routes::{CapabilityRoutes, Catalogues, ModelDefaults, ModelResolver, RouteLevels},
    runtime_host::{HostParts, RuntimeHost},
    tool_calls::{ToolCallsEffect, ToolSettings},
    workspaces::Workspaces,
};
use ag_engine::{Deps, RunSettings, TickLimits, Workflows, handlers};
use ag_mcp::McpServer;
use ag_outbound::{OutboundClient, OutboundPolicy};
use ag_providers::{CapabilityTable, ModelService, ProviderDirectory};
use ag_providers_http::{EnvironmentDirectory, HttpProviders, HttpSettings, ProviderSettings, SplitService};
use ag_providers_native::{AnthropicWire, OllamaWire};
use ag_providers_openai::{AbstractCoreWire, OpenAiWire};
use ag_sandbox::{CodeSandbox, MontySandbox};
use ag_tools::{DuckDuckGo, ExecPolicy, SearchEngine, ToolContext, ToolSource, Toolbox, mode::ToolMode};
use ag_types::{EffectKind, IdGen, SystemIds};
use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use url::Url;

use crate::{
    backend::{self, Backend},
    mcp, objects, scratch, secrets,
    tool_catalogue::Tools,
};

/// Everything below the roles.
pub(crate) struct Platform {
    pub(crate) backend: Backend,
    /// The bytes, for their collection.
    pub(crate) blobs: Arc<dyn BlobMaintenance>,
    pub(crate) deps: Arc<Deps>,
    pub(crate) defaults: Arc<dyn ModelDefaults>,
    pub(crate) settings: RunSettings,
    pub(crate) extensions: Extensions,
    /// Tool servers, not yet connected: see [`crate::mcp::start`].
    pub(crate) mcp: Vec<Arc<McpServer>>,
}

/// Builds the platform for the configured store.
pub(crate) async fn platform(config: &Config, env: &EnvSource) -> anyhow::Result<Platform> {
    scratch::settle(config, env);
    let backend = backend::open(config).await?;
    let clock = backend.clock.clone();
    let ids: Arc<dyn IdGen> = Arc::new(SystemIds);
    let store = backend.store.clone();
    let stored_bytes = objects::open(config, env)?;
    let blobs: Arc<dyn BlobStore> = stored_bytes.clone();
    let secrets = secrets::open(config)?;

    let table = Arc::new(CapabilityTable::built_in());
    let profiles = StoredProfiles::new(store.clone(), secrets.clone(), true);
    let (directory, split) = providers(config, profiles, table.clone())?;
    let levels = RouteLevels::Single;
    let routes = CapabilityRoutes::new(store.clone(), table.clone(), clock.clone(), levels, None);
    let routes = Arc::new(routes.with_upstream(split.clone()));
    let resolver = ModelResolver::new(routes.clone(), directory.clone());
    let catalogues = Arc::new(Catalogues::new(directory, store.clone(), table));
    let defaults: Arc<dyn ModelDefaults> = routes;

    let sandbox: Arc<dyn CodeSandbox> = Arc::new(MontySandbox::default());
    let workspaces = workspaces(config)?;
    let mcp = mcp::servers(config, env)?;
    let toolbox = toolbox(config, env, &mcp)?;
    let tools = tools(config, toolbox.clone(), workspaces.clone())?;
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
            Arc::new(LlmCall::new(resolver.clone(), llm_settings(config)?)),
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
    let effects = memory::register(
        effects,
        MemoryParts {
            owners: MemoryOwners {
                global: config.execution.global_memory_run_id.clone(),
            },
            vocabulary: Vocabulary::of_registry(&ag_api::predicates_registry(config)),
            resolver: resolver.clone(),
        },
    );
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
        catalogue: Arc::new(Tools(toolbox.clone())),
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
            secrets,
            split,
        })
        .with(ToolServices(toolbox))
        .with(CodeService(sandbox));
    let settings = RunSettings {
        prompt_cache: config.execution.prompt_cache,
        max_attachment_bytes: config.limits.max_attachment_bytes,
        workflow_bundles_dir: bundles_dir(config),
    };
    Ok(Platform {
        backend,
        blobs: stored_bytes,
        deps,
        defaults,
        settings,
        extensions,
        mcp,
    })
}

/// The folder that runs are told of: that of an embedded gateway. On a cluster bundles are in the database, and a folder
/// of one node means nothing to the others.
fn bundles_dir(config: &Config) -> Option<String> {
    let embedded = config.store_backend() == ag_config::StoreBackend::Sqlite;
    let dir = config.workflows.flows_dir.as_deref().filter(|_| embedded)?;
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    Some(dir.to_string_lossy().into_owned())
}

/// Where models are found, and the service that calls them in split mode.
type Models = (Arc<dyn ProviderDirectory>, Option<Arc<dyn ModelService>>);

fn providers(
    config: &Config,
    profiles: StoredProfiles,
    table: Arc<CapabilityTable>,
) -> anyhow::Result<Models> {
    let settings = ProviderSettings::from_lookup(|name| provider_variable(config, name));
    let providers = HttpProviders::new(HttpSettings::default(), table)
        .context("cannot set up TLS")?
        .with_wire(Arc::new(OpenAiWire::default()))
        .with_wire(Arc::new(AnthropicWire))
        .with_wire(Arc::new(OllamaWire))
        .with_wire(Arc::new(AbstractCoreWire))
        .with_split(settings.split().cloned());
    let split = settings
        .split()
        .map(|server| SplitService::new(server, &providers))
        .transpose()
        .context("ABSTRACTCORE_SERVER_BASE_URL")?;
    let split = split.map(|service| Arc::new(service) as Arc<dyn ModelService>);
    let directory = EnvironmentDirectory::new(settings, Arc::new(providers));
    Ok((Arc::new(directory.with_profiles(Arc::new(profiles))), split))
}

fn llm_settings(config: &Config) -> anyhow::Result<LlmCallSettings> {
    Ok(LlmCallSettings {
        prompt_cache: config.execution.prompt_cache.unwrap_or(false),
        max_attachment_bytes: config.limits.attachment_bytes(),
        http: Some(tool_http()?),
        backends: MediaBackends::from_lookup(|name| provider_variable(config, name)),
    })
}

/// A variable of the providers, secret or not.
fn provider_variable(config: &Config, name: &str) -> Option<String> {
    let plain = config.providers.get(name).map(str::to_owned);
    plain.or_else(|| {
        let secret = config.providers.secret(name)?;
        Some(secret.expose_secret().to_owned())
    })
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

// In single-token mode every caller is the operator, whose tools may reach local services (architecture D15a).
fn tool_http() -> anyhow::Result<OutboundClient> {
    ToolContext::http_client(OutboundPolicy::operator()).context("cannot set up HTTP for tools")
}

fn toolbox(config: &Config, env: &EnvSource, mcp: &[Arc<McpServer>]) -> anyhow::Result<Toolbox> {
    let endpoint = Url::parse(DuckDuckGo::ENDPOINT).context("search endpoint")?;
    let search: Arc<dyn SearchEngine> = Arc::new(DuckDuckGo::new(tool_http()?, endpoint));
    // Embedded, the operator's own machine; on a cluster a pool has to be set aside for commands.
    let embedded = config.store_backend() == StoreBackend::Sqlite;
    let exec = match config.runner.allow_exec.unwrap_or(embedded) {
        true => ExecPolicy::allowed(
            env.iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ),
        false => ExecPolicy::forbidden(),
    };
    let sources = mcp.iter().map(|server| Arc::clone(server) as Arc<dyn ToolSource>);
    Ok(Toolbox::new(exec, Some(search)).with_sources(sources))
}

fn tools(config: &Config, toolbox: Toolbox, workspaces: Workspaces) -> anyhow::Result<Arc<ToolCallsEffect>> {
    let mode = ToolMode::parse(&config.execution.tool_mode);
    let mut settings = ToolSettings::new(mode, tool_http()?, workspaces);
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
