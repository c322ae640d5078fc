//! `${NAME}` in values: what Compose asks the user's environment for, and what stands there without it.

/// A question to the user's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable<'a> {
    /// Its name.
    pub name: &'a str,
    /// What holds when it is not set; none where it must be.
    pub default: Option<&'a str>,
}

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Variable(Variable<'a>),
}

/// The parts of a value. `$$` is a plain `$`.
fn parts(mut text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    while let Some(start) = text.find('$') {
        parts.push(Part::Text(&text[..start]));
        let rest = &text[start + 1..];
        if let Some(rest) = rest.strip_prefix('$') {
            parts.push(Part::Text("$"));
            text = rest;
            continue;
        }
        let Some((inside, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            parts.push(Part::Text("$"));
            text = rest;
            continue;
        };
        let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len());
        let default = inside[end..].strip_prefix(":-").or_else(|| inside[end..].strip_prefix('-'));
        parts.push(Part::Variable(Variable { name: &inside[..end], default }));
        text = after;
    }
    parts.push(Part::Text(text));
    parts
}

/// The variables of a value.
pub fn variables(text: &str) -> Vec<Variable<'_>> {
    let variable = |part| match part {
        Part::Variable(variable) => Some(variable),
        Part::Text(_) => None,
    };
    parts(text).into_iter().filter_map(variable).collect()
}

/// The value where nothing is set; `None` where something must be.
pub fn literal(text: &str) -> Option<String> {
    let part = |part| match part {
        Part::Text(text) => Some(text),
        Part::Variable(variable) => variable.default,
    };
    parts(text).into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_without_an_environment() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(literal(text).as_deref(), expect, "{text}");
        check("plain", Some("plain"));
        check("${A:-b}c", Some("bc"));
        check("${A-b}:${C:-d}", Some("b:d"));
        check("${A:-}", Some(""));
        check("${A}", None);
        check("${A:?why}", None);
        check("a$$b", Some("a$b"));
        check("50$", Some("50$"));
        check("${open", Some("${open"));
    }

    #[test]
    fn what_is_asked() {
        let names = |text| variables(text).into_iter().map(|v| v.name).collect::<Vec<_>>();
        assert_eq!(names("${A:-b} ${C:?d} $$E"), ["A", "C"]);
        assert_eq!(names("none"), [""; 0]);
    }
}
