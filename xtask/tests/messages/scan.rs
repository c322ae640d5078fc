//! Finds the messages in a source: the texts that stand where an error, a warning or a line of the log is made.
//!
//! The source is read as Rust's tokens, not as its grammar: macros hold most messages, and to the grammar their inside
//! is tokens too.
//!
//! 1. A macro or a call of [`MACROS`] and [`CALLS`] has a message in one of its arguments.
//! 2. The message is a text there, plain or in `format!`, also in each branch of an `if` or `match`.
//! 3. Where a variable, closure or function stands instead, the text is looked for where that is defined.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A message of a source.
#[derive(Debug, Clone)]
pub struct Message {
    /// The line of its text, from 1.
    pub line: usize,
    /// What makes it: `bail!`, `SqlError::new`.
    pub maker: String,
    /// The SQLSTATE, where the maker takes one.
    pub code: Option<String>,
    /// Its text, with `…` for what differs.
    pub text: String,
}

/// Which argument is the message.
#[derive(Clone, Copy)]
enum Place {
    First,
    Second,
    Last,
}

/// Macros that make errors. The message is a format.
const MACROS: &[(&str, Place)] = &[
    ("anyhow", Place::First),
    ("bail", Place::First),
    ("ensure", Place::Second),
    // Warnings of programs that have no log.
    ("eprintln", Place::First),
];

/// Calls that make errors and lines of the log. Those without a type are functions and closures that some modules have
/// for their errors.
const CALLS: &[(&str, Place)] = &[
    ("Ended::Diverged", Place::First),
    ("Ended::Lost", Place::First),
    ("Err", Place::First),
    ("Error", Place::First),
    ("Error::Budget", Place::First),
    ("Error::Key", Place::First),
    ("Error::KeyKind", Place::First),
    ("Error::Misfit", Place::First),
    ("Error::Usage", Place::First),
    ("Error::custom", Place::Last),
    ("Error::format", Place::Last),
    ("Error::input", Place::Last),
    ("Error::invalid", Place::Last),
    ("Error::new", Place::Last),
    ("Error::other", Place::Last),
    ("Failure::new", Place::First),
    ("Failure::usage", Place::First),
    ("Lost::Other", Place::First),
    ("SqlError::fatal", Place::Second),
    ("SqlError::new", Place::Second),
    ("Stop::Lost", Place::First),
    ("Usage", Place::First),
    ("context", Place::First),
    ("damaged", Place::Last),
    ("disk", Place::First),
    ("f.write_str", Place::First),
    ("fail", Place::First),
    ("gone", Place::First),
    ("invalid", Place::Last),
    ("log::error", Place::First),
    ("log::event", Place::Second),
    ("log::warning", Place::First),
    ("map_err", Place::First),
    ("ok_or", Place::First),
    ("ok_or_else", Place::First),
    ("plain", Place::First),
    ("problem", Place::Last),
    ("refused", Place::Last),
    ("server_log::error", Place::First),
    ("server_log::warning", Place::First),
    ("warnings.push", Place::First),
    ("with_context", Place::First),
    ("wrong", Place::Last),
];

/// The messages of a source, but for those of its tests.
///
/// # Errors
/// What is wrong with it, if it is no Rust.
pub fn messages(source: &str) -> Result<Vec<Message>, String> {
    let nodes = parse(source)?;
    let mut found = Vec::new();
    walk(&nodes, None, &mut found);
    Ok(found)
}

/// The names of the modules in other files that are for tests alone.
///
/// # Errors
/// What is wrong with the source, if it is no Rust.
pub fn test_modules(source: &str) -> Result<Vec<String>, String> {
    let nodes = parse(source)?;
    let mut found = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        if let (true, [Node::Word(word), Node::Word(name), Node::Mark(';'), ..]) =
            (is_test(node), &nodes[i + 1..])
            && word == "mod"
        {
            found.push(name.clone());
        }
    }
    Ok(found)
}

/// A token, with what lies within.
enum Node {
    Word(String),
    Mark(char),
    Text(String, usize),
    Group(char, Vec<Node>),
    Other,
}

impl Node {
    fn is_word(&self, wanted: &str) -> bool {
        matches!(self, Node::Word(word) if word == wanted)
    }

    fn is_mark(&self, wanted: char) -> bool {
        matches!(self, Node::Mark(mark) if *mark == wanted)
    }

    fn group(&self, wanted: char) -> Option<&[Node]> {
        match self {
            Node::Group(mark, inner) if *mark == wanted => Some(inner),
            _ => None,
        }
    }
}

fn parse(source: &str) -> Result<Vec<Node>, String> {
    source.parse::<TokenStream>().map(tree).map_err(|error| error.to_string())
}

fn tree(stream: TokenStream) -> Vec<Node> {
    let node = |token| match token {
        TokenTree::Ident(word) => Node::Word(word.to_string()),
        TokenTree::Punct(mark) => Node::Mark(mark.as_char()),
        TokenTree::Literal(literal) => {
            let line = literal.span().start().line;
            match syn::Lit::new(literal) {
                syn::Lit::Str(text) => Node::Text(text.value(), line),
                _ => Node::Other,
            }
        }
        TokenTree::Group(group) => {
            let mark = match group.delimiter() {
                Delimiter::Parenthesis => '(',
                Delimiter::Brace => '{',
                Delimiter::Bracket => '[',
                Delimiter::None => ' ',
            };
            Node::Group(mark, tree(group.stream()))
        }
    };
    stream.into_iter().map(node).collect()
}

/// The tokens around a place, from the inside out.
struct Scope<'a> {
    nodes: &'a [Node],
    at: usize,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    /// What a name stands for: the last `let` before the place, else a constant or a function of the file.
    fn resolve(&self, name: &str) -> &'a [Node] {
        let defined = |word: &str, upto: usize| {
            self.nodes[..upto].windows(2).rposition(|pair| pair[0].is_word(word) && pair[1].is_word(name))
        };
        let value = |i: usize| {
            let rest = &self.nodes[i + 2..];
            &rest[..rest.iter().position(|node| node.is_mark(';')).unwrap_or(rest.len())]
        };
        if let Some(i) = defined("let", self.at) {
            return value(i);
        }
        if let Some(outer) = self.outer {
            return outer.resolve(name);
        }
        if let Some(i) = defined("const", self.nodes.len()) {
            return value(i);
        }
        let Some(i) = defined("fn", self.nodes.len()) else { return &[] };
        let body = self.nodes[i..].iter().position(|node| node.group('{').is_some());
        body.map_or(&[], |body| &self.nodes[i + body..=i + body])
    }
}

/// `#[cfg(test)]`, as the group after the `#`.
fn is_test(node: &Node) -> bool {
    let Some([name, Node::Group('(', of)]) = node.group('[') else { return false };
    name.is_word("cfg") && matches!(&of[..], [of] if of.is_word("test"))
}

fn walk(nodes: &[Node], outer: Option<&Scope<'_>>, found: &mut Vec<Message>) {
    let mut i = 0;
    while i < nodes.len() {
        let scope = Scope { nodes, at: i, outer };
        match (&nodes[i], nodes.get(i + 1), nodes.get(i + 2)) {
            (Node::Mark('#'), Some(attribute), _) if is_test(attribute) => {
                let ends = |node: &Node| node.group('{').is_some() || node.is_mark(';');
                i += nodes[i..].iter().position(ends).unwrap_or(nodes.len()) + 1;
                continue;
            }
            (Node::Mark('#'), Some(Node::Group('[', attribute)), _) => {
                if let [name, Node::Group('(', of)] = &attribute[..]
                    && let (true, Some(Node::Text(text, line))) = (name.is_word("error"), of.first())
                {
                    found.push(Message {
                        line: *line,
                        maker: "#[error]".into(),
                        code: None,
                        text: shown(text, true),
                    });
                }
                i += 1;
            }
            (Node::Word(name), Some(Node::Mark('!')), Some(Node::Group(_, inner))) => {
                if let Some((_, place)) = MACROS.iter().find(|(known, _)| known == name) {
                    take(&format!("{name}!"), *place, inner, &scope, found);
                }
            }
            (Node::Word(name), Some(Node::Group('(', inner)), _) => {
                let name = qualified(name, &nodes[..i]);
                if let Some((maker, place)) = CALLS.iter().find(|(known, _)| *known == name) {
                    take(maker, *place, inner, &scope, found);
                }
            }
            _ => {}
        }
        if let Some(Node::Group(_, inner)) = nodes.get(i) {
            walk(inner, Some(&scope), found);
        }
        i += 1;
    }
}

/// A call's name with the type or the value before it; a module's name says nothing.
fn qualified(name: &str, before: &[Node]) -> String {
    match before {
        [.., Node::Word(of), Node::Mark(':'), Node::Mark(':')]
            if of.ends_with("log") || of.starts_with(char::is_uppercase) =>
        {
            format!("{of}::{name}")
        }
        [.., Node::Word(of), Node::Mark('.')] if matches!(name, "push" | "write_str") => {
            format!("{of}.{name}")
        }
        // A definition is no call.
        [.., before] if before.is_word("fn") => String::new(),
        _ => name.to_owned(),
    }
}

/// Takes the messages out of the arguments of a macro or a call.
fn take(maker: &str, place: Place, inner: &[Node], scope: &Scope<'_>, found: &mut Vec<Message>) {
    let arguments: Vec<&[Node]> =
        inner.split(|node| node.is_mark(',')).filter(|argument| !argument.is_empty()).collect();
    let at = match place {
        Place::First => 0,
        Place::Second => 1,
        Place::Last => arguments.len().saturating_sub(1),
    };
    let Some(argument) = arguments.get(at) else { return };
    let is_macro = maker.ends_with('!');
    let mut all = texts(argument, is_macro, scope, 0);
    if is_macro {
        // What is put into the message may be one: `bail!("{} (…)", ways_out())`.
        let names = arguments[at + 1..].iter().filter_map(|argument| match argument.first() {
            Some(Node::Word(name)) => Some(name),
            _ => None,
        });
        all.extend(names.flat_map(|name| texts(scope.resolve(name), false, scope, 1)));
    }
    let code = match arguments[0] {
        [Node::Text(code, _)] if maker.starts_with("SqlError") => Some(code.clone()),
        _ => None,
    };
    let is_heard = match maker {
        "eprintln!" => all.iter().any(|(text, _)| text.contains("warning: ")),
        "log::event" => ["Error", "Warning"].iter().any(|w| arguments[0].iter().any(|node| node.is_word(w))),
        _ => true,
    };
    let message = |(text, line)| Message { line, maker: maker.to_owned(), code: code.clone(), text };
    found.extend(all.into_iter().filter(|_| is_heard).map(message));
}

/// The texts that an expression can become.
fn texts(nodes: &[Node], is_format: bool, scope: &Scope<'_>, depth: usize) -> Vec<(String, usize)> {
    let mut rest = nodes;
    while let [Node::Mark('&'), after @ ..] = rest {
        rest = after;
    }
    // A closure's parameters.
    if let [Node::Mark('|'), after @ ..] = rest {
        rest = &after[after.iter().position(|node| node.is_mark('|')).map_or(0, |end| end + 1)..];
    }
    let mut found = Vec::new();
    let is_path = matches!(rest.get(1), Some(Node::Mark(':' | '!')));
    if let (Some(Node::Word(name)), false, true) = (rest.first(), is_path, depth < 3) {
        found.extend(texts(scope.resolve(name), false, scope, depth + 1));
    }
    for (i, node) in rest.iter().enumerate() {
        match node {
            Node::Text(text, line) => found.push((shown(text, is_format), *line)),
            Node::Group('{', inner) => found.extend(texts(inner, false, scope, depth + 1)),
            Node::Group('(', inner) => {
                let makes_text = matches!(&rest[..i], [.., Node::Word(name), Node::Mark('!')]
                    if matches!(name.as_str(), "format" | "format_args"));
                if let (true, Some(Node::Text(text, line))) = (makes_text, inner.first()) {
                    found.push((shown(text, true), *line));
                }
            }
            _ => {}
        }
    }
    found
}

/// A text with `…` for what is put in.
fn shown(text: &str, is_format: bool) -> String {
    if !is_format {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '{' | '}' if rest.next_if_eq(&character).is_some() => out.push(character),
            '{' => {
                rest.by_ref().find(|end| *end == '}');
                out.push('…');
            }
            other => out.push(other),
        }
    }
    out
}
