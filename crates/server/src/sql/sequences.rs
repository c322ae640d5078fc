//! Sequences in the parser's words: it knows their options in one order only, and no ALTER SEQUENCE.

use super::spelling::ALTER_SEQUENCE;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

/// Rewrites one statement, without its end.
pub(super) fn adapt(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let words: Vec<Keyword> = tokens.iter().filter_map(keyword).take(2).collect();
    match words.as_slice() {
        [Keyword::ALTER, Keyword::SEQUENCE] => altered(&tokens),
        [Keyword::CREATE, Keyword::SEQUENCE] => ordered(tokens),
        _ => {
            // An identity column's options stand in parentheses.
            let identity = tokens.iter().position(|token| keyword(token) == Some(Keyword::IDENTITY));
            let Some(open) = identity.and_then(|at| next(&tokens, at)) else { return tokens };
            if tokens[open].token != Token::LParen {
                return tokens;
            }
            let inside = tokens[open + 1..].iter().position(|token| token.token == Token::RParen);
            let Some(close) = inside.map(|at| open + 1 + at) else { return tokens };
            let options = ordered(without_name(&tokens[open + 1..close]));
            let (before, after) = (&tokens[..=open], &tokens[close..]);
            before.iter().cloned().chain(options).chain(after.iter().cloned()).collect()
        }
    }
}

pub(super) fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    }
}

pub(super) fn is_blank(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

fn next(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (at + 1..tokens.len()).find(|index| !is_blank(&tokens[*index]))
}

/// `SEQUENCE NAME s.x` names what has that name anyway.
fn without_name(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let options = |token: &TokenWithSpan| rank(token).is_some();
    match tokens.iter().find(|token| !is_blank(token)).and_then(keyword) {
        Some(Keyword::SEQUENCE) => {
            let first = tokens.iter().position(options).unwrap_or(tokens.len());
            tokens[first..].to_vec()
        }
        _ => tokens.to_vec(),
    }
}

/// The place of the option that a word begins, in the parser's order.
fn rank(token: &TokenWithSpan) -> Option<u8> {
    Some(match keyword(token)? {
        Keyword::INCREMENT => 1,
        Keyword::MINVALUE => 2,
        Keyword::MAXVALUE => 3,
        Keyword::START => 4,
        Keyword::CACHE => 5,
        Keyword::CYCLE => 6,
        Keyword::OWNED => 7,
        _ => return None,
    })
}

/// The options in the parser's order; what comes before them stays.
fn ordered(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut head = Vec::new();
    let mut options: Vec<(u8, Vec<TokenWithSpan>)> = Vec::new();
    let mut no = None;
    for token in tokens {
        if keyword(&token) == Some(Keyword::NO) {
            no = Some(token);
            continue;
        }
        match rank(&token) {
            Some(place) => {
                let blank = TokenWithSpan::new(Token::Whitespace(Whitespace::Space), token.span);
                let begin = no.take().into_iter().flat_map(|no| [no, blank.clone()]);
                options.push((place, begin.chain([token, blank.clone()]).collect()));
            }
            // Between NO and its word there is nothing to keep.
            None if no.is_some() => {}
            None => options.last_mut().map_or(&mut head, |(_, tokens)| tokens).push(token),
        }
    }
    options.sort_by_key(|(place, _)| *place);
    head.into_iter().chain(options.into_iter().flat_map(|(_, tokens)| tokens)).collect()
}

/// ALTER SEQUENCE as a parameter: the sequence's name and the text of what changes.
fn altered(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let plain: Vec<&TokenWithSpan> = tokens.iter().filter(|token| !is_blank(token)).collect();
    let span = plain[0].span;
    let mut rest = &plain[2..];
    if rest.len() > 2 && keyword(rest[0]) == Some(Keyword::IF) {
        rest = &rest[2..];
    }
    // A name goes on while there are dots.
    let mut name = String::new();
    while let Some((first, more)) = rest.split_first() {
        let dotted = first.token == Token::Period || name.is_empty() || name.ends_with('.');
        if !dotted {
            break;
        }
        name += &first.token.to_string();
        rest = more;
    }
    let mut text = String::new();
    for token in rest {
        let glued = token.token == Token::Period || text.ends_with('.') || text.ends_with('-');
        text += if glued || text.is_empty() { "" } else { " " };
        text += &token.token.to_string();
    }
    let blank = Token::Whitespace(Whitespace::Space);
    let word = |text: &str| Token::make_keyword(text);
    let tokens = [
        word("SET"),
        blank.clone(),
        word(ALTER_SEQUENCE),
        blank.clone(),
        word("TO"),
        blank,
        Token::SingleQuotedString(name),
        Token::Comma,
        Token::SingleQuotedString(text),
    ];
    tokens.into_iter().map(|token| TokenWithSpan::new(token, span)).collect()
}
