//! `memory_kg_assert`: statements for the knowledge graph.

use ag_kernel::EffectRequest;
use ag_store::{Assertion, AssertionFilter, AssertionOrder, Embedding, MemoryRow};
use ag_types::{Object, Timestamp};
use async_trait::async_trait;
use serde_json::{Value, json};

use super::terms::{Vocabulary, predicate_term, stored_term};
use crate::{
    handler::{Answer, EffectClass, EffectCtx, EffectHandler, Failure},
    memory::{
        EmbeddingError, Embeddings,
        owners::{MemoryOwners, Owner, Scope, Subject, flag, named_owner, scope_text, text},
    },
};

/// The handler.
pub struct KgAssert {
    owners: MemoryOwners,
    vocabulary: Vocabulary,
    embeddings: Embeddings,
}

/// What holds for every statement of a payload.
struct Common<'a> {
    payload: &'a Object,
    scope: String,
    owner: Option<String>,
    span_id: Option<String>,
    defaults: Object,
    now: Timestamp,
}

impl KgAssert {
    /// With the owners, the vocabulary and the embedding model of this gateway.
    pub fn new(owners: MemoryOwners, vocabulary: Vocabulary, embeddings: Embeddings) -> Self {
        Self {
            owners,
            vocabulary,
            embeddings,
        }
    }

    async fn perform(&self, ctx: &EffectCtx<'_>, payload: &Object) -> Result<Answer, Failure> {
        let given = given(payload).ok_or("MEMORY_KG_ASSERT requires payload.assertions (list[object])")?;
        if given.is_empty() {
            let skipped = json!({"ok": true, "count": 0, "assertion_ids": [], "skipped": true});
            return Ok(Answer::done(skipped));
        }
        self.check_predicates(&given, flag(payload, "allow_custom_predicates").unwrap_or(false))?;
        let subject = Subject::of(ctx, payload).await?;
        let common = Common {
            payload,
            scope: scope_text(payload),
            owner: named_owner(payload)?,
            span_id: text(payload, "span_id"),
            defaults: payload
                .get("attributes_defaults")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            now: ctx.clock.now(),
        };
        let (mut rows, mut owners) = (Vec::new(), Vec::new());
        for statement in &given {
            let (row, owner) =
                self.assertion(ctx, &subject, &common, statement)
                    .await
                    .map_err(|failure| {
                        failure
                            .worded(|error| format!("MEMORY_KG_ASSERT contained invalid assertions: {error}"))
                    })?;
            rows.push(row);
            owners.extend(owner.and_then(|owner| owner.row));
        }
        let attempted = rows.len();
        if flag(payload, "dedupe").unwrap_or(true) {
            rows = self.fresh(ctx, rows).await?;
        }
        self.embed(ctx, &mut rows).await?;
        let ids: Vec<&str> = rows.iter().map(|row| row.assertion_id.as_str()).collect();
        let result = json!({
            "ok": true, "count": rows.len(), "assertion_ids": ids, "count_attempted": attempted,
            "skipped_duplicates": attempted - rows.len(),
        });
        owners.dedup_by(|a: &mut ag_store::OwnerRow, b| a.owner_id == b.owner_id);
        Ok(Answer {
            memory: rows
                .into_iter()
                .map(|row| MemoryRow::Assertion(Box::new(row)))
                .collect(),
            owners,
            ..Answer::done(result)
        })
    }

    fn check_predicates(&self, given: &[&Object], custom: bool) -> Result<(), String> {
        let mut unknown: Vec<&str> = Vec::new();
        for statement in given {
            let Some(predicate) = statement.get("predicate").and_then(Value::as_str) else {
                continue;
            };
            let predicate = predicate.trim();
            let blank = predicate.is_empty();
            if !blank
                && !self.vocabulary.allows(&predicate_term(predicate), custom)
                && !unknown.contains(&predicate)
            {
                unknown.push(predicate);
            }
        }
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "MEMORY_KG_ASSERT rejected unknown predicates. Got: {}. Update the extractor to use allowed semantics \
                 (or set allow_custom_predicates=true for ex:* predicates).",
                unknown.join(", ")
            )),
        }
    }

    async fn assertion(
        &self,
        ctx: &EffectCtx<'_>,
        subject: &Subject,
        common: &Common<'_>,
        given: &Object,
    ) -> Result<(Assertion, Option<Owner>), Failure> {
        let term = |key: &str| {
            let found = given
                .get(key)
                .and_then(Value::as_str)
                .filter(|term| !term.trim().is_empty());
            found.ok_or_else(|| format!("TripleAssertion.{key} must be a non-empty string"))
        };
        let (who, predicate, what) = (term("subject")?, term("predicate")?, term("object")?);
        let scope = text(given, "scope").map_or_else(|| common.scope.clone(), |scope| scope.to_lowercase());
        let named = named_owner(given)?.or_else(|| common.owner.clone());
        let kind = Scope::parse(&scope).ok_or_else(|| format!("Unknown memory scope: {scope}"))?;
        let owner = match named {
            Some(_) => None,
            None => Some(self.owners.owner(ctx, subject, kind).await?),
        };
        let owner_id = named.or_else(|| owner.as_ref().map(|owner| owner.id.clone()));

        let own = given.get("attributes").and_then(Value::as_object);
        let mut attributes = own.cloned().unwrap_or_default();
        for (key, value) in &common.defaults {
            attributes.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let literal = attributes.get("literal") == Some(&Value::Bool(true));
        let provenance = provenance(ctx, common, given);
        let confidence = given.get("confidence").filter(|value| value.is_number());
        let assertion = Assertion {
            assertion_id: ctx.ids.uuid().to_string(),
            owner_id: owner_id.unwrap_or_default(),
            scope,
            subject: stored_term(who, false),
            predicate: predicate_term(predicate),
            object: stored_term(what, literal),
            observed_at: text(given, "observed_at").unwrap_or_else(|| common.now.to_string()),
            valid_from: text(given, "valid_from"),
            valid_until: text(given, "valid_until"),
            body: statement_body(confidence.cloned(), provenance, attributes).into(),
            embedding: None,
        };
        Ok((assertion, owner))
    }

    /// Those that their owner does not hold yet. Statements of one payload are not compared with each other.
    async fn fresh(&self, ctx: &EffectCtx<'_>, rows: Vec<Assertion>) -> Result<Vec<Assertion>, Failure> {
        let mut fresh = Vec::with_capacity(rows.len());
        for row in rows {
            let same = AssertionFilter {
                scope: Some(row.scope.clone()),
                owner_id: Some(row.owner_id.clone()),
                subject: Some(ag_store::memory::column_text(&row.subject)),
                predicate: Some(ag_store::memory::column_text(&row.predicate)),
                object: Some(ag_store::memory::column_text(&row.object)),
                ..AssertionFilter::default()
            };
            let known = ctx
                .store
                .assertions(ctx.scope, &same, AssertionOrder::NewestFirst, 1)
                .await
                .map_err(|error| Failure::of_store(error, "MEMORY_KG_ASSERT store.query failed"))?;
            if known.is_empty() {
                fresh.push(row);
            }
        }
        Ok(fresh)
    }

    /// Adds vectors where the plane has an embedding model.
    async fn embed(&self, ctx: &EffectCtx<'_>, rows: &mut [Assertion]) -> Result<(), Failure> {
        if rows.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> = rows.iter().map(embedded_text).collect();
        let (model, vectors) = match self.embeddings.embed(ctx.scope, &texts, &ctx.cancel).await {
            Ok(done) => done,
            Err(EmbeddingError::NotConfigured | EmbeddingError::Unsupported(_)) => return Ok(()),
            Err(error) => {
                let failure = Failure::from(error);
                return Err(failure.worded(|error| format!("MEMORY_KG_ASSERT store.add failed: {error}")));
            }
        };
        let key: std::sync::Arc<str> = model.key().into();
        for (row, vector) in rows.iter_mut().zip(vectors) {
            row.embedding = Some(Embedding {
                model: key.clone(),
                vector: vector.into(),
            });
        }
        Ok(())
    }
}

/// The statements of a payload under any of their names; a single one is a list of one.
fn given(payload: &Object) -> Option<Vec<&Object>> {
    let found = ["assertions", "triples", "items"]
        .iter()
        .find_map(|key| payload.get(*key).filter(|value| !value.is_null()))?;
    match found {
        Value::Array(items) => Some(items.iter().filter_map(Value::as_object).collect()),
        Value::Object(one) => Some(vec![one]),
        _ => None,
    }
}

fn provenance(ctx: &EffectCtx<'_>, common: &Common<'_>, given: &Object) -> Object {
    let mut out = given
        .get("provenance")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if let Some(span_id) = text(given, "span_id").or_else(|| common.span_id.clone()) {
        out.entry("span_id").or_insert_with(|| span_id.into());
    }
    let head = &ctx.run.head;
    out.entry("writer_run_id")
        .or_insert_with(|| head.run_id.to_string().into());
    out.entry("writer_workflow_id")
        .or_insert_with(|| (&*head.workflow_id).into());
    if let Some(client) = text(common.payload, "writer") {
        out.entry("writer").or_insert_with(|| client.into());
    }
    out
}

/// What a statement's row holds beside its columns.
pub fn statement_body(confidence: Option<Value>, provenance: Object, attributes: Object) -> String {
    let mut body = Object::new();
    body.extend(confidence.map(|value| ("confidence".to_owned(), value)));
    body.insert("provenance".to_owned(), provenance.into());
    body.insert("attributes".to_owned(), attributes.into());
    Value::Object(body).to_string()
}

/// The text whose vector stands for a statement.
pub(super) fn embedded_text(row: &Assertion) -> String {
    let mut text = format!("{} {} {}", row.subject, row.predicate, row.object);
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    let attributes = body.get("attributes").and_then(Value::as_object);
    for value in attributes
        .into_iter()
        .flatten()
        .filter_map(|(_, value)| value.as_str())
    {
        if !value.trim().is_empty() {
            text.push(' ');
            text.push_str(value.trim());
        }
    }
    text
}

#[async_trait]
impl EffectHandler for KgAssert {
    fn class(&self) -> EffectClass {
        EffectClass::Outside
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        self.perform(ctx, &request.open.payload)
            .await
            .unwrap_or_else(Answer::from)
    }
}
