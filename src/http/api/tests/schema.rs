//! As much of JSON Schema as the document uses: enough to say which key is in an answer and not in the document, and the
//! other way round.

use serde_json::Value;
use std::collections::BTreeSet;

/// What was found.
#[derive(Default)]
pub(super) struct Seen {
    /// What does not fit.
    pub(super) wrong: Vec<String>,
    /// Documented keys that an answer had with a value, as `Schema.key`.
    keys: BTreeSet<String>,
}

impl Seen {
    /// The documented keys that no answer had.
    pub(super) fn never(&self, document: &Value) -> Vec<String> {
        let schemas = document["components"]["schemas"].as_object().unwrap();
        // What is sent has choices, and no answer has it.
        let answered = schemas.iter().filter(|(_, schema)| schema["anyOf"].is_null());
        let keys = answered.flat_map(|(name, schema)| {
            let properties = schema["properties"].as_object().unwrap();
            properties.keys().map(move |key| format!("{name}.{key}"))
        });
        keys.filter(|key| !self.keys.contains(key)).collect()
    }
}

/// Holds an answer against a schema.
pub(super) fn check(document: &Value, schema: &Value, answer: &Value, seen: &mut Seen) {
    check_named(document, ("", schema), answer, seen);
}

fn check_named(document: &Value, (name, schema): (&str, &Value), answer: &Value, seen: &mut Seen) {
    if let Some(path) = schema["$ref"].as_str() {
        let target =
            document.pointer(path.trim_start_matches('#')).unwrap_or_else(|| panic!("{path} is nowhere"));
        return check_named(document, (path.rsplit('/').next().unwrap(), target), answer, seen);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        // Here always something or null.
        let choice = &choices[usize::from(answer.is_null())];
        return check_named(document, (name, choice), answer, seen);
    }
    if !has_type(&schema["type"], answer) || !is_listed(&schema["enum"], answer) {
        seen.wrong.push(format!("{name}: {answer} does not fit {schema}"));
    }
    match answer {
        Value::Array(items) => {
            items.iter().for_each(|item| check_named(document, (name, &schema["items"]), item, seen));
        }
        Value::Object(_) if schema["additionalProperties"] == false => {
            check_object(document, (name, schema), answer, seen);
        }
        _ => {}
    }
}

fn check_object(document: &Value, (name, schema): (&str, &Value), answer: &Value, seen: &mut Seen) {
    let properties = schema["properties"].as_object().unwrap();
    let required = schema["required"].as_array().unwrap();
    assert_eq!(required.len(), properties.len(), "{name}: keys are always there");
    for (key, value) in answer.as_object().unwrap() {
        match properties.get(key) {
            Some(property) => check_named(document, (&format!("{name}.{key}"), property), value, seen),
            None => seen.wrong.push(format!("{name}.{key} is not documented")),
        }
        seen.keys.insert(format!("{name}.{key}"));
    }
    let missing = properties.keys().filter(|key| answer.get(key).is_none());
    seen.wrong.extend(missing.map(|key| format!("{name}.{key} is missing")));
}

fn has_type(wanted: &Value, answer: &Value) -> bool {
    let is = |wanted: &Value| match wanted.as_str().unwrap() {
        "null" => answer.is_null(),
        "string" => answer.is_string(),
        "boolean" => answer.is_boolean(),
        "number" => answer.is_number(),
        "integer" => answer.is_u64(),
        "array" => answer.is_array(),
        "object" => answer.is_object(),
        other => panic!("{other} is no type"),
    };
    match wanted {
        Value::Null => true,
        Value::Array(several) => several.iter().any(is),
        one => is(one),
    }
}

fn is_listed(words: &Value, answer: &Value) -> bool {
    words.as_array().is_none_or(|words| words.contains(answer))
}

/// The keys of the query that an operation documents.
pub(super) fn query_keys<'a>(document: &'a Value, operation: &'a Value) -> Vec<&'a str> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let resolved = parameters.map(|parameter| match parameter["$ref"].as_str() {
        Some(path) => document.pointer(path.trim_start_matches('#')).unwrap(),
        None => parameter,
    });
    resolved
        .filter(|parameter| parameter["in"] == "query")
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect()
}
