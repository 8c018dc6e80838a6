//! The call with a schema: native first where the model has it, then prompted with repair.
//!
//! Recorded: a native answer that is not JSON is followed by three prompted ones, all with the same roles; the schema
//! and each attempt's error are written below the last user text.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::parse::parse_reply;
use super::validate::validate;
use crate::capabilities::Support;
use crate::chat::{ChatMessage, ChatReply, ChatRequest, ResponseSchema};
use crate::error::ProviderError;
use crate::ports::ChatModel;

/// Prompted attempts.
const ATTEMPTS: u32 = 3;

/// A checked answer.
#[derive(Clone, Debug)]
pub struct StructuredReply {
    /// Fits the schema.
    pub data: Value,
    /// The answer it was read from.
    pub reply: ChatReply,
    /// Calls it took.
    pub attempts: u32,
    /// Why the native attempt was not used, if there was one.
    pub native_error: Option<String>,
}

/// No fitting answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StructuredError {
    /// A call failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// All attempts answered something else.
    #[error("Structured output failed after {attempts} attempts: {problem}")]
    NoFit {
        /// Calls made.
        attempts: u32,
        /// The last problem.
        problem: String,
        /// The last text, for a caller that wants to use it nevertheless.
        content: String,
    },
    /// The answer was cut by the token limit; asking for the same again would be cut again.
    #[error("structured answer was cut by the token limit")]
    Truncated(Box<ChatReply>),
}

/// What is written below the last user text.
#[must_use]
pub fn prompted_instruction(schema: &ResponseSchema, problem: Option<&str>) -> String {
    let text = Value::Object(schema.schema.clone()).to_string();
    let mut instruction = format!(
        "Answer with one JSON object that follows this JSON Schema, and with nothing else (no explanation, no code \
         fence):\n{text}"
    );
    if let Some(problem) = problem {
        instruction.push_str("\n\nYour previous answer was refused: ");
        instruction.push_str(problem);
        instruction.push_str(". Send the corrected JSON object.");
    }
    instruction
}

/// Asks until an answer fits `schema`: one native attempt when `support` says so, then up to three prompted ones.
///
/// # Errors
/// [`StructuredError`].
pub async fn generate(
    model: &dyn ChatModel,
    req: &ChatRequest,
    schema: &ResponseSchema,
    support: Support,
    cancel: &CancellationToken,
) -> Result<StructuredReply, StructuredError> {
    let mut attempts = 0;
    let mut native_error = None;
    if support == Support::Native {
        attempts += 1;
        let mut native = req.clone();
        native.response_schema = Some(schema.clone());
        match model.chat(native, cancel.clone()).await {
            Ok(reply) => match read(&reply, schema)? {
                Ok(data) => {
                    return Ok(StructuredReply {
                        data,
                        reply,
                        attempts,
                        native_error: None,
                    });
                }
                Err(problem) => native_error = Some(problem),
            },
            // Some servers refuse `response_format` although the model could.
            Err(error @ ProviderError::InvalidRequest(_)) => native_error = Some(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    let mut problem: Option<String> = None;
    let mut content = String::new();
    for _ in 0..ATTEMPTS {
        attempts += 1;
        let mut prompted = req.clone();
        prompted.response_schema = None;
        if attempts > 1 {
            // Another request than the first one, so another key.
            prompted.idempotency_key = prompted.idempotency_key.map(|key| format!("{key}/s{attempts}"));
        }
        let instruction = prompted_instruction(schema, problem.as_deref());
        match prompted.last_user_mut() {
            Some(message) => message.content.append_text(&instruction),
            None => prompted.messages.push(ChatMessage::user(instruction)),
        }
        let reply = model.chat(prompted, cancel.clone()).await?;
        match read(&reply, schema)? {
            Ok(data) => {
                return Ok(StructuredReply {
                    data,
                    reply,
                    attempts,
                    native_error,
                });
            }
            Err(found) => {
                problem = Some(found);
                content = reply.content.unwrap_or_default();
            }
        }
    }
    Err(StructuredError::NoFit {
        attempts,
        problem: problem.unwrap_or_default(),
        content,
    })
}

fn read(reply: &ChatReply, schema: &ResponseSchema) -> Result<Result<Value, String>, StructuredError> {
    let parsed = parse_reply(reply.content.as_deref().unwrap_or_default()).and_then(|value| {
        validate(&schema.schema, &value)
            .map(|()| value)
            .map_err(|violation| violation.to_string())
    });
    if parsed.is_err() && reply.truncated() {
        return Err(StructuredError::Truncated(Box::new(reply.clone())));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::UpstreamFailure;
    use crate::fake::{FakeChat, Step};
    use crate::structured::normalise;

    fn schema() -> ResponseSchema {
        let raw = json!({"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]});
        normalise(&raw, None).expect("schema")
    }

    async fn run(
        steps: Vec<Step>,
        support: Support,
    ) -> (Result<StructuredReply, StructuredError>, Vec<ChatRequest>) {
        let fake = FakeChat::new(steps);
        let mut req = ChatRequest::prompt("m", "who?");
        req.idempotency_key = Some("k".to_owned());
        let result = generate(&fake, &req, &schema(), support, &CancellationToken::new()).await;
        (result, fake.requests())
    }

    #[tokio::test]
    async fn native_answer_is_used() {
        let (result, requests) = run(vec![Step::text("{\"n\":1}")], Support::Native).await;
        assert_eq!(result.expect("fits").data, json!({"n":1}));
        assert_eq!(requests.len(), 1);
        assert!(requests[0].response_schema.is_some());
    }

    #[tokio::test]
    async fn one_native_and_three_prompted_attempts_then_failure() {
        let (result, requests) = run(vec![Step::text("I would rather not"); 9], Support::Native).await;
        let error = result.expect_err("no fit");
        assert_eq!(
            error.to_string(),
            "Structured output failed after 4 attempts: the reply is not valid JSON"
        );
        let native: Vec<bool> = requests.iter().map(|req| req.response_schema.is_some()).collect();
        assert_eq!(native, [true, false, false, false]);
        for req in &requests {
            assert_eq!(req.messages.len(), 1);
            assert!(req.messages[0].content.text().starts_with("who?"));
        }
        let keys: std::collections::HashSet<_> =
            requests.iter().map(|req| req.idempotency_key.clone()).collect();
        assert_eq!(keys.len(), 4);
    }

    #[tokio::test]
    async fn the_problem_is_told_and_repaired() {
        let steps = vec![
            Step::text("{\"n\":\"one\"}"),
            Step::text("Here:\n```json\n{\"n\":2}\n```"),
        ];
        let (result, requests) = run(steps, Support::Prompted).await;
        let reply = result.expect("fits");
        assert_eq!((reply.data, reply.attempts), (json!({"n":2}), 2));
        let text = requests[1].messages[0].content.text();
        assert!(text.contains("$.n: expected integer, found string"), "{text}");
        assert!(!requests[0].messages[0].content.text().contains("refused"));
    }

    #[tokio::test]
    async fn a_server_without_response_format_is_prompted() {
        let refused = ProviderError::InvalidRequest(UpstreamFailure {
            family: "f".to_owned(),
            status: 400,
            message: "response_format not supported".to_owned(),
            url: "u".to_owned(),
            retry_after: None,
        });
        let (result, _) = run(
            vec![Step::fail(refused), Step::text("{\"n\":3}")],
            Support::Native,
        )
        .await;
        assert_eq!(result.expect("fits").attempts, 2);
    }

    #[tokio::test]
    async fn cut_answers_are_not_repaired() {
        let cut = ChatReply {
            content: Some("{\"n\":".to_owned()),
            finish_reason: Some("length".to_owned()),
            ..ChatReply::default()
        };
        let (result, requests) = run(vec![Step::reply(cut)], Support::Prompted).await;
        assert!(matches!(result, Err(StructuredError::Truncated(_))));
        assert_eq!(requests.len(), 1);
    }
}
