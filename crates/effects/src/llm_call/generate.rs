//! Generated media: pictures, videos, speech, music, and transcripts of recordings.
//!
//! A payload's `output` names what is wanted ([`spec`]); a task finds its model by the names of the specification,
//! else by the plane's defaults, most special first ([`target`]), reads its sources from `media` ([`source`]), asks
//! ([`make`]) and stores what comes back as artifacts of the run ([`store`]).
//!
//! Nothing is asked twice: a try that may have cost money is over when it fails. So everything that has to be read is
//! read before the first request ([`Ready`]), when an outage of the store still costs nothing but time; and bytes that
//! cannot be stored are stored again for a while.

mod backends;
mod make;
mod result;
mod source;
mod spec;
mod store;
mod target;
#[cfg(test)]
mod tests;

use ag_kernel::EffectRequest;
use ag_store::ArtifactRow;
use ag_types::Object;
use serde_json::Value;

use super::input::Input;
use super::media::Limits;
use super::{LlmCall, text_of};
use crate::{Answer, EffectCtx, Failure};
pub use backends::MediaBackends;
use source::Sources;
use spec::{Spec, Task};
use target::Target;

/// What of a call's output is not ordinary text.
pub(super) struct Wanted {
    specs: Vec<Spec>,
    /// Text is wanted as well.
    text: bool,
}

impl Wanted {
    /// What a payload asks for. Modalities nobody knows are left out, as if they had not been named.
    pub(super) fn of(payload: &Object) -> Self {
        let (specs, text) = spec::all(payload);
        Self { specs, text }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// Whether the model has to answer, too.
    pub(super) fn wants_text(&self) -> bool {
        self.text || self.specs.is_empty()
    }
}

/// What was made.
#[derive(Default)]
pub(super) struct Made {
    /// By modality: items as the result shows them.
    outputs: Object,
    /// The words of a recording.
    transcript: Option<String>,
    rows: Vec<ArtifactRow>,
    /// Provider and model of the first output.
    source: Option<(Option<String>, Option<String>)>,
}

/// Everything that making needs, read.
pub(super) struct Ready {
    sources: Sources,
    /// Of each specification, in order.
    targets: Vec<Target>,
}

impl LlmCall {
    /// Reads what making needs.
    ///
    /// # Errors
    /// [`Failure`]; nothing has been asked then.
    pub(super) async fn ready(
        &self,
        ctx: &EffectCtx<'_>,
        input: &Input<'_>,
        wanted: &Wanted,
    ) -> Result<Ready, Failure> {
        let limits = Limits::new(input, &self.settings);
        let sources = match wanted.is_empty() {
            true => Sources::default(),
            false => Sources::load(ctx, input, limits, self.settings.http.as_ref()).await?,
        };
        let mut targets = Vec::with_capacity(wanted.specs.len());
        for spec in &wanted.specs {
            sources.check(spec.task)?;
            let backend = self.settings.backends.of(spec.task);
            targets.push(target::find(&self.resolver, ctx.scope, spec, backend).await?);
        }
        Ok(Ready { sources, targets })
    }

    /// A call that asks for media alone.
    pub(super) async fn media_only(
        &self,
        ctx: &EffectCtx<'_>,
        request: &EffectRequest,
        input: &Input<'_>,
        wanted: &Wanted,
    ) -> Result<Answer, Failure> {
        let ready = self.ready(ctx, input, wanted).await?;
        let made = generate(ctx, request, input, wanted, &ready).await?;
        let text_route = self.text_route(ctx, input).await;
        let mut answer = Answer::done(result::alone(input, wanted, &made, text_route));
        answer.artifacts = made.rows;
        Ok(answer)
    }

    /// Provider and model that a text call of this run would use, for the record.
    async fn text_route(&self, ctx: &EffectCtx<'_>, input: &Input<'_>) -> (Option<String>, Option<String>) {
        let own = input.route();
        if own.0.is_some() && own.1.is_some() {
            return own;
        }
        let default = self.resolver.routes().text(ctx.scope).await.ok().flatten();
        match default {
            Some(found) => (own.0.or(found.route.provider), own.1.or(found.route.model)),
            None => own,
        }
    }
}

/// Adds media to the answer of a model.
///
/// # Errors
/// The text of the failed effect.
pub(super) async fn beside(
    ctx: &EffectCtx<'_>,
    request: &EffectRequest,
    input: &Input<'_>,
    wanted: &Wanted,
    ready: &Ready,
    value: &mut Value,
) -> Result<Vec<ArtifactRow>, String> {
    let made = generate(ctx, request, input, wanted, ready).await?;
    result::beside(value, &made);
    Ok(made.rows)
}

async fn generate(
    ctx: &EffectCtx<'_>,
    request: &EffectRequest,
    input: &Input<'_>,
    wanted: &Wanted,
    ready: &Ready,
) -> Result<Made, String> {
    let mut made = Made::default();
    for (n, (spec, target)) in wanted.specs.iter().zip(&ready.targets).enumerate() {
        let key = match n {
            0 => ctx.outbound_key.clone(),
            n => format!("{}/o{n}", ctx.outbound_key),
        };
        let call = make::Call {
            ctx,
            spec,
            target,
            prompt: prompt(input, spec),
            sources: &ready.sources,
            key,
        };
        if spec.task == Task::Transcription {
            made.transcript = Some(call.transcribe().await?);
            continue;
        }
        let pieces = call.make().await?;
        let keeper = store::Keeper {
            ctx,
            request,
            spec,
            target,
            prompt: &call.prompt,
        };
        for (index, piece) in pieces.into_iter().enumerate() {
            let (item, row) = keeper.keep(index, piece).await?;
            made.take(spec, item, row);
        }
    }
    Ok(made)
}

impl Made {
    fn take(&mut self, spec: &Spec, item: Value, row: ArtifactRow) {
        self.source
            .get_or_insert_with(|| (text_in(&item, "provider"), text_in(&item, "model")));
        let list = self
            .outputs
            .entry(spec.task.modality())
            .or_insert_with(|| Value::Array(vec![]));
        if let Value::Array(items) = list {
            items.push(item);
        }
        // The same bytes again have the same id.
        self.rows.retain(|known| known.artifact_id != row.artifact_id);
        self.rows.push(row);
    }
}

/// The words for a task; those of its own specification win.
fn prompt(input: &Input<'_>, spec: &Spec) -> String {
    let own = match spec.task {
        Task::Transcription => None,
        _ => text_of(&spec.options, "prompt"),
    };
    let own = own.or_else(|| text_of(&spec.options, "text").filter(|_| spec.task == Task::Speech));
    let last_user = || {
        let users = input.messages().iter().rev();
        let mut users = users.filter(|message| message.get("role").and_then(Value::as_str) == Some("user"));
        users.next()?.get("content")?.as_str().map(str::to_owned)
    };
    let prompt = own
        .or_else(|| input.prompt().map(str::to_owned))
        .or_else(last_user)
        .unwrap_or_default();
    ag_kernel::prepare::strip_grounding(&prompt).to_owned()
}

fn text_in(item: &Value, key: &str) -> Option<String> {
    item.get(key).and_then(ag_pyvalue::opt_str)
}
