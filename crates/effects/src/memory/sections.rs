//! Variables that memory effects leave behind.

use ag_kernel::{EffectRequest, VarChange, vars::SECTIONS};
use ag_types::Object;
use async_trait::async_trait;

use crate::handler::{Answer, EffectClass, EffectCtx, EffectHandler};

/// A memory effect that makes sure of the run's sections, as clients of the reference see it.
pub(super) struct WithSections<H>(pub(super) H);

#[async_trait]
impl<H: EffectHandler> EffectHandler for WithSections<H> {
    fn class(&self) -> EffectClass {
        self.0.class()
    }

    fn reports(&self, request: &EffectRequest) -> bool {
        self.0.reports(request)
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        let mut answer = self.0.handle(ctx, request).await;
        if answer.postponed.is_none() {
            // First, so that changes inside of them find them.
            answer.changes.splice(0..0, missing(&ctx.run.vars));
        }
        answer
    }
}

fn missing(run_vars: &Object) -> impl Iterator<Item = VarChange> {
    let is_missing = |section: &&str| !run_vars.get(*section).is_some_and(serde_json::Value::is_object);
    SECTIONS
        .into_iter()
        .filter(is_missing)
        .map(|section| VarChange::Set(section.to_owned(), Object::new().into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_stays() {
        let vars = json!({"context": {"messages": []}, "scratchpad": 1, "_runtime": {}});
        let changes: Vec<_> = missing(vars.as_object().expect("object")).collect();
        assert_eq!(
            changes,
            [
                VarChange::Set("scratchpad".to_owned(), json!({})),
                VarChange::Set("_temp".to_owned(), json!({})),
            ]
        );
    }
}
