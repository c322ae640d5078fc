//! The one way in which this project writes JSON documents that have a digest.
//!
//! `oci-spec` keeps annotations and labels in `HashMap`s, so a plain `serde_json::to_vec` gives other bytes, and
//! so another digest, on every run. Here every object is written with its keys sorted and without white space.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

/// `document` as canonical JSON: keys sorted by their bytes, no white space.
///
/// # Panics
/// When `document` has a map whose keys are not strings, which no OCI document has.
pub fn to_vec(document: &impl Serialize) -> Vec<u8> {
    let value = serde_json::to_value(document).expect("an OCI document has string keys alone");
    let mut out = String::new();
    write(&value, &mut out);
    out.into_bytes()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            // Sorted here and not by the map: its order depends on a feature that any crate may switch on.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_bytes());
            out.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(&Value::String(key.clone()), out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        scalar => write!(out, "{scalar}").expect("a string takes all that is written"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn canonical() {
        let check = |input: &str, expect: &str| {
            let value: Value = serde_json::from_str(input).unwrap();
            assert_eq!(String::from_utf8(to_vec(&value)).unwrap(), expect);
        };
        check(r#"{ "b": 1, "a": [ {"z": null, "y": true} ] }"#, r#"{"a":[{"y":true,"z":null}],"b":1}"#);
        check(r#"{"é":"\n\"","Z":1.5}"#, r#"{"Z":1.5,"é":"\n\""}"#);
        check("[]", "[]");
    }

    #[test]
    fn a_hash_map_gives_the_same_bytes_every_time() {
        let once = || to_vec(&(0..100).map(|i| (format!("key{i}"), i)).collect::<HashMap<_, _>>());
        let first = once();
        assert!((0..20).all(|_| once() == first));
    }
}
