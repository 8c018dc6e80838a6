//! The answer of the configuration page: every route with its value, its source, and what it gets from another route.

use ag_providers::{CapabilityTable, ModelCapabilities};
use ag_types::Object;
use serde_json::{Value, json};

use super::keys::{KEYS, RouteKey, stored_key};
use super::{Route, RouteLevels, Routes};

/// Shown in place of the reference's file names: the values lie in the database.
const STORED_IN: &str = "database:capability_defaults";

/// Where values come from: gateway-wide ones, and a plane's own.
struct Levels<'a> {
    mode: RouteLevels,
    baseline: &'a Routes,
    overlay: Option<&'a Routes>,
}

impl<'a> Levels<'a> {
    fn find(&self, key: &str) -> Option<(&'a Route, &'static str)> {
        let key = stored_key(key);
        if let Some(route) = self.overlay.and_then(|overlay| overlay.get(key)) {
            return Some((route, "abstractcore.runtime"));
        }
        let source = match self.mode {
            RouteLevels::Single => "abstractcore.capability_defaults",
            RouteLevels::Users => "abstractcore.gateway_runtime",
        };
        self.baseline.get(key).map(|route| (route, source))
    }
}

/// The whole answer.
pub(super) fn answer(
    table: &CapabilityTable,
    mode: RouteLevels,
    baseline: &Routes,
    overlay: Option<&Routes>,
) -> Value {
    let levels = Levels {
        mode,
        baseline,
        overlay,
    };
    let text_model = levels
        .find("input.text")
        .and_then(|(route, _)| route.model.as_deref());
    let text_model = text_model.map(|model| table.lookup(model));
    let routes: Vec<Value> = KEYS
        .iter()
        .map(|key| row(key, &levels, text_model.as_deref()))
        .collect();
    let has_overlay = overlay.is_some_and(|overlay| !overlay.is_empty());
    let authority = match mode {
        RouteLevels::Single => "abstractcore.local",
        RouteLevels::Users if has_overlay => "abstractcore.runtime",
        RouteLevels::Users => "abstractcore.gateway_runtime",
    };
    let mut answer = json!({
        "ok": true,
        "version": 1,
        "authority": authority,
        "writable": true,
        "source": if mode == RouteLevels::Single { "abstractcore.capability_defaults" } else { authority },
        "config_file": STORED_IN,
        "routes": routes,
        "errors": [],
    });
    if mode == RouteLevels::Users
        && let Some(map) = answer.as_object_mut()
    {
        map.insert("gateway_config_file".into(), STORED_IN.into());
        map.insert("gateway_defaults".into(), (!baseline.is_empty()).into());
        map.insert("principal_config_file".into(), STORED_IN.into());
        map.insert("principal_defaults".into(), has_overlay.into());
    }
    answer
}

fn row(key: &RouteKey, levels: &Levels<'_>, text_model: Option<&ModelCapabilities>) -> Value {
    let mut parts = key.key.splitn(3, '.');
    let mut row = Object::new();
    row.insert("key".into(), key.key.into());
    row.insert("kind".into(), parts.next().into());
    row.insert("modality".into(), parts.next().into());
    row.insert("label".into(), key.label.into());
    row.insert("task".into(), key.task.into());
    let own = levels.find(key.key);
    let covered = covers(text_model, key.key, own.is_some());
    let shown = if covered { levels.find("input.text") } else { own };
    if let Some((route, _)) = shown {
        let mut set = |name: &str, value: &Option<String>| {
            if let Some(value) = value {
                row.insert(name.to_owned(), value.as_str().into());
            }
        };
        set("provider", &route.provider);
        set("model", &route.model);
        set("base_url", &route.base_url);
        // Options of the text route are not options of another modality.
        if !route.options.is_empty() && !covered {
            row.insert("options".into(), Value::Object(route.options.clone()));
        }
    }
    row.insert(
        "source".into(),
        shown.map_or("not_configured", |(_, source)| source).into(),
    );
    row.insert("configured".into(), shown.is_some().into());
    if key.key == "output.text" {
        row.insert("derived_from".into(), "input.text".into());
        row.insert("read_only".into(), true.into());
    }
    if covered {
        row.insert("covered_by".into(), "input.text".into());
        let fixed = key.key == "input.image";
        if key.key == "input.video" {
            row.insert("coverage_mode".into(), "video_frames".into());
        }
        if !fixed {
            row.insert("overrideable".into(), true.into());
        }
        row.insert("read_only".into(), fixed.into());
    }
    Value::Object(row)
}

/// Whether the text model takes this input. Pictures always go to the text model then; the others only as long as
/// nothing else is configured for them.
fn covers(text_model: Option<&ModelCapabilities>, key: &str, configured: bool) -> bool {
    let Some((inputs, _)) = text_model.and_then(ModelCapabilities::routes) else {
        return false;
    };
    match key {
        "input.image" => inputs.contains(&"image"),
        "input.video" | "input.sound" | "input.music" => {
            !configured
                && key
                    .strip_prefix("input.")
                    .is_some_and(|modality| inputs.contains(&modality))
        }
        _ => false,
    }
}
