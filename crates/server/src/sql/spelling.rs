//! Postgres' spellings that the parser does not know, in words that it knows.

use super::error::Result;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

/// What SET CONSTRAINTS is for the parser: a parameter like others.
pub(super) const CONSTRAINTS: &str = "sb_constraints";

/// What ALTER SEQUENCE is for the parser: a parameter too.
pub(super) const ALTER_SEQUENCE: &str = "sb_alter_sequence";

/// The label that ALTER TYPE … OWNER TO renames for the parser: no enumeration can have it.
pub(super) const TYPE_OWNER: &str = "\u{1}owner";

/// Spellings that the parser does not know, in words that it knows: COPY's switches may be `on` and `off`,
/// SET CONSTRAINTS is no parameter, MOVE is a FETCH of no rows, TABLE a SELECT, and OVERRIDING SYSTEM VALUE a switch.
pub(super) fn adapted(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let tokens = if needs_statements(&tokens) { by_statement(tokens)? } else { tokens };
    let mut adapted: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut statement = Keyword::NoKeyword;
    let mut previous = Keyword::NoKeyword;
    let (mut constraints, mut moving, mut fetching, mut first) = (false, false, false, true);
    let (mut start, mut begin) = (0, 0);
    let mut overriding = 0_u8;
    for mut token in tokens {
        let (word, span) = (|text: &str| Token::make_keyword(text), token.span);
        let end = matches!(token.token, Token::SemiColon | Token::EOF);
        if end {
            name_roles(&mut adapted, begin);
            open_options(&mut adapted, begin);
            own_type(&mut adapted, begin);
            begin = adapted.len() + 1;
        }
        if end && fetching {
            finish_fetch(&mut adapted, start, moving);
        }
        if end {
            (statement, previous) = (Keyword::NoKeyword, Keyword::NoKeyword);
            (constraints, moving, fetching, first) = (false, false, false, true);
        }
        let Token::Word(found) = &mut token.token else {
            if let (true, Token::Number(digits, _)) = (fetching, &mut token.token)
                && adapted.last().is_some_and(|last| last.token == Token::Minus)
            {
                // A count or a place may be negative.
                adapted.pop();
                digits.insert(0, '-');
            }
            if !constraints {
                adapted.push(token);
            }
            continue;
        };
        let keyword = found.keyword;
        if statement == Keyword::NoKeyword {
            statement = keyword;
        }
        let behind = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_));
        let among = adapted
            .iter()
            .rev()
            .find(behind)
            .is_some_and(|last| matches!(last.token, Token::LParen | Token::Comma | Token::Period));
        let opens = !among && found.value.eq_ignore_ascii_case("overriding");
        if statement == Keyword::INSERT && (opens || overriding > 0) {
            // OVERRIDING SYSTEM VALUE: the parser has a switch that Postgres doesn't.
            overriding = if keyword == Keyword::VALUE { 0 } else { overriding + 1 };
            if opens {
                let insert = adapted[begin..].iter().position(
                    |token| matches!(&token.token, Token::Word(word) if word.keyword == Keyword::INSERT),
                );
                let at = begin + insert.map_or(0, |index| index + 1);
                adapted.insert(at, TokenWithSpan::new(word("OVERWRITE"), span));
                adapted.insert(at, TokenWithSpan::new(Token::Whitespace(Whitespace::Space), span));
            }
            continue;
        }
        if first && keyword == Keyword::TABLE {
            // TABLE t is short for SELECT * FROM t.
            first = false;
            let blank = Token::Whitespace(Whitespace::Space);
            for token in [word("SELECT"), blank.clone(), Token::Mul, blank, word("FROM")] {
                adapted.push(TokenWithSpan::new(token, span));
            }
            continue;
        }
        if std::mem::take(&mut first)
            && ["move", "fetch"].iter().any(|word| found.value.eq_ignore_ascii_case(word))
        {
            (fetching, moving, start) = (true, found.value.eq_ignore_ascii_case("move"), adapted.len());
            token.token = word("FETCH");
        } else if statement == Keyword::SET
            && previous == Keyword::SET
            && found.value.eq_ignore_ascii_case("constraints")
        {
            constraints = true;
            for text in [CONSTRAINTS, "TO"] {
                adapted.push(TokenWithSpan::new(word(text), span));
                adapted.push(TokenWithSpan::new(Token::Whitespace(Whitespace::Space), span));
            }
            continue;
        } else if constraints {
            // Which constraints are meant makes no difference.
            if keyword == Keyword::DEFERRED || keyword == Keyword::IMMEDIATE {
                adapted.push(token);
            }
            continue;
        } else if statement == Keyword::COPY && matches!(previous, Keyword::FREEZE | Keyword::HEADER) {
            match keyword {
                Keyword::ON => found.keyword = Keyword::TRUE,
                Keyword::OFF => found.keyword = Keyword::FALSE,
                _ => {}
            }
        }
        previous = keyword;
        adapted.push(token);
    }
    name_roles(&mut adapted, begin);
    open_options(&mut adapted, begin);
    own_type(&mut adapted, begin);
    if fetching {
        finish_fetch(&mut adapted, start, moving);
    }
    Ok(adapted)
}

/// The options of CREATE EXTENSION may do without WITH.
fn open_options(tokens: &mut Vec<TokenWithSpan>, begin: usize) {
    let begin = begin.min(tokens.len());
    let words = tokens[begin..].iter().enumerate().filter_map(|(index, token)| match &token.token {
        Token::Word(word) => Some((begin + index, word.keyword)),
        _ => None,
    });
    let words: Vec<(usize, Keyword)> = words.collect();
    let keyword = |at: usize| words.get(at).map(|(_, keyword)| *keyword);
    if keyword(0) != Some(Keyword::CREATE) || keyword(1) != Some(Keyword::EXTENSION) {
        return;
    }
    let name = if keyword(2) == Some(Keyword::IF) { 5 } else { 2 };
    if let Some((at, Keyword::SCHEMA | Keyword::VERSION | Keyword::CASCADE)) = words.get(name + 1) {
        let span = tokens[*at].span;
        tokens.insert(*at, TokenWithSpan::new(Token::Whitespace(Whitespace::Space), span));
        tokens.insert(*at, TokenWithSpan::new(Token::make_keyword("WITH"), span));
    }
}

/// ALTER TYPE … OWNER TO, which the parser has for tables only.
fn own_type(tokens: &mut Vec<TokenWithSpan>, begin: usize) {
    let begin = begin.min(tokens.len());
    let words = tokens[begin..].iter().enumerate().filter_map(|(index, token)| match &token.token {
        Token::Word(word) => Some((begin + index, word)),
        _ => None,
    });
    let words: Vec<(usize, Keyword, bool)> =
        words.map(|(at, word)| (at, word.keyword, word.value.eq_ignore_ascii_case("owner"))).collect();
    let [(_, Keyword::ALTER, _), (_, Keyword::TYPE, _), .., (at, _, true), (_, Keyword::TO, _), _] =
        words.as_slice()
    else {
        return;
    };
    let span = tokens[*at].span;
    let blank = || Token::Whitespace(Whitespace::Space);
    let renamed = [
        Token::make_keyword("RENAME"),
        blank(),
        Token::make_keyword("VALUE"),
        blank(),
        Token::SingleQuotedString(TYPE_OWNER.to_owned()),
    ];
    tokens.splice(at..=at, renamed.map(|token| TokenWithSpan::new(token, span)));
}

/// GRANT without ON is about roles, which the parser knows by the word ROLE only.
fn name_roles(tokens: &mut Vec<TokenWithSpan>, begin: usize) {
    let keyword = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    };
    let begin = begin.min(tokens.len());
    let mut words = tokens[begin..].iter().filter_map(keyword);
    if !matches!(words.next(), Some(Keyword::GRANT | Keyword::REVOKE)) {
        return;
    }
    if words.any(|word| word == Keyword::ON) {
        return name_grantees(&mut tokens[begin..]);
    }
    let mut at = begin;
    let mut expected = false;
    while at < tokens.len() {
        match &tokens[at].token {
            Token::Word(word) if matches!(word.keyword, Keyword::TO | Keyword::FROM) => return,
            Token::Word(word) if matches!(word.keyword, Keyword::GRANT | Keyword::REVOKE) => expected = true,
            Token::Word(word) if expected && word.keyword != Keyword::ROLE => {
                let span = tokens[at].span;
                tokens.insert(at, TokenWithSpan::new(Token::Whitespace(Whitespace::Space), span));
                tokens.insert(at, TokenWithSpan::new(Token::make_keyword("ROLE"), span));
                (at, expected) = (at + 2, false);
            }
            Token::Word(_) => expected = false,
            Token::Comma => expected = true,
            _ => {}
        }
        at += 1;
    }
}

/// In GRANT and REVOKE, TEMP is short for TEMPORARY, and PUBLIC a role among others: the parser lets none follow it.
fn name_grantees(tokens: &mut [TokenWithSpan]) {
    let mut objects = false;
    for token in tokens {
        let Token::Word(word) = &mut token.token else { continue };
        match word.keyword {
            Keyword::ON => objects = true,
            Keyword::TEMP if !objects => token.token = Token::make_keyword("TEMPORARY"),
            Keyword::PUBLIC => word.keyword = Keyword::NoKeyword,
            _ => {}
        }
    }
}

/// FETCH may leave out FROM before the cursor's name, and MOVE wants no rows.
fn finish_fetch(tokens: &mut Vec<TokenWithSpan>, start: usize, moving: bool) {
    let is_word = |token: &TokenWithSpan| matches!(token.token, Token::Word(_));
    let named = |token: &TokenWithSpan| matches!(&token.token, Token::Word(word) if matches!(word.keyword, Keyword::FROM | Keyword::IN));
    let Some(name) = tokens[start..].iter().rposition(is_word).map(|index| start + index) else { return };
    let span = tokens[name].span;
    let blank = || TokenWithSpan::new(Token::Whitespace(Whitespace::Space), span);
    if moving {
        tokens.extend([blank(), TokenWithSpan::new(Token::make_keyword("INTO"), span), blank()]);
        tokens.push(TokenWithSpan::new(Token::make_keyword("sb_move"), span));
    }
    if name > start && !tokens[start..].iter().any(named) {
        // `FETCH c` and `FETCH 2 c`: a lone name needs a direction too.
        let lone = !tokens[start + 1..name].iter().any(|token| !matches!(token.token, Token::Whitespace(_)));
        let words: &[&str] = if lone { &["NEXT", "FROM"] } else { &["FROM"] };
        for word in words.iter().rev() {
            tokens.insert(name, blank());
            tokens.insert(name, TokenWithSpan::new(Token::make_keyword(word), span));
        }
    }
}

fn needs_statements(tokens: &[TokenWithSpan]) -> bool {
    let marks = [Keyword::SEQUENCE, Keyword::IDENTITY, Keyword::VACUUM, Keyword::DO, Keyword::MATERIALIZED];
    tokens.iter().any(|token| match &token.token {
        Token::Word(word) => marks.contains(&word.keyword) || word.value.eq_ignore_ascii_case("elsif"),
        _ => false,
    })
}

/// Each statement on its own, for what concerns sequences, VACUUM and DO.
fn by_statement(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut adapted = Vec::with_capacity(tokens.len());
    let mut statement = Vec::new();
    for token in tokens {
        if matches!(token.token, Token::SemiColon | Token::EOF) {
            adapted.extend(one(std::mem::take(&mut statement))?);
            adapted.push(token);
        } else {
            statement.push(token);
        }
    }
    adapted.extend(one(statement)?);
    Ok(adapted)
}

fn one(statement: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    super::block::adapt(super::vacuum::adapt(super::materialized::adapt(super::sequences::adapt(
        statement,
    ))?)?)
}
