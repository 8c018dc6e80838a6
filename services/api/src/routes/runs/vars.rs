//! Parts of run variables, read without parsing the rest.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, value::RawValue};

/// The reserved namespaces that summaries show. Clients can put anything there, so each part is read leniently.
#[derive(Default, Deserialize)]
pub(super) struct Reserved<'a> {
    #[serde(rename = "_runtime", borrow, default)]
    runtime: Option<&'a RawValue>,
    #[serde(rename = "_meta", borrow, default)]
    meta: Option<&'a RawValue>,
    #[serde(rename = "_limits", borrow, default)]
    limits: Option<&'a RawValue>,
    #[serde(rename = "_run_lifecycle", borrow, default)]
    lifecycle: Option<&'a RawValue>,
    #[serde(rename = "_flow_warnings", borrow, default)]
    warnings: Option<&'a RawValue>,
    #[serde(borrow, default)]
    vars: Option<&'a RawValue>,
    #[serde(borrow, default)]
    workspace_root: Option<&'a RawValue>,
}

fn parse<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

impl<'a> Reserved<'a> {
    /// Reads the variables of a run; what is unreadable is absent.
    pub(super) fn read(vars: &'a str) -> Self {
        serde_json::from_str(vars).unwrap_or_default()
    }

    /// `_runtime.control`.
    pub(super) fn control(&self) -> Option<Value> {
        #[derive(Deserialize)]
        struct Runtime {
            #[serde(default)]
            control: Option<Value>,
        }
        parse::<Runtime>(self.runtime)?.control
    }

    /// `_runtime.workflow_snapshot`.
    pub(super) fn workflow_snapshot(&self) -> Option<Value> {
        #[derive(Deserialize)]
        struct Runtime {
            #[serde(default)]
            workflow_snapshot: Option<Value>,
        }
        parse::<Runtime>(self.runtime)?
            .workflow_snapshot
            .filter(Value::is_object)
    }

    /// `_meta.schedule` of a schedule's parent.
    pub(super) fn schedule(&self) -> Option<Value> {
        #[derive(Deserialize)]
        struct Meta {
            #[serde(default)]
            schedule: Option<Value>,
        }
        let schedule = parse::<Meta>(self.meta)?.schedule?;
        (schedule.get("kind").and_then(Value::as_str) == Some("scheduled_run")).then_some(schedule)
    }

    /// `_limits`.
    pub(super) fn limits(&self) -> Option<Value> {
        parse::<Value>(self.limits).filter(Value::is_object)
    }

    /// `_run_lifecycle`, sanitised.
    pub(super) fn lifecycle(&self) -> Option<ag_types::Object> {
        ag_engine::lifecycle::sanitise(&parse::<Value>(self.lifecycle)?)
    }

    /// `_flow_warnings` that say something.
    pub(super) fn warnings(&self) -> Option<Vec<String>> {
        let given: Vec<Value> = parse(self.warnings)?;
        let texts = given
            .iter()
            .filter_map(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty());
        let texts: Vec<String> = texts.map(str::to_owned).collect();
        (!texts.is_empty()).then_some(texts)
    }

    /// `vars`, the payload of a schedule's target.
    pub(super) fn payload(&self) -> Option<TopLevel<'a>> {
        parse(self.vars)
    }

    /// `workspace_root`.
    pub(super) fn workspace_root(&self) -> Option<String> {
        let text: String = parse(self.workspace_root)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// Members of an object in order, their values as text.
#[derive(Default)]
pub(super) struct TopLevel<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'a> TopLevel<'a> {
    /// Reads an object; anything else has no members.
    pub(super) fn read(text: &'a str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Keeps some members.
    pub(super) fn keep(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|(name, _)| wanted(name));
        self
    }

    /// One member, parsed.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let (_, raw) = self.0.iter().find(|(key, _)| key == name)?;
        serde_json::from_str(raw.get()).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for TopLevel<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> de::Visitor<'de> for Members {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(TopLevel)
    }
}

impl Serialize for TopLevel<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
