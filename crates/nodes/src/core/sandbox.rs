//! Answers of the host to code.

use crate::prelude::*;

/// The value of an answer to [`HostOp::RunCode`].
///
/// # Errors
/// The failure of the code with its record. A value that JSON cannot hold is a `TypeError` without record and with
/// the text `Object of type … is not JSON serializable`: the executor fails the run on it.
pub(super) fn value(answer: &Value) -> Result<Value, FunctionError> {
    if let Some(kind) = answer.get("unserialisable").and_then(Value::as_str) {
        return Err(Exception::type_error(format!("Object of type {kind} is not JSON serializable")).into());
    }
    match enveloped(answer) {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => {
            let mut record = Object::new();
            record.insert("success".to_owned(), false.into());
            record.insert("output".to_owned(), Value::Null);
            record.insert("result".to_owned(), Value::Null);
            record.insert("error".to_owned(), error.clone().into());
            record.insert(
                "execution".to_owned(),
                answer.get("execution").cloned().unwrap_or_default(),
            );
            Err(FunctionError {
                interrupt: Exception::runtime(error).into(),
                record: Some(record),
            })
        }
        None => Ok(answer.clone()),
    }
}

/// The content of `{"ok": true, "value": …}` or `{"ok": false, "error": …}`; `None` for anything else.
pub(super) fn enveloped(answer: &Value) -> Option<Result<Value, String>> {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    match answer.get("ok")? {
        Value::Bool(true) => Some(Ok(answer.get("value")?.clone())),
        Value::Bool(false) => Some(Err(text("error")?)),
        _ => None,
    }
}
