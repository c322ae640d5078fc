//! LIKE, ILIKE and regular expressions.

use super::error::{Result, SqlError};

/// Matches a LIKE pattern; `escape` is one character, or nothing.
pub fn like(text: &str, pattern: &str, escape: &str, ignore_case: bool) -> Result<bool> {
    if escape.chars().count() > 1 {
        return Err(SqlError::new("22023", "invalid escape string")
            .hint("Escape string must be empty or one character."));
    }
    let fold = |text: &str| if ignore_case { text.to_lowercase() } else { text.to_owned() };
    let text: Vec<char> = fold(text).chars().collect();
    let escape = escape.chars().next();
    let mut tokens = Vec::new();
    let pattern = fold(pattern);
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            c if Some(c) == escape => {
                Token::Char(characters.next().ok_or_else(|| {
                    SqlError::new("22023", "LIKE pattern must not end with escape character")
                })?)
            }
            '%' => Token::Any,
            '_' => Token::One,
            c => Token::Char(c),
        });
    }
    Ok(matches(&text, &tokens))
}

enum Token {
    Char(char),
    One,
    Any,
}

/// Goes back to the last `%` only, so the time is bounded by the product of both lengths.
fn matches(text: &[char], tokens: &[Token]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match tokens.get(p) {
            Some(Token::Any) => {
                retry = Some((p, t));
                p += 1;
            }
            Some(Token::One) => (t, p) = (t + 1, p + 1),
            Some(Token::Char(c)) if *c == text[t] => (t, p) = (t + 1, p + 1),
            _ => match retry {
                Some((any, from)) => {
                    retry = Some((any, from + 1));
                    (t, p) = (from + 1, any + 1);
                }
                None => return false,
            },
        }
    }
    tokens[p..].iter().all(|token| matches!(token, Token::Any))
}

/// Matches a regular expression anywhere in the text.
pub fn regex(text: &str, pattern: &str, ignore_case: bool) -> Result<bool> {
    let built = regex_lite::RegexBuilder::new(pattern).case_insensitive(ignore_case).build();
    let built =
        built.map_err(|error| SqlError::new("2201B", format!("invalid regular expression: {error}")))?;
    Ok(built.is_match(text))
}

/// Replaces the first match, or with the flag `g` all; `\\1` in the replacement is the first group.
pub fn replace(text: &str, pattern: &str, replacement: &str, flags: &str) -> Result<String> {
    if let Some(other) = flags.chars().find(|c| !matches!(c, 'g' | 'i')) {
        return Err(SqlError::new("22023", format!("invalid regular expression option: \"{other}\"")));
    }
    let built = regex_lite::RegexBuilder::new(pattern).case_insensitive(flags.contains('i')).build();
    let built =
        built.map_err(|error| SqlError::new("2201B", format!("invalid regular expression: {error}")))?;
    let with = |found: &regex_lite::Captures<'_>| {
        let mut out = String::new();
        let mut characters = replacement.chars();
        while let Some(c) = characters.next() {
            if c != '\\' {
                out.push(c);
                continue;
            }
            match characters.next() {
                Some('&') => out.push_str(&found[0]),
                Some(digit) if digit.is_ascii_digit() => {
                    let group = usize::try_from(u32::from(digit) - u32::from('0')).unwrap_or(0);
                    out.push_str(found.get(group).map_or("", |group| group.as_str()));
                }
                Some(other) => out.push(other),
                None => out.push('\\'),
            }
        }
        out
    };
    let limit = usize::from(!flags.contains('g'));
    Ok(built.replacen(text, limit, with).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_follows_postgres() {
        let check = |text: &str, pattern: &str, expect: bool| {
            assert_eq!(like(text, pattern, "\\", false).unwrap(), expect, "{text:?} LIKE {pattern:?}");
        };
        check("abc", "a%", true);
        check("abc", "_b_", true);
        check("abc", "b", false);
        check("ABC", "abc", false);
        check("", "%", true);
        check("a%c", "a\\%c", true);
        check("abc", "a\\%c", false);
        check("aaab", "%a%b", true);
        check("aaa", "%a%b", false);
        assert!(like("ABC", "a%", "\\", true).unwrap());
        assert!(like("a", "a\\", "\\", false).is_err());
    }
}
