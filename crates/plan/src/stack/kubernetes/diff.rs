//! The operations of RFC 6902 that turn one JSON value into another.

use serde_json::{Value, json};

/// What turns `from` into `to`.
pub fn operations(from: &Value, to: &Value) -> Vec<Value> {
    let mut list = Vec::new();
    collect(&mut list, "", from, to);
    list
}

fn collect(list: &mut Vec<Value>, path: &str, from: &Value, to: &Value) {
    match (from, to) {
        (Value::Object(old), Value::Object(new)) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                // RFC 6901, section 3.
                let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => collect(list, &path, old, new),
                    (None, Some(new)) => list.push(json!({ "op": "add", "path": path, "value": new })),
                    (_, None) => list.push(json!({ "op": "remove", "path": path })),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                collect(list, &format!("{path}/{index}"), old, new);
            }
        }
        _ if from == to => {}
        _ => list.push(json!({ "op": "replace", "path": path, "value": to })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs() {
        let check =
            |from: Value, to: Value, expect: Value| assert_eq!(Value::Array(operations(&from, &to)), expect);
        check(json!({"a": 1}), json!({"a": 1}), json!([]));
        check(json!({"a": 1}), json!({"a": 2}), json!([{"op": "replace", "path": "/a", "value": 2}]));
        check(json!({"x/y~z": 1}), json!({}), json!([{"op": "remove", "path": "/x~1y~0z"}]));
        check(json!({}), json!({"a": {"b": 1}}), json!([{"op": "add", "path": "/a", "value": {"b": 1}}]));
        check(
            json!([1, {"a": 1}]),
            json!([1, {"a": 2}]),
            json!([{"op": "replace", "path": "/1/a", "value": 2}]),
        );
        check(
            json!({"l": [1]}),
            json!({"l": [1, 2]}),
            json!([{"op": "replace", "path": "/l", "value": [1, 2]}]),
        );
        check(json!({"a": 1}), json!({"a": "1"}), json!([{"op": "replace", "path": "/a", "value": "1"}]));
    }
}
