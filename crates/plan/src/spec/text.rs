//! From TOML's text: values that are written for people, and mistakes told in one line.

use serde::{Deserialize as _, Deserializer};

use crate::error::{Error, Result, suggest};

pub fn duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<std::time::Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|e| serde::de::Error::custom(format!("`{text}` is no duration such as `10s`: {e}")))
}

pub fn size<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    settings::parse_size(&text, 1)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no size such as `20MB`")))
}

pub fn octal<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "`{text}` is no mode; allowed are octal digits up to \"7777\", such as \"0755\""
        ))
    })
}

/// Parses TOML; what is wrong comes with line and column, in one line.
pub fn parse_toml<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|e: toml::de::Error| {
        let at = e.span().map(|span| {
            let before = text.get(..span.start).unwrap_or_default();
            let line_start = before.rfind('\n').map_or(0, |i| i + 1);
            (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
        });
        Error::Document { file: file.into(), at, problem: one_line(e.message()) }
    })
}

/// serde's `unknown field` with the nearest of the expected ones in front.
fn one_line(message: &str) -> String {
    let message = message.lines().map(str::trim).collect::<Vec<_>>().join(", ");
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match (message.starts_with("unknown field"), quoted.split_first()) {
        (true, Some((wrong, known))) => match suggest(wrong, known) {
            Some(near) => {
                message.replacen(&format!("`{wrong}`"), &format!("`{wrong}`, did you mean `{near}`?"), 1)
            }
            None => message,
        },
        _ => message,
    }
}
