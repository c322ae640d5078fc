//! YAML as people would write it: keys in an order that reads well, block literals, nothing folded.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value};

/// The keys that come before all others, in this order.
const FIRST: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "namespace",
    "op",
    "path",
    "services",
    "image",
    "build",
    "command",
];

/// A JSON value whose maps are written in a fixed order, whichever order serde_json keeps them in.
struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(Ordered)),
            Value::Object(map) => {
                let mut out = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in sorted(map) {
                    out.serialize_entry(key, &Ordered(value))?;
                }
                out.end()
            }
            scalar => scalar.serialize(serializer),
        }
    }
}

fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    let rank = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    entries.sort_by_key(|(key, _)| (rank(key), key.as_str()));
    entries
}

/// One document, under a comment of one or more lines.
pub fn document(comment: &str, value: &Value) -> String {
    let head: String = comment.lines().map(|line| format!("# {line}\n")).collect();
    head + &text(value)
}

/// The value alone.
pub fn text(value: &Value) -> String {
    let options = serde_saphyr::ser_options! {
        compact_list_indent: true,
        folded_wrap_chars: usize::MAX,
    };
    let text = serde_saphyr::to_string_with_options(&Ordered(value), options);
    // Only a writer that fails or a key that is no text could make it fail, and a String and JSON have neither.
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_come_in_an_order_that_reads_well() {
        let value = json!({"spec": {"b": [{"x": 1, "name": "db"}], "a": "two\nlines\n"}, "kind": "K", "apiVersion": "v1"});
        let expect =
            "apiVersion: v1\nkind: K\nspec:\n  a: |\n    two\n    lines\n  b:\n  - name: db\n    x: 1\n";
        assert_eq!(text(&value), expect);
        assert_eq!(document("one\ntwo", &json!({"a": []})), "# one\n# two\na: []\n");
    }

    /// What a YAML 1.1 parser (docker-compose 1.29) would take for something else is quoted.
    #[test]
    fn words_stay_words() {
        let check = |word: &str| {
            let text = text(&json!({ "k": word }));
            assert!(text.starts_with("k: '") || text.starts_with("k: \""), "{text}");
        };
        for word in [
            "on",
            "off",
            "yes",
            "no",
            "y",
            "n",
            "true",
            "null",
            "~",
            "1",
            "1.5",
            "0755",
            "1e3",
            "",
            "22:22",
            "2001-01-01",
            "- x",
            "a: b",
            "# c",
            "&a",
            "*a",
            "!x",
            "%x",
            "@x",
            "`x",
            "{a}",
            "[a]",
            " a",
            "a ",
            "0x1f",
            "1_000",
            ".inf",
            "=",
            "<<",
        ] {
            check(word);
        }
    }

    mod property {
        use super::*;
        use proptest::prelude::*;

        fn value() -> impl Strategy<Value = Value> {
            let words =
                prop_oneof![".*", "[a-z:#$ {}\\[\\]\\n'\"|>%@&*!-]{0,20}", "(on|off|no|~|0x1|1e3|1:2)"];
            let leaf = prop_oneof![
                Just(Value::Null),
                any::<bool>().prop_map(Value::from),
                any::<i64>().prop_map(Value::from),
                words.clone().prop_map(Value::from),
            ];
            leaf.prop_recursive(4, 32, 6, move |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                    prop::collection::hash_map(words.clone(), inner, 0..6)
                        .prop_map(|map| Value::Object(map.into_iter().collect())),
                ]
            })
        }

        proptest! {
            #[test]
            fn what_is_written_is_read_back(value in value()) {
                let text = text(&json!({ "root": value }));
                let back: Value = serde_saphyr::from_str(&text).unwrap();
                prop_assert_eq!(back, json!({ "root": value }), "{}", text);
            }
        }
    }
}
