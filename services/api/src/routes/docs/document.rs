//! The OpenAPI document, made from the route tables and the contract's list of operations.
//!
//! `contract/operations.json` is the contract's list, one operation per line. Only what this build serves is
//! described; operations beyond the contract appear with their path parameters alone.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{Operation, routes::FAMILIES};

/// The contract's operations.
pub(super) const CONTRACT: &str = include_str!("../../../contract/operations.json");

/// The document as it is sent.
pub(super) static BYTES: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));

const SECURITY: &str = "gatewayBearerAuth";

/// The document.
pub(super) fn document() -> Value {
    let contract: Vec<Value> =
        serde_json::from_str(CONTRACT).expect("the list is part of this crate and covered by its tests");
    let mut paths: Map<String, Value> = Map::new();
    let mut tags: Vec<Value> = Vec::new();
    for family in FAMILIES.iter().filter(|family| !family.operations.is_empty()) {
        if tags.iter().all(|tag| tag["name"] != family.tag) {
            tags.push(json!({"name": family.tag}));
        }
        for operation in family.operations {
            let known = contract
                .iter()
                .find(|known| known["method"] == operation.method && known["path"] == operation.path);
            let described = describe(family.tag, operation, known);
            let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
            methods[operation.method.to_ascii_lowercase()] = described;
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "AbstractGateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Durable runs of workflow bundles: start, command, replay and stream.",
        },
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {SECURITY: {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["detail"],
                    "properties": {"detail": {"type": "string"}},
                },
                "ValidationError": {
                    "type": "object",
                    "required": ["detail"],
                    "properties": {"detail": {"type": "array", "items": {
                        "type": "object",
                        "required": ["type", "loc", "msg"],
                        "properties": {
                            "type": {"type": "string"},
                            "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                            "msg": {"type": "string"},
                            "input": {},
                            "ctx": {"type": "object"},
                        },
                    }}},
                },
            },
        },
    })
}

fn describe(tag: &str, operation: &Operation, known: Option<&Value>) -> Value {
    let mut out = json!({"tags": [tag], "operationId": operation.id, "summary": operation.summary});
    let fields = known
        .and_then(|known| known["request_fields"].as_array())
        .map(Vec::as_slice)
        .unwrap_or_default();
    let parameters: Vec<Value> = match known {
        Some(_) => fields
            .iter()
            .filter(|field| field["in"] == "path" || field["in"] == "query")
            .map(parameter)
            .collect(),
        None => path_parameters(operation.path),
    };
    if !parameters.is_empty() {
        out["parameters"] = parameters.into();
    }
    if let Some(content_type) = known.and_then(|known| known["request_content_type"].as_str()) {
        let strict = known.is_some_and(|known| known["body_extra_fields"].is_string());
        let body: Vec<&Value> = fields
            .iter()
            .filter(|field| field["in"] == "body" || field["in"] == "form")
            .collect();
        let required =
            body.iter().any(|field| field["required"] == true) || content_type.starts_with("multipart");
        let mut schema = object_schema(body);
        if strict {
            schema["additionalProperties"] = json!(false);
        }
        out["requestBody"] = json!({"required": required, "content": {content_type: {"schema": schema}}});
    }
    out["responses"] = responses(known);
    if operation.path.starts_with("/api/gateway") || operation.path.starts_with("/api/v1") {
        out["security"] = json!([{SECURITY: []}]);
    }
    if known.is_some_and(|known| known["auth"] == "admin") {
        out["x-required-role"] = json!("admin");
    }
    out
}

fn parameter(field: &Value) -> Value {
    json!({
        "name": field["name"],
        "in": field["in"],
        "required": field["in"] == "path" || field["required"] == true,
        "schema": schema(field),
    })
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect()
}

fn object_schema<'a>(fields: impl IntoIterator<Item = &'a Value>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let Some(name) = field["name"].as_str() else {
            continue;
        };
        properties.insert(name.to_owned(), schema(field));
        if field["required"] == true {
            required.push(name);
        }
    }
    let mut out = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    out
}

/// The schema of a field: its type text (`string|null`, `array<object>`), bounds and default.
fn schema(field: &Value) -> Value {
    let text = field["type"].as_str().unwrap_or("any");
    let mut out = type_schema(text, field);
    if let Some(bounds) = field["bounds"].as_object() {
        for (name, bound) in bounds {
            out[name] = bound.clone();
        }
    }
    let default = &field["default"];
    if !default.is_null() {
        out["default"] = default.clone();
    }
    out
}

fn type_schema(text: &str, field: &Value) -> Value {
    let (kinds, null): (Vec<&str>, Vec<&str>) =
        text.split('|').map(str::trim).partition(|kind| *kind != "null");
    let mut schemas: Vec<Value> = kinds.iter().map(|kind| kind_schema(kind, field)).collect();
    if !null.is_empty() {
        match schemas.as_mut_slice() {
            // `{"type": ["string", "null"]}` reads better than a union of two.
            [only] if only["type"].is_string() => only["type"] = json!([only["type"], "null"]),
            _ => schemas.push(json!({"type": "null"})),
        }
    }
    match schemas.len() {
        1 => schemas.swap_remove(0),
        _ => json!({"anyOf": schemas}),
    }
}

fn kind_schema(kind: &str, field: &Value) -> Value {
    if let Some(item) = kind
        .strip_prefix("array<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return json!({"type": "array", "items": kind_schema(item, field)});
    }
    match kind {
        "string" | "integer" | "number" | "boolean" => json!({"type": kind}),
        "array" | "list" => json!({"type": "array"}),
        "file" => json!({"type": "string", "format": "binary"}),
        "any" => json!({}),
        _ => match field["fields"].as_array() {
            Some(fields) => object_schema(fields),
            None => json!({"type": "object"}),
        },
    }
}

fn responses(known: Option<&Value>) -> Value {
    let Some(known) = known else {
        return json!({"200": {"description": "Success"}});
    };
    let mut out = Map::new();
    let codes = |key: &str| {
        known["status"][key]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .to_vec()
    };
    for code in codes("success") {
        let content = match known["response_content_type"].as_str() {
            Some("text/event-stream") => json!({"text/event-stream": {"schema": {"type": "string"}}}),
            Some(_) => json!({"*/*": {"schema": {"type": "string", "format": "binary"}}}),
            None => json!({"application/json": {"schema": answer(known)}}),
        };
        out.insert(
            code.to_string(),
            json!({"description": "Success", "content": content}),
        );
    }
    for code in codes("errors") {
        let schema = if code == 422 { "ValidationError" } else { "Error" };
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        let content = json!({"application/json": {"schema": schema}});
        out.insert(
            code.to_string(),
            json!({"description": reason(&code), "content": content}),
        );
    }
    Value::Object(out)
}

fn answer(known: &Value) -> Value {
    let names = known["response_fields"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let properties: Map<String, Value> = names
        .iter()
        .filter_map(|name| Some((name.as_str()?.to_owned(), json!({}))))
        .collect();
    let object = match properties.is_empty() {
        true => json!({"type": "object"}),
        false => json!({"type": "object", "properties": properties}),
    };
    match known["response_type"] == "array" {
        true => json!({"type": "array", "items": object}),
        false => object,
    }
}

fn reason(code: &Value) -> &'static str {
    let status = code
        .as_u64()
        .and_then(|code| http::StatusCode::from_u16(u16::try_from(code).ok()?).ok());
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error")
}

#[cfg(test)]
mod tests;
