//! Requests for generated media: an `llm_call` whose `output` names modality, task and options.
//!
//! Options that are absent, blank or of the wrong kind are left out, so that the model's defaults apply.

use super::item;
use crate::prelude::*;

/// A request under construction.
pub(super) struct MediaRequest<'a> {
    inputs: &'a Inputs<'a>,
    spec: Object,
    media: Vec<Value>,
}

impl<'a> MediaRequest<'a> {
    /// A request for a modality; `format` is the default of the format option, `None` for tasks without one.
    pub(super) fn new(inputs: &'a Inputs<'a>, modality: &str, task: &str, format: Option<&str>) -> Self {
        let mut spec = Object::new();
        spec.insert("modality".to_owned(), modality.into());
        spec.insert("task".to_owned(), task.into());
        if let Some(default) = format {
            let format = first(inputs, &["format"]).and_then(opt_str);
            spec.insert(
                "format".to_owned(),
                format.unwrap_or_else(|| default.to_owned()).into(),
            );
        }
        Self {
            inputs,
            spec,
            media: Vec::new(),
        }
    }

    fn put(mut self, key: &str, value: Option<impl Into<Value>>) -> Self {
        self.spec
            .extend(value.map(|value| (key.to_owned(), value.into())));
        self
    }

    /// Text options.
    pub(super) fn texts(self, keys: &[&str]) -> Self {
        keys.iter().fold(self, |request, key| {
            let text = first(request.inputs, &[key]).and_then(opt_str);
            request.put(key, text)
        })
    }

    /// Whole-number options.
    pub(super) fn integers(self, keys: &[&str]) -> Self {
        keys.iter().fold(self, |request, key| {
            let number = first(request.inputs, &[key]).and_then(opt_int);
            request.put(key, number)
        })
    }

    /// A whole number of at least one.
    fn positive(self, key: &str, names: &[&str]) -> Self {
        let number = first(self.inputs, names)
            .and_then(opt_int)
            .filter(|number| *number >= 1);
        self.put(key, number)
    }

    /// A number option under several names.
    pub(super) fn float(self, key: &str, names: &[&str]) -> Self {
        let number = first(self.inputs, names)
            .and_then(opt_float)
            .filter(|number| number.is_finite());
        self.put(key, number)
    }

    /// Truth-value options.
    pub(super) fn flags(self, keys: &[&str]) -> Self {
        keys.iter().fold(self, |request, key| {
            let value = first(request.inputs, &[key]).map(|value| coerce_bool(value).unwrap_or(false));
            request.put(key, value)
        })
    }

    /// Objects and lists that are not empty.
    pub(super) fn filled(self, keys: &[&str]) -> Self {
        keys.iter().fold(self, |request, key| {
            let structured = |value: &&Value| (value.is_object() || value.is_array()) && truthy(value);
            let value = first(request.inputs, &[key]).filter(structured).cloned();
            request.put(key, value)
        })
    }

    /// Provider-specific options.
    pub(super) fn extra(self) -> Self {
        let extra = first(self.inputs, &["extra"])
            .filter(|extra| extra.is_object() && truthy(extra))
            .cloned();
        self.put("extra", extra)
    }

    /// Provider and model from the pins of a kind (`image_provider`, `imageProvider`, `provider_image`).
    pub(super) fn provider(self, kind: &str) -> Self {
        ["provider", "model"].iter().fold(self, |request, what| {
            let upper = format!("{}{}", what[..1].to_uppercase(), &what[1..]);
            let names = [
                format!("{kind}_{what}"),
                format!("{kind}{upper}"),
                format!("{what}_{kind}"),
            ];
            let value = first(request.inputs, &names.each_ref().map(String::as_str)).and_then(opt_str);
            request.put(what, value)
        })
    }

    /// The options that image and video tasks share.
    fn sampling(self) -> Self {
        let seeds = first(self.inputs, &["seeds"]).and_then(seeds);
        let adapters = first(self.inputs, &["lora_adapters", "loraAdapters"]).and_then(adapters);
        self.integers(&["width", "height", "seed", "steps"])
            .float("guidance_scale", &["guidance_scale", "guidanceScale"])
            .float("guidance_2", &["guidance_2", "guidance2", "guidanceTwo"])
            .positive("count", &["count", "n"])
            .put("seeds", seeds)
            .put("lora_adapters", adapters)
            .extra()
    }

    /// All options of image tasks.
    pub(super) fn image_options(self) -> Self {
        self.texts(&["size", "negative_prompt", "quality", "style"])
            .sampling()
            .provider("image")
    }

    /// All options of video tasks.
    pub(super) fn video_options(self) -> Self {
        let frames = first(self.inputs, &["num_frames", "numFrames", "frames"]).and_then(opt_int);
        self.texts(&["size", "negative_prompt"])
            .sampling()
            .integers(&["fps"])
            .put("num_frames", frames)
            .float("flow_shift", &["flow_shift"])
            .provider("video")
    }

    /// Target of an enlargement: a factor (`2x`) or a length in pixels.
    pub(super) fn resolution(self) -> Self {
        let value = first(self.inputs, &["resolution"]).and_then(|value| {
            let factor = value
                .as_str()
                .and_then(|text| text.trim().strip_suffix(['x', 'X'])?.parse::<f64>().ok());
            match factor {
                Some(factor) => (factor > 0.0).then(|| Value::from(strip_py(&pystr(value)))),
                None => opt_int(value).filter(|pixels| *pixels > 0).map(Value::from),
            }
        });
        self.put("resolution", value)
    }

    /// The image to work on.
    pub(super) fn source_image(mut self) -> Self {
        self.media
            .extend(first(self.inputs, &item::SOURCE_IMAGE).and_then(|value| item::image(value, "source")));
        self
    }

    /// The part of the image to change.
    pub(super) fn mask(mut self) -> Self {
        self.media
            .extend(first(self.inputs, &item::MASK).and_then(|value| item::image(value, "mask")));
        self
    }

    /// The recording to work on.
    pub(super) fn source_audio(mut self) -> Self {
        self.media
            .extend(first(self.inputs, &item::SOURCE_AUDIO).and_then(item::audio));
        self
    }

    /// The effect, with the text of the first of these pins as prompt.
    pub(super) fn planned(self, prompt: &[&str], default: &str) -> Planned {
        let prompt = first(self.inputs, prompt).map_or(default.into(), pystr);
        let mut payload = payload(EffectKind::LlmCall);
        payload.insert("prompt".to_owned(), prompt.into());
        payload.insert("system_prompt".to_owned(), "".into());
        payload.insert("tools".to_owned(), json!([]));
        payload.insert("params".to_owned(), json!({}));
        if !self.media.is_empty() {
            payload.insert("media".to_owned(), self.media.into());
        }
        payload.insert("output".to_owned(), Value::Object(self.spec));
        effect(EffectKind::LlmCall, payload)
    }
}

/// Seeds from a list, JSON text or text with commas; one that is no number drops all.
fn seeds(value: &Value) -> Option<Vec<i64>> {
    let parsed: Vec<Value> = match value {
        Value::Array(items) => items.clone(),
        Value::String(text) => match ag_pyvalue::json_loads_lenient(text) {
            Ok(Value::Array(items)) => items,
            _ => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(Value::from)
                .collect(),
        },
        number => vec![number.clone()],
    };
    let seeds = parsed.iter().map(opt_int).collect::<Option<Vec<_>>>()?;
    (!seeds.is_empty()).then_some(seeds)
}

/// Adapters from a list of objects or its JSON text.
fn adapters(value: &Value) -> Option<Vec<Value>> {
    let parsed = match value {
        Value::String(text) => ag_pyvalue::json_loads_lenient(text).ok()?,
        other => other.clone(),
    };
    let items = match parsed {
        Value::Array(items) => items,
        single @ Value::Object(_) => vec![single],
        _ => return None,
    };
    let objects: Vec<_> = items.into_iter().filter(Value::is_object).collect();
    (!objects.is_empty()).then_some(objects)
}

#[cfg(test)]
mod tests {
    use crate::{
        media::{
            edit_image, generate_image, generate_music, generate_video, generate_voice, transcribe_audio,
            upscale_image,
        },
        testing::planned_payload,
    };
    use serde_json::json;

    #[test]
    fn options_land_in_the_output_spec() {
        for (node, values, output) in [
            (
                &generate_image::NODE,
                json!({"prompt": "p", "size": "64x64", "seeds": "1, 2", "n": "2", "guidanceScale": "1.5", "width": true}),
                json!({"modality": "image", "task": "image_generation", "format": "png", "size": "64x64",
                       "guidance_scale": 1.5, "count": 2, "seeds": [1, 2]}),
            ),
            (
                &generate_image::NODE,
                json!({"seeds": [1, "x"], "count": 0, "extra": {}, "imageProvider": "p", "model_image": "m"}),
                json!({"modality": "image", "task": "image_generation", "format": "png", "provider": "p", "model": "m"}),
            ),
            (
                &upscale_image::NODE,
                json!({"resolution": "2x", "softness": 0.25, "vae_tiling": "yes"}),
                json!({"modality": "image", "task": "image_upscale", "format": "png", "resolution": "2x",
                       "softness": 0.25, "vae_tiling": true}),
            ),
            (
                &generate_video::NODE,
                json!({"frames": 41, "fps": 24, "quality": "high"}),
                json!({"modality": "video", "task": "text_to_video", "format": "mp4", "fps": 24, "num_frames": 41}),
            ),
            (
                &generate_voice::NODE,
                json!({"text": "hello", "voice": "alloy", "speed": 1}),
                json!({"modality": "voice", "task": "tts", "format": "wav", "voice": "alloy", "speed": 1.0}),
            ),
            (
                &generate_music::NODE,
                json!({"instrumental": "no", "composition_plan": {}, "positive_styles": ["a"]}),
                json!({"modality": "music", "task": "music_generation", "format": "wav", "instrumental": false,
                       "positive_styles": ["a"]}),
            ),
        ] {
            let payload = planned_payload(node, json!({}), values);
            assert_eq!(payload["output"], output);
            assert_eq!(payload["type"], "llm_call");
            assert_eq!(payload["tools"], json!([]));
        }
    }

    #[test]
    fn sources_become_media_items() {
        let payload = planned_payload(
            &edit_image::NODE,
            json!({}),
            json!({"text": "x", "image_artifact": "missing01", "mask": {"$artifact": "m", "kind": "inpaint"}}),
        );
        assert_eq!(payload["prompt"], "x");
        let expected = json!([
            {"type": "image", "role": "source", "$artifact": "missing01"},
            {"$artifact": "m", "kind": "inpaint", "type": "image"},
        ]);
        assert_eq!(payload["media"], expected);
        let payload = planned_payload(
            &transcribe_audio::NODE,
            json!({}),
            json!({"audio_artifact": "a1", "language": "en"}),
        );
        assert_eq!(payload["media"], json!([{"$artifact": "a1", "type": "audio"}]));
        assert_eq!(payload["prompt"], "Transcribe this audio.");
        assert_eq!(
            payload["output"],
            json!({"modality": "text", "task": "transcription", "language": "en"})
        );
    }
}
