//! The tree, and what is filled into it.

use std::sync::LazyLock;

use serde_json::{Value, json};

static TEMPLATE: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../assets/capabilities.json"))
        .expect("the template is part of this crate and covered by its tests")
});

const PROVIDER_HINT: &str = "Configure a provider: set its address or key, or a capability default.";
const MUSIC_HINT: &str = "Configure a provider that makes music: a key for it, or a capability default.";
const VIDEO_HINT: &str = "This gateway has no provider for this kind of media.";
const NOT_SERVED: &str = "This gateway does not serve this surface yet.";
/// Stands where the reference tells a folder of its host.
const STORED_IN: &str = "database";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Admin,
    User,
}

/// One direction of voice.
pub(super) struct Voice {
    pub(super) configured: bool,
    pub(super) active_model: Option<String>,
}

/// What the tree depends on.
pub(super) struct Facts<'a> {
    pub(super) caller: Caller,
    /// Whether this build serves a path template.
    pub(super) served: &'a dyn Fn(&str) -> bool,
    /// Number of tools.
    pub(super) tools: usize,
    pub(super) attachment_bytes: u64,
    pub(super) image_bytes: u64,
    pub(super) tts: Voice,
    pub(super) stt: Voice,
    /// Whether pictures can be made.
    pub(super) images: bool,
    /// Whether videos can be made and pictures enlarged.
    pub(super) videos: bool,
    /// Whether music can be made.
    pub(super) music: bool,
    /// The configured embedding route.
    pub(super) embedding: Option<Value>,
}

/// The tree for a caller.
pub(super) fn fill(facts: &Facts<'_>) -> Value {
    let mut tree = TEMPLATE.clone();
    packages(&mut tree, facts);
    let contracts = &mut tree["contracts"];
    media(&mut contracts["flow_editor"], facts);
    voice(&mut contracts["flow_editor"]["voice"], facts);
    memory(&mut contracts["common"]["memory"], facts);
    contracts["common"]["attachments"]["max_upload_bytes"] = json!(facts.attachment_bytes);
    withhold(contracts, facts.served);
    prompt_cache(&mut contracts["common"]["prompt_cache"], facts);
    residency(&mut contracts["common"]["model_residency"], facts);
    admin_only(contracts, facts.caller);
    let surfaces = surfaces(contracts);
    contracts["common"]["readiness"]["surfaces"] = surfaces;
    let source = tree.clone();
    resolve_copies(&mut tree, &source);
    tree
}

fn packages(tree: &mut Value, facts: &Facts<'_>) {
    // One program answers for what the reference spread over packages.
    let names = ["gateway", "runtime", "core", "memory", "voice", "vision"];
    for name in names
        .map(|name| format!("abstract{name}"))
        .iter()
        .map(String::as_str)
        .chain(["voice"])
    {
        tree[name] = json!({"installed": true, "version": VERSION});
    }
    let kinds = [
        ("voice", facts.tts.configured),
        ("audio", facts.stt.configured),
        ("vision", facts.images),
        ("music", facts.music),
    ];
    for (kind, available) in kinds {
        tree["capability_plugins"]["capabilities"][kind]["available"] = json!(available);
        tree["multimodal"]["capabilities"][kind] = json!(available);
    }
    let music = &mut tree["capability_plugins"]["capabilities"]["music"];
    music["configured"] = json!(facts.music);
    if facts.music
        && let Some(music) = music.as_object_mut()
    {
        music.shift_remove("config_hint");
    }
    tree["tools"]["count"] = json!(facts.tools);
}

fn media(editor: &mut Value, facts: &Facts<'_>) {
    let kinds = [
        ("generated_image", facts.images, PROVIDER_HINT),
        ("edited_image", facts.images, PROVIDER_HINT),
        ("upscaled_image", facts.videos, VIDEO_HINT),
        ("generated_video", facts.videos, VIDEO_HINT),
        ("image_to_video", facts.videos, VIDEO_HINT),
        ("generated_music", facts.music, MUSIC_HINT),
    ];
    for (kind, available, hint) in kinds {
        for part in ["workflow", "direct_endpoint"] {
            let descriptor = &mut editor["media"][kind][part];
            descriptor["available"] = json!(available);
            if descriptor.get("configured").is_some() {
                descriptor["configured"] = json!(available);
            }
            if descriptor.get("max_image_bytes").is_some() {
                descriptor["max_image_bytes"] = json!(facts.image_bytes);
            }
            if !available {
                descriptor["config_hint"] = json!(hint);
            } else if let Some(descriptor) = descriptor.as_object_mut() {
                descriptor.shift_remove("config_hint");
            }
        }
    }
    for part in ["workflow", "direct_endpoint"] {
        editor["media"]["generated_voice"][part]["available"] = json!(facts.tts.configured);
    }
}

fn voice(voice: &mut Value, facts: &Facts<'_>) {
    for (name, fact) in [("tts", &facts.tts), ("stt", &facts.stt)] {
        let descriptor = &mut voice[name];
        descriptor["configured"] = json!(fact.configured);
        descriptor["available"] = json!(fact.configured);
        descriptor["active_model"] = json!(fact.active_model);
        if !fact.configured {
            descriptor["config_hint"] = json!(PROVIDER_HINT);
        }
    }
    for name in ["stt", "listen"] {
        voice[name]["max_upload_bytes"] = json!(facts.attachment_bytes);
    }
    for key in ["available", "transcription_available"] {
        voice["listen"][key] = json!(facts.stt.configured);
    }
}

fn memory(memory: &mut Value, facts: &Facts<'_>) {
    let endpoint = memory["endpoint"].as_str().unwrap_or_default().to_owned();
    let served = (facts.served)(&endpoint);
    let semantic = served && facts.embedding.is_some();
    let mut filled = json!({
        "installed": true,
        "route_available": served,
        "available": served,
        "endpoint": endpoint,
        "backend": "gateway_store",
        "path": STORED_IN,
        "persistent": true,
        "structured_query": served,
        "semantic_query": semantic,
        "vector_capable": semantic,
        "embedder_configured": facts.embedding.is_some(),
    });
    if let Some(route) = &facts.embedding {
        filled["embedding_route"] = route.clone();
    }
    if !served {
        filled["config_hint"] = json!(NOT_SERVED);
    }
    *memory = filled;
}

/// Marks every descriptor unavailable whose endpoint this build does not serve.
fn withhold(value: &mut Value, served: &dyn Fn(&str) -> bool) {
    match value {
        Value::Object(object) => {
            let missing = ["endpoint", "collection_endpoint", "item_endpoint"]
                .iter()
                .filter_map(|key| object.get(*key)?.as_str())
                .any(|endpoint| !served(endpoint));
            if missing {
                for key in ["available", "route_available"] {
                    if let Some(flag) = object.get_mut(key).filter(|flag| flag.is_boolean()) {
                        *flag = json!(false);
                    }
                }
            }
            object.values_mut().for_each(|value| withhold(value, served));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| withhold(value, served)),
        _ => {}
    }
}

fn all_served(endpoints: &Value, served: &dyn Fn(&str) -> bool) -> bool {
    endpoints
        .as_object()
        .is_some_and(|map| map.values().all(|path| path.as_str().is_some_and(served)))
}

fn prompt_cache(cache: &mut Value, facts: &Facts<'_>) {
    let session = all_served(&cache["session_endpoints"], facts.served);
    let blocs = all_served(&cache["durable_blocs"]["endpoints"], facts.served);
    let controls = all_served(&cache["endpoints"], facts.served);
    cache["session_lifecycle_available"] = json!(session);
    cache["durable_blocs"]["route_available"] = json!(blocs);
    cache["durable_blocs"]["available"] = json!(blocs);
    cache["durable_blocs"]["lifecycle_available"] = json!(blocs);
    cache["provider_controls_available"] = json!(controls && facts.caller == Caller::Admin);
    if facts.caller != Caller::Admin {
        cache["provider_controls_denied_reason"] = json!("admin_required");
        cache["provider_controls_required_role"] = json!("admin");
        cache["provider_controls_resource_class"] = json!("prompt_cache");
    }
    if !session || !blocs {
        cache["config_hint"] = json!(NOT_SERVED);
    }
}

/// Servers of language models can load and unload; the other tasks have no residency here.
fn residency(residency: &mut Value, facts: &Facts<'_>) {
    const TASK: &str = "text_generation";
    let served = all_served(&residency["endpoints"], facts.served);
    residency["route_available"] = json!(served);
    residency["available"] = json!(served);
    let tasks: Vec<String> = residency["tasks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|task| task.as_str().map(str::to_owned))
        .collect();
    let supported = |task: &str| served && task == TASK;
    for task in &tasks {
        residency["supports"][task] = json!(supported(task));
        if !supported(task) {
            residency["task_capabilities"][task] = json!({
                "task": task, "supported": false, "operations": [], "truth_source": "abstractcore.provider",
            });
        }
    }
    let (yes, no): (Vec<String>, Vec<String>) = tasks.into_iter().partition(|task| supported(task));
    residency["supported_tasks"] = json!(yes);
    residency["unsupported_tasks"] = json!(no);
    if !served && let Some(object) = residency.as_object_mut() {
        object.remove("task_capabilities");
        object.remove("mode");
        object.insert("config_hint".to_owned(), json!(NOT_SERVED));
    }
}

fn admin_only(contracts: &mut Value, caller: Caller) {
    if caller == Caller::Admin {
        return;
    }
    let common = &mut contracts["common"];
    for (family, name) in [
        ("artifacts", "import"),
        ("artifacts", "export"),
        ("workspace", "open_run_directory"),
    ] {
        let descriptor = &mut common[family][name];
        descriptor["available"] = json!(false);
        descriptor["denied_reason"] = json!("admin_required");
        descriptor["required_role"] = json!("admin");
        descriptor["resource_class"] = json!("workspace");
    }
    let admin = &mut contracts["flow_editor"]["workflow_catalog"]["admin"];
    admin["available"] = json!(false);
    for descriptor in admin
        .as_object_mut()
        .into_iter()
        .flat_map(|object| object.values_mut())
    {
        if descriptor.is_object() {
            descriptor["available"] = json!(false);
            descriptor["denied_reason"] = json!("admin_required");
        }
    }
}

/// `readiness.surfaces`, derived from the descriptors above.
fn surfaces(contracts: &Value) -> Value {
    let common = &contracts["common"];
    let editor = &contracts["flow_editor"];
    let flags = |family: &str, names: &[&str]| -> Value {
        let flag = |name: &str| (name.to_owned(), common[family][name]["available"].clone());
        Value::Object(names.iter().map(|name| flag(name)).collect())
    };
    let mut ledger = flags("ledger", &["replay", "batch", "stream"]);
    ledger["stream_transport"] = common["ledger"]["stream"]["transport"].clone();
    let names = [
        "providers",
        "provider_models",
        "voice_voices",
        "audio_speech_models",
        "audio_transcription_models",
        "audio_music_providers",
        "audio_music_models",
        "vision_provider_models",
        "vision_models",
        "vision_adapters",
        "tools",
        "semantics",
    ];
    let listed = names.map(|name| (name.to_owned(), json!(common["discovery"][name].is_string())));
    let pick = |from: &Value, names: &[&str]| -> Value {
        let present = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), from.get(*name)?.clone())));
        Value::Object(present.collect())
    };
    let mut media = serde_json::Map::new();
    for (kind, descriptor) in editor["media"].as_object().into_iter().flatten() {
        let mut surface = pick(
            &descriptor["direct_endpoint"],
            &["available", "route_available", "configured", "config_hint"],
        );
        surface["workflow_available"] = descriptor["workflow"]["available"].clone();
        media.insert(kind.clone(), surface);
    }
    let voice = &editor["voice"];
    media.insert(
        "stt".to_owned(),
        pick(
            &voice["stt"],
            &["available", "route_available", "configured", "config_hint"],
        ),
    );
    let listen = [
        "available",
        "host_capture_required",
        "transcription_available",
        "transcribe_route_available",
    ];
    media.insert("listen".to_owned(), pick(&voice["listen"], &listen));
    let cache = &common["prompt_cache"];
    json!({
        "runs": flags(
            "runs",
            &["start", "schedule", "summary", "list", "input_data", "history_bundle", "commands"],
        ),
        "ledger": ledger,
        "artifacts": flags(
            "artifacts",
            &["list", "search", "session_list", "metadata", "content", "import", "export"],
        ),
        "attachments": {
            "upload": common["attachments"]["upload"]["available"],
            "max_upload_bytes": common["attachments"]["max_upload_bytes"],
        },
        "workspace": {"policy": common["workspace"]["policy_endpoint"].is_string()},
        "discovery": Value::Object(listed.into_iter().collect()),
        "visualflows": {
            "crud_available": editor["visualflows"]["crud"]["available"],
            "publish_available": editor["visualflows"]["publish"]["available"],
        },
        "prompt_cache": {
            "provider_controls": cache["provider_controls"],
            "provider_controls_available": cache["provider_controls_available"],
            "session_lifecycle": cache["session_lifecycle"],
            "session_lifecycle_available": cache["session_lifecycle_available"],
            "durable_blocs_available": cache["durable_blocs"]["available"],
            "durable_blocs_lifecycle_available": cache["durable_blocs"]["lifecycle_available"],
        },
        "memory": pick(
            &common["memory"],
            &["available", "route_available", "backend", "structured_query", "semantic_query"],
        ),
        "model_residency": pick(
            &common["model_residency"],
            &["available", "route_available", "supported_tasks", "unsupported_tasks", "mode", "supports"],
        ),
        "media": media,
    })
}

/// Replaces every `{"$copy": pointer}` by what stands there; copies do not name copies.
fn resolve_copies(value: &mut Value, source: &Value) {
    let pointer = value.get("$copy").and_then(Value::as_str);
    if let Some(found) = pointer.and_then(|pointer| source.pointer(pointer)) {
        *value = found.clone();
        return;
    }
    match value {
        Value::Object(object) => object
            .values_mut()
            .for_each(|value| resolve_copies(value, source)),
        Value::Array(items) => items.iter_mut().for_each(|value| resolve_copies(value, source)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
