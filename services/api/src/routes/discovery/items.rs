//! Items out of the catalogues of another service, which come in several shapes: lists of names, lists of objects, and
//! lists by provider.

use ag_types::Object;
use serde_json::{Value, json};

use super::{
    catalog::{model_item, object, provider_item},
    providers::label,
};

/// Items of a kind; `wanted` keeps those of one provider.
pub(super) fn items_of(kind: &str, raw: &Object, tasks: &[&str], wanted: Option<&str>) -> Vec<Value> {
    let own = raw.get("items").and_then(Value::as_array);
    let mut items = match (own, kind) {
        (Some(items), _) => items.clone(),
        (None, "providers") => providers(raw, tasks),
        (None, "models") => models(raw, tasks, wanted),
        (None, "voices") => voices(raw),
        (None, _) => objects(raw, "adapters").map(adapter).collect(),
    };
    if let Some(wanted) = wanted {
        items.retain(|item| {
            let provider = item["provider"].as_str().unwrap_or_default();
            provider.is_empty() || provider.eq_ignore_ascii_case(wanted)
        });
    }
    items
}

fn list<'v>(raw: &'v Object, key: &str) -> &'v [Value] {
    raw.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn objects<'v>(raw: &'v Object, key: &str) -> impl Iterator<Item = &'v Object> {
    list(raw, key).iter().filter_map(Value::as_object)
}

/// The first of several members that is a text.
fn text<'v>(entry: &'v Object, keys: &[&str]) -> Option<&'v str> {
    keys.iter()
        .find_map(|key| entry.get(*key)?.as_str())
        .filter(|text| !text.trim().is_empty())
}

/// The item's own fields over the entry's.
fn over(entry: &Object, item: Value) -> Value {
    let mut all = entry.clone();
    all.extend(object(item));
    Value::Object(all)
}

fn providers(raw: &Object, tasks: &[&str]) -> Vec<Value> {
    let known = ["provider_details", "providers", "available_providers"];
    let Some(entries) = known
        .iter()
        .map(|key| list(raw, key))
        .find(|list| !list.is_empty())
    else {
        return Vec::new();
    };
    let item = |entry: &Value| match entry {
        Value::String(name) => Some(provider_item(name, &label(name), tasks)),
        Value::Object(entry) => {
            let name = text(entry, &["provider", "id", "name"])?;
            let shown = text(entry, &["label", "display_name"]).map_or_else(|| label(name), str::to_owned);
            Some(over(entry, provider_item(name, &shown, tasks)))
        }
        _ => None,
    };
    entries.iter().filter_map(item).collect()
}

fn models(raw: &Object, tasks: &[&str], wanted: Option<&str>) -> Vec<Value> {
    let pairs: Vec<Value> = objects(raw, "provider_models")
        .filter_map(|entry| {
            let (provider, model) = (text(entry, &["provider"])?, text(entry, &["model", "id"])?);
            Some(model_item(provider, model, tasks))
        })
        .collect();
    if !pairs.is_empty() {
        return pairs;
    }
    let by_provider = raw
        .iter()
        .filter(|(key, _)| key.ends_with("models_by_provider"))
        .find_map(|(_, value)| value.as_object().filter(|map| !map.is_empty()));
    if let Some(by_provider) = by_provider {
        let all = by_provider.iter();
        return all
            .flat_map(|(provider, models)| {
                let models = models.as_array().into_iter().flatten();
                models.filter_map(move |model| Some(model_item(provider, model_name(model)?, tasks)))
            })
            .collect();
    }
    let entries = ["models", "data"].iter().map(|key| list(raw, key));
    let entries = entries.into_iter().find(|list| !list.is_empty());
    let item = |entry: &Value| {
        let name = model_name(entry)?;
        let own = entry.get("provider").and_then(Value::as_str);
        let (provider, model) = match (own.or(wanted), name.split_once('/')) {
            (Some(provider), _) => (provider, name),
            (None, Some((provider, model))) => (provider, model),
            (None, None) => ("", name),
        };
        Some(model_item(provider, model, tasks))
    };
    entries.unwrap_or_default().iter().filter_map(item).collect()
}

fn model_name(entry: &Value) -> Option<&str> {
    match entry {
        Value::String(name) => Some(name),
        Value::Object(entry) => text(entry, &["model", "id", "name"]),
        _ => None,
    }
}

/// Profiles, voices and clones; one that is several of these is one item, and counts as the first of them.
fn voices(raw: &Object) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    let mut add = |kind: &str, provider: Option<&str>, entry: &Value| {
        let empty = Object::new();
        let (entry, name) = match entry {
            Value::String(name) => (&empty, Some(name.as_str())),
            Value::Object(entry) => {
                let own = if kind == "profile" {
                    "profile_id"
                } else {
                    "voice_id"
                };
                (entry, text(entry, &[own, "id", "voice_id", "profile_id", "name"]))
            }
            _ => return,
        };
        let Some(id) = name else { return };
        let provider = text(entry, &["provider", "provider_id", "engine_id"]).or(provider);
        let same = |item: &&mut Value| item["id"] == id && item["provider"] == json!(provider);
        if let Some(known) = items.iter_mut().find(same) {
            if let Some(kinds) = known["voice_kinds"].as_array_mut()
                && !kinds.iter().any(|known| known == kind)
            {
                kinds.push(kind.into());
            }
            return;
        }
        let member = |key: &str| entry.get(key).cloned().unwrap_or_default();
        let or = |key: &str, default: Value| {
            entry
                .get(key)
                .filter(|v| !v.is_null())
                .cloned()
                .unwrap_or(default)
        };
        let shown = text(entry, &["label", "name"]).unwrap_or(id);
        items.push(json!({
            "id": id, "label": shown, "name": text(entry, &["name"]).unwrap_or(id), "provider": provider,
            "model": member("model"), "voice_kind": kind, "voice_kinds": [kind],
            "engine_id": or("engine_id", json!(provider)), "profile_id": member("profile_id"),
            "voice_id": or("voice_id", if kind == "profile" { Value::Null } else { id.into() }),
            "params": or("params", json!({})), "tags": or("tags", json!([])), "language": member("language"),
            "languages": or("languages", json!([])), "description": member("description"),
        }));
    };
    for (key, kind) in [
        ("profiles", "profile"),
        ("voices", "voice"),
        ("cloned_voices", "clone"),
    ] {
        for entry in list(raw, key) {
            add(kind, None, entry);
        }
    }
    for (key, kind) in [
        ("tts_profiles_by_provider", "profile"),
        ("tts_voices_by_provider", "voice"),
    ] {
        for (provider, entries) in raw.get(key).and_then(Value::as_object).into_iter().flatten() {
            for entry in entries.as_array().into_iter().flatten() {
                add(kind, Some(provider), entry);
            }
        }
    }
    items
}

fn adapter(entry: &Object) -> Value {
    let id = text(entry, &["id", "adapter_id", "name", "path"]).unwrap_or_default();
    let member = |key: &str, default: Value| entry.get(key).cloned().unwrap_or(default);
    over(
        entry,
        json!({
            "id": id, "label": text(entry, &["label", "name"]).unwrap_or(id), "provider": member("provider", Value::Null),
            "model": member("model", Value::Null), "tasks": member("tasks", json!([])),
            "compatible_models": member("compatible_models", json!([])),
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(kind: &str, raw: Value, wanted: Option<&str>) -> Vec<String> {
        let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
        items_of(kind, &object(raw), &["t"], wanted)
            .iter()
            .map(|item| {
                format!(
                    "{}|{}|{}",
                    text(item, "provider"),
                    text(item, "id"),
                    text(item, "model")
                )
            })
            .collect()
    }

    #[test]
    fn every_shape_of_a_list() {
        let cases: [(&str, Value, Option<&str>, &[&str]); 11] = [
            (
                "models",
                json!({"items": [{"provider": "p", "id": "x", "model": "m"}]}),
                None,
                &["p|x|m"],
            ),
            (
                "models",
                json!({"provider_models": [{"provider": "p", "model": "m", "id": "p/m"}]}),
                None,
                &["p|m|m"],
            ),
            (
                "models",
                json!({"tts_models_by_provider": {"p": ["a", {"id": "b"}], "q": ["c"]}}),
                None,
                &["p|a|a", "p|b|b", "q|c|c"],
            ),
            (
                "models",
                json!({"tts_models_by_provider": {"p": ["a"], "Q": ["c"]}}),
                Some("q"),
                &["Q|c|c"],
            ),
            ("models", json!({"models": ["a", 3]}), Some("p"), &["p|a|a"]),
            (
                "models",
                json!({"data": [{"id": "p/a/b"}, {"id": "c"}]}),
                None,
                &["p|a/b|a/b", "|c|c"],
            ),
            (
                "providers",
                json!({"providers": ["p"], "provider_details": [{"id": "q", "transport": "http"}]}),
                None,
                &["q|q|"],
            ),
            (
                "providers",
                json!({"providers": ["p", {"name": "r"}]}),
                None,
                &["p|p|", "r|r|"],
            ),
            (
                "voices",
                json!({"tts_voices_by_provider": {"p": ["alloy"]}}),
                None,
                &["p|alloy|"],
            ),
            (
                "adapters",
                json!({"adapters": [{"name": "lora", "provider": "p", "model": "m"}]}),
                None,
                &["p|lora|m"],
            ),
            ("models", json!({}), None, &[]),
        ];
        for (kind, raw, wanted, expected) in cases {
            assert_eq!(ids(kind, raw.clone(), wanted), expected, "{kind} {raw}");
        }
    }

    #[test]
    fn a_voice_is_one_item() {
        let raw = json!({"voices": [{"voice_id": "v", "provider": "p", "language": "fr"}, "w"],
            "profiles": [{"profile_id": "v", "provider": "p", "label": "V"}], "cloned_voices": [{"id": "c"}]});
        let items = items_of("voices", &object(raw), &[], None);
        assert_eq!(items.len(), 3);
        assert_eq!(
            (
                &items[0]["voice_kind"],
                &items[0]["voice_kinds"],
                &items[0]["label"]
            ),
            (&json!("profile"), &json!(["profile", "voice"]), &json!("V"))
        );
        assert_eq!(
            (&items[1]["id"], &items[1]["voice_id"], &items[2]["voice_kind"]),
            (&json!("w"), &json!("w"), &json!("clone"))
        );
    }
}
