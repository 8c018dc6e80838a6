//! The rows.

use super::{
    Kind::{self, Bool, Choice, Int, List, Seconds, Secret, SecretOnly, Text, Truthy},
    Variable,
};

/// A name of this gateway.
macro_rules! gw {
    ($name:literal) => {
        concat!("ABSTRACTGATEWAY_", $name)
    };
}

/// The older prefix of the reference.
macro_rules! legacy {
    ($name:literal) => {
        concat!("ABSTRACTFLOW_GATEWAY_", $name)
    };
}

const COUNT: Kind = Int { min: 0 };
const AT_LEAST_ONE: Kind = Int { min: 1 };

const fn var(key: &'static str, kind: Kind, names: &'static [&'static str]) -> Variable {
    Variable { key, kind, names }
}

/// Every variable that sets a key, by section. Provider variables are a family of their own
/// ([`crate::ProvidersConfig`]).
pub const VARIABLES: &[Variable] = &[
    // where data lives
    var(
        "data.dir",
        Text,
        &[gw!("DATA_DIR"), "ABSTRACTFLOW_RUNTIME_DIR", legacy!("DATA_DIR")],
    ),
    // server and limits
    var(
        "server.trust_proxy",
        Bool,
        &[gw!("TRUST_PROXY"), legacy!("TRUST_PROXY")],
    ),
    var("server.stall_s", Seconds, &[gw!("STALL_S")]),
    var(
        "limits.max_body_bytes",
        COUNT,
        &[gw!("MAX_BODY_BYTES"), legacy!("MAX_BODY_BYTES")],
    ),
    var(
        "limits.max_upload_body_bytes",
        COUNT,
        &[gw!("MAX_UPLOAD_BODY_BYTES"), legacy!("MAX_UPLOAD_BODY_BYTES")],
    ),
    var(
        "limits.max_attachment_bytes",
        COUNT,
        &[gw!("MAX_ATTACHMENT_BYTES"), legacy!("MAX_ATTACHMENT_BYTES")],
    ),
    var(
        "limits.max_bundle_bytes",
        COUNT,
        &[gw!("MAX_BUNDLE_BYTES"), legacy!("MAX_BUNDLE_BYTES")],
    ),
    var(
        "limits.max_concurrency",
        AT_LEAST_ONE,
        &[gw!("MAX_CONCURRENCY"), legacy!("MAX_CONCURRENCY")],
    ),
    var(
        "limits.max_sse",
        AT_LEAST_ONE,
        &[gw!("MAX_SSE"), legacy!("MAX_SSE")],
    ),
    var(
        "limits.max_plane_concurrency",
        COUNT,
        &[gw!("MAX_PLANE_CONCURRENCY")],
    ),
    var("limits.max_plane_sse", COUNT, &[gw!("MAX_PLANE_SSE")]),
    var(
        "limits.max_plane_requests_per_minute",
        COUNT,
        &[gw!("MAX_PLANE_REQUESTS_PER_MINUTE")],
    ),
    // store and messaging
    var("store.backend", Choice, &[gw!("STORE_BACKEND")]),
    var("store.db_path", Text, &[gw!("DB_PATH")]),
    var("store.db_sync", Choice, &[gw!("DB_SYNC")]),
    var("store.database_url", Secret, &[gw!("DATABASE_URL")]),
    var("s3.bucket", Text, &[gw!("S3_BUCKET")]),
    var("s3.endpoint", Text, &[gw!("S3_ENDPOINT")]),
    var("s3.region", Text, &[gw!("S3_REGION")]),
    var("s3.prefix", Text, &[gw!("S3_PREFIX")]),
    var("s3.virtual_hosted", Bool, &[gw!("S3_VIRTUAL_HOSTED")]),
    var("s3.access_key_id", Secret, &[gw!("S3_ACCESS_KEY_ID")]),
    var("s3.secret_access_key", Secret, &[gw!("S3_SECRET_ACCESS_KEY")]),
    var("blobs.gc_interval_s", COUNT, &[gw!("BLOB_GC_INTERVAL_S")]),
    var("blobs.gc_grace_s", COUNT, &[gw!("BLOB_GC_GRACE_S")]),
    var("encryption.keys", SecretOnly, &[gw!("ENCRYPTION_KEYS")]),
    var("encryption.keys_file", Text, &[gw!("ENCRYPTION_KEYS_FILE")]),
    var("messaging.nats_url", Secret, &[gw!("NATS_URL")]),
    var("messaging.redis_url", Secret, &[gw!("REDIS_URL")]),
    // runner
    var("runner.enabled", Bool, &[gw!("RUNNER"), legacy!("RUNNER")]),
    var("runner.pool", Text, &[gw!("RUNNER_POOL")]),
    var("runner.slots", AT_LEAST_ONE, &[gw!("RUNNER_SLOTS")]),
    var("runner.poll_s", Seconds, &[gw!("POLL_S"), legacy!("POLL_S")]),
    var("runner.workspace", Bool, &[gw!("RUNNER_WORKSPACE")]),
    var("runner.allow_exec", Bool, &[gw!("RUNNER_ALLOW_EXEC")]),
    var("runner.drain_s", Seconds, &[gw!("RUNNER_DRAIN_S")]),
    // authentication
    var("auth.security", Bool, &[gw!("SECURITY"), legacy!("SECURITY")]),
    var("auth.token", Secret, &[gw!("AUTH_TOKEN"), legacy!("AUTH_TOKEN")]),
    var(
        "auth.tokens",
        Secret,
        &[gw!("AUTH_TOKENS"), legacy!("AUTH_TOKENS")],
    ),
    var(
        "auth.protect_read",
        Bool,
        &[gw!("PROTECT_READ"), legacy!("PROTECT_READ")],
    ),
    var(
        "auth.protect_write",
        Bool,
        &[gw!("PROTECT_WRITE"), legacy!("PROTECT_WRITE")],
    ),
    var(
        "auth.dev_read_no_auth",
        Bool,
        &[gw!("DEV_READ_NO_AUTH"), legacy!("DEV_READ_NO_AUTH")],
    ),
    var(
        "auth.allowed_origins",
        List,
        &[gw!("ALLOWED_ORIGINS"), legacy!("ALLOWED_ORIGINS")],
    ),
    var(
        "auth.lockout_after",
        AT_LEAST_ONE,
        &[gw!("LOCKOUT_AFTER"), legacy!("LOCKOUT_AFTER")],
    ),
    var(
        "auth.lockout_base_s",
        Seconds,
        &[gw!("LOCKOUT_BASE_S"), legacy!("LOCKOUT_BASE_S")],
    ),
    var(
        "auth.lockout_max_s",
        Seconds,
        &[gw!("LOCKOUT_MAX_S"), legacy!("LOCKOUT_MAX_S")],
    ),
    // users
    var(
        "users.enabled",
        Truthy,
        &[gw!("USER_AUTH"), gw!("MULTI_USER"), legacy!("USER_AUTH")],
    ),
    var("users.mode", Choice, &[gw!("AUTH_MODE")]),
    var("users.auto", Truthy, &[gw!("USER_AUTH_AUTO")]),
    var("users.file", Text, &[gw!("USERS_FILE")]),
    var(
        "users.admin_uses_default_runtime",
        Bool,
        &[gw!("ADMIN_USES_DEFAULT_RUNTIME")],
    ),
    var(
        "users.bootstrap_admin",
        Bool,
        &[gw!("BOOTSTRAP_ADMIN"), gw!("AUTO_BOOTSTRAP_ADMIN")],
    ),
    var(
        "users.bootstrap_token",
        SecretOnly,
        &[gw!("BOOTSTRAP_ADMIN_TOKEN")],
    ),
    var(
        "users.bootstrap_token_file",
        Text,
        &[gw!("BOOTSTRAP_ADMIN_TOKEN_FILE")],
    ),
    var(
        "users.bootstrap_print_token",
        Bool,
        &[gw!("BOOTSTRAP_PRINT_TOKEN")],
    ),
    // browser sessions
    var("sessions.file", Text, &[gw!("SESSIONS_FILE")]),
    var("sessions.secret", SecretOnly, &[gw!("SESSION_SECRET")]),
    var("sessions.secret_file", Text, &[gw!("SESSION_SECRET_FILE")]),
    var("sessions.ttl_s", COUNT, &[gw!("SESSION_TTL_S")]),
    var("sessions.remember_ttl_s", COUNT, &[gw!("REMEMBER_SESSION_TTL_S")]),
    var("sessions.max", COUNT, &[gw!("MAX_SESSIONS")]),
    var("sessions.cookie", Text, &[gw!("SESSION_COOKIE")]),
    var("sessions.csrf_cookie", Text, &[gw!("CSRF_COOKIE")]),
    var("sessions.header", Text, &[gw!("SESSION_HEADER")]),
    var("sessions.csrf_header", Text, &[gw!("CSRF_HEADER")]),
    // audit
    var("audit.enabled", Bool, &[gw!("AUDIT_LOG")]),
    var("audit.max_bytes", COUNT, &[gw!("AUDIT_LOG_MAX_BYTES")]),
    var("audit.rotations", COUNT, &[gw!("AUDIT_LOG_ROTATIONS")]),
    var("audit.headers", List, &[gw!("AUDIT_LOG_HEADERS")]),
    // workflows
    var(
        "workflows.flows_dir",
        Text,
        &[
            gw!("FLOWS_DIR"),
            "ABSTRACTFRAMEWORK_WORKFLOWS_DIR",
            "ABSTRACTFLOW_FLOWS_DIR",
        ],
    ),
    var("workflows.source", Choice, &[gw!("WORKFLOW_SOURCE")]),
    var("workflows.catalog_file", Text, &[gw!("WORKFLOW_CATALOG_FILE")]),
    var(
        "workflows.catalog_bundles_dir",
        Text,
        &[gw!("WORKFLOW_CATALOG_BUNDLES_DIR")],
    ),
    var(
        "workflows.policy_secret",
        SecretOnly,
        &[gw!("WORKFLOW_POLICY_SECRET")],
    ),
    var(
        "workflows.policy_secret_file",
        Text,
        &[gw!("WORKFLOW_POLICY_SECRET_FILE")],
    ),
    var("workflows.visualflows_dir", Text, &[gw!("VISUALFLOWS_DIR")]),
    var(
        "workflows.draft_run_retention_s",
        COUNT,
        &[gw!("DRAFT_RUN_RETENTION_TTL_S"), gw!("DRAFT_RUN_TTL_S")],
    ),
    var(
        "workflows.max_chat_thread_bytes",
        COUNT,
        &[gw!("MAX_CHAT_THREAD_BYTES")],
    ),
    // workspaces and files
    var("workspace.root", Text, &[gw!("WORKSPACES_ROOT")]),
    var(
        "workspace.dir",
        Text,
        &[
            gw!("WORKSPACE_DIR"),
            "ABSTRACT_WORKSPACE_BASE_DIR",
            "ABSTRACTFLOW_WORKSPACE_BASE_DIR",
        ],
    ),
    var("workspace.mounts", Text, &[gw!("WORKSPACE_MOUNTS")]),
    var(
        "workspace.allow_client_scope",
        Bool,
        &[gw!("ALLOW_CLIENT_WORKSPACE_SCOPE")],
    ),
    var(
        "workspace.trust_client_scope",
        Bool,
        &[gw!("TRUST_CLIENT_WORKSPACE_SCOPE")],
    ),
    var("workspace.file_index_ttl_s", Seconds, &[gw!("FILE_INDEX_TTL_S")]),
    var(
        "workspace.file_index_max_files",
        COUNT,
        &[gw!("FILE_INDEX_MAX_FILES")],
    ),
    // execution
    var("execution.tool_mode", Choice, &[gw!("TOOL_MODE")]),
    var("execution.prompt_cache", Bool, &[gw!("PROMPT_CACHE")]),
    var(
        "execution.max_inline_bytes",
        COUNT,
        &["ABSTRACTRUNTIME_MAX_INLINE_BYTES"],
    ),
    var(
        "execution.max_tool_attachment_bytes",
        COUNT,
        &["ABSTRACTRUNTIME_MAX_ATTACHMENT_BYTES"],
    ),
    var(
        "execution.code_full_access",
        Bool,
        &["ABSTRACTRUNTIME_CODE_FULL_ACCESS"],
    ),
    var(
        "execution.global_memory_run_id",
        Text,
        &["ABSTRACTRUNTIME_GLOBAL_MEMORY_RUN_ID"],
    ),
    var(
        "execution.grounding_prompt_fields",
        List,
        &["ABSTRACTRUNTIME_GROUNDING_PROMPT_FIELDS"],
    ),
    var("execution.mcp_config", Text, &[gw!("MCP_CONFIG")]),
    // telemetry and host
    var(
        "telemetry.log_level",
        Text,
        &[gw!("CONSOLE_LOG_LEVEL"), gw!("LOG_LEVEL"), "LOG_LEVEL"],
    ),
    var("telemetry.log_filter", Text, &[gw!("LOG_FILTER"), "RUST_LOG"]),
    var("telemetry.log_format", Choice, &[gw!("LOG_FORMAT")]),
    var("telemetry.metrics_addr", Text, &[gw!("METRICS_ADDR")]),
    var("telemetry.metrics_port", COUNT, &[gw!("METRICS_PORT")]),
    var("telemetry.otlp_endpoint", Text, &["OTEL_EXPORTER_OTLP_ENDPOINT"]),
    var("telemetry.otlp_headers", Secret, &["OTEL_EXPORTER_OTLP_HEADERS"]),
    var("telemetry.service_name", Text, &["OTEL_SERVICE_NAME"]),
    var("telemetry.trace_ratio", Seconds, &["OTEL_TRACES_SAMPLER_ARG"]),
    var(
        "host.gpu_metrics_provider",
        Choice,
        &[gw!("GPU_METRICS_PROVIDER")],
    ),
    var(
        "host.silence_gpu_access_log",
        Bool,
        &[gw!("SILENCE_GPU_METRICS_ACCESS_LOG")],
    ),
];

/// Variables of the reference that this gateway has no use for, with the reason an operator is told.
pub const IGNORED: &[(&str, &str)] = &[
    (
        gw!("TICK_WORKERS"),
        "runs share the processor's cores, see ABSTRACTGATEWAY_RUNNER_SLOTS",
    ),
    (
        legacy!("TICK_WORKERS"),
        "runs share the processor's cores, see ABSTRACTGATEWAY_RUNNER_SLOTS",
    ),
    (gw!("TICK_MAX_STEPS"), "the budget of a tick is fixed"),
    (legacy!("TICK_MAX_STEPS"), "the budget of a tick is fixed"),
    (
        gw!("COMMAND_BATCH_LIMIT"),
        "commands wake their run, they are not polled",
    ),
    (
        legacy!("COMMAND_BATCH_LIMIT"),
        "commands wake their run, they are not polled",
    ),
    (
        gw!("RUN_SCAN_LIMIT"),
        "every ready run is found, there is no scan",
    ),
    (
        legacy!("RUN_SCAN_LIMIT"),
        "every ready run is found, there is no scan",
    ),
];
