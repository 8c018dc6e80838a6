//! Replaces local references by what they point at.

use serde_json::Value;

use crate::Object;

/// Nodes a schema may grow to. References to references can multiply; what does not fit becomes an open schema.
const MAX_NODES: usize = 20_000;
const MAX_DEPTH: usize = 64;

/// Inlines `#/...` references and drops the definitions. A schema that contains itself ends in an open schema where it
/// would start again.
pub(super) fn inline_refs(schema: &Value) -> Value {
    let mut inliner = Inliner {
        root: schema,
        budget: MAX_NODES,
        active: Vec::new(),
    };
    let mut result = inliner.expand(schema, 0);
    if let Some(map) = result.as_object_mut() {
        map.remove("$defs");
        map.remove("definitions");
    }
    result
}

struct Inliner<'a> {
    root: &'a Value,
    budget: usize,
    active: Vec<&'a str>,
}

impl<'a> Inliner<'a> {
    fn expand(&mut self, value: &'a Value, depth: usize) -> Value {
        if self.budget == 0 || depth > MAX_DEPTH {
            return Value::Object(Object::new());
        }
        self.budget -= 1;
        match value {
            Value::Object(map) => match map.get("$ref").and_then(Value::as_str) {
                Some(reference) => self.reference(reference, map, depth),
                None => Value::Object(self.members(map, depth)),
            },
            Value::Array(items) => Value::Array(
                items
                    .iter()
                    .map_while(|item| (self.budget > 0).then(|| self.expand(item, depth + 1)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    fn members(&mut self, map: &'a Object, depth: usize) -> Object {
        let mut result = Object::new();
        for (key, value) in map {
            // Definitions are only looked at through references.
            if depth == 0 && matches!(key.as_str(), "$defs" | "definitions") {
                continue;
            }
            result.insert(key.clone(), self.expand(value, depth + 1));
        }
        result
    }

    fn reference(&mut self, reference: &'a str, map: &'a Object, depth: usize) -> Value {
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target.filter(|_| !self.active.contains(&reference)) else {
            return Value::Object(Object::new());
        };
        self.active.push(reference);
        let mut result = self.expand(target, depth + 1);
        self.active.pop();
        // Members beside the reference (a description) say more about this place.
        if let Some(result) = result.as_object_mut() {
            for (key, value) in map {
                if key != "$ref" {
                    result.insert(key.clone(), value.clone());
                }
            }
            result.remove("$defs");
            result.remove("definitions");
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_inlined() {
        let schema = json!({
            "type": "object",
            "properties": {"p": {"$ref": "#/$defs/P", "description": "who"}, "q": {"$ref": "#/nowhere"}},
            "$defs": {"P": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}, "N": {"type": "string"}}
        });
        assert_eq!(
            inline_refs(&schema),
            json!({"type":"object","properties":{
                "p":{"type":"object","properties":{"n":{"type":"string"}},"description":"who"},"q":{}}})
        );
    }

    #[test]
    fn recursion_and_multiplication_end() {
        let tree = json!({"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#"}}}});
        assert_eq!(
            inline_refs(&tree)["properties"]["kids"]["items"]["properties"]["kids"]["items"],
            json!({})
        );
        // Each level holds the next one twice: 2^40 nodes without a budget.
        let mut defs = Object::new();
        for level in 0..40 {
            let next = format!("#/$defs/L{}", level + 1);
            defs.insert(
                format!("L{level}"),
                json!({"properties":{"a":{"$ref":next},"b":{"$ref":next}}}),
            );
        }
        defs.insert("L40".to_owned(), json!({"type":"string"}));
        let bomb = json!({"type":"object","properties":{"x":{"$ref":"#/$defs/L0"}},"$defs":defs});
        assert!(inline_refs(&bomb).to_string().len() < 2_000_000);
    }
}
