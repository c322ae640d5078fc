//! `has_table_privilege` and its like: what a role may do, as `GRANT` and `REVOKE` left it.
//!
//! The catalogue is known when the statement is compiled. A name given as a literal is looked up at once; for any other
//! argument, such as `pg_class.oid`, the numbers and names that are allowed are written into the statement.

use super::{Compiler, Frag, Shape, literal};
use crate::engine::Value;
use crate::sql::catalog::{Kind, PUBLIC, Relation, schema_key};
use crate::sql::error::{Result, SqlError};
use crate::sql::system::closure;
use crate::sql::types::Type;

/// The words for privileges, with the letters in access control lists.
const WORDS: [(&str, char); 12] = [
    ("SELECT", 'r'),
    ("INSERT", 'a'),
    ("UPDATE", 'w'),
    ("DELETE", 'd'),
    ("TRUNCATE", 'D'),
    ("REFERENCES", 'x'),
    ("TRIGGER", 't'),
    ("USAGE", 'U'),
    ("CREATE", 'C'),
    ("CONNECT", 'c'),
    ("TEMPORARY", 'T'),
    ("TEMP", 'T'),
];

/// Whose privileges are asked for.
struct Asked {
    superuser: bool,
    memberships: Vec<String>,
    /// Each with whether it must be one that can be given on.
    letters: Vec<(char, bool)>,
}

impl Asked {
    fn may(&self, relation: &Relation) -> bool {
        let allows = |(letter, option): &(char, bool)| {
            let has = |role: &String| {
                if *option { relation.may_give(role, *letter) } else { relation.allows(role, *letter) }
            };
            self.memberships.iter().any(has)
        };
        self.superuser || self.letters.iter().any(allows)
    }
}

impl Compiler<'_> {
    pub(super) fn has_privilege(&mut self, name: &str, args: &[Frag]) -> Result<Option<Frag>> {
        // Privileges of columns are those of their table.
        let (kind, extra) = match name {
            "has_table_privilege" | "has_any_column_privilege" => ('r', 0),
            "has_column_privilege" => ('r', 1),
            "has_sequence_privilege" => ('S', 0),
            "has_schema_privilege" => ('n', 0),
            "has_database_privilege" => ('d', 0),
            _ => return Ok(None),
        };
        let (user, object, privilege) = match args.len().checked_sub(extra) {
            Some(2) => (None, &args[0], &args[1 + extra]),
            Some(3) => (Some(&args[0]), &args[1], &args[2 + extra]),
            _ => return Ok(None),
        };
        self.volatile = true;
        let asked = self.asked(user, privilege)?;
        let flag = |on: bool| Frag::new(if on { "1" } else { "0" }, Type::Bool);
        if let Shape::Literal(text) = &object.shape {
            return self.named(kind, text, &asked).map(|on| Some(flag(on)));
        }
        if object.shape == Shape::Null {
            return Ok(Some(Frag::new("NULL", Type::Bool)));
        }
        let (mut numbers, mut names) = (Vec::new(), Vec::new());
        let mut allow = |oid: i64, name: &str| {
            numbers.push(oid.to_string());
            names.push(literal(&Value::Text(name.to_owned())));
        };
        let relations = self.context.catalog.relations.values();
        match kind {
            'n' => {
                let fits = |schema: &&Relation| schema.kind == Kind::Schema && asked.may(schema);
                relations.filter(fits).for_each(|schema| allow(schema.oid, schema.base()));
                for (oid, name) in [(11, "pg_catalog"), (13_000, "information_schema"), (2200, PUBLIC)] {
                    if self.context.catalog.get(&schema_key(name)).is_none() && self.may_use(name, &asked) {
                        allow(oid, name);
                    }
                }
            }
            'd' => {
                let databases = self.context.cluster.databases();
                let fits = databases.iter().filter(|database| asked.may(database));
                fits.for_each(|database| allow(database.oid, &database.name));
            }
            _ => relations.filter(|relation| asked.may(relation)).for_each(|r| allow(r.oid, r.base())),
        }
        let list = if object.ty().is_integer() { numbers } else { names };
        Ok(Some(Frag::new(format!("({} IN ({}))", object.sql, list.join(", ")), Type::Bool)))
    }

    fn asked(&self, user: Option<&Frag>, privilege: &Frag) -> Result<Asked> {
        let Shape::Literal(words) = &privilege.shape else {
            return Err(SqlError::unsupported("a privilege that is no literal"));
        };
        let mut letters = Vec::new();
        for word in words.split(',') {
            let word = word.trim().to_ascii_uppercase();
            let (word, option) = match word.strip_suffix(" WITH GRANT OPTION") {
                Some(word) => (word, true),
                None => (word.as_str(), false),
            };
            let known = WORDS.iter().find(|(known, _)| *known == word);
            let unknown = || SqlError::new("22023", format!("unrecognized privilege type: \"{words}\""));
            letters.push((known.ok_or_else(unknown)?.1, option));
        }
        let context = self.context;
        let own = literal(&Value::Text(context.user.to_owned()));
        let user = match user.map(|user| (&user.shape, user)) {
            None => None,
            Some((Shape::Literal(name), _)) if name != context.user => Some(name),
            Some((Shape::Literal(_), _)) => None,
            Some((_, user)) if user.sql == own => None,
            Some(_) => return Err(SqlError::unsupported("a role that is no literal")),
        };
        let Some(user) = user else {
            let memberships = context.memberships.to_vec();
            return Ok(Asked { superuser: context.superuser, memberships, letters });
        };
        let roles = context.cluster.roles();
        let role = roles.iter().find(|role| role.name == *user);
        let role = role.ok_or_else(|| SqlError::new("42704", format!("role \"{user}\" does not exist")))?;
        let memberships = closure(&context.cluster.members(), user);
        Ok(Asked { superuser: role.superuser, memberships, letters })
    }

    fn named(&self, kind: char, text: &str, asked: &Asked) -> Result<bool> {
        if kind == 'n' {
            let catalog = self.context.catalog;
            let (_, name) = crate::sql::split_name(text);
            let known = matches!(name.as_str(), "pg_catalog" | "information_schema");
            if !known && !catalog.has_schema(&name) {
                return Err(SqlError::new("3F000", format!("schema \"{name}\" does not exist")));
            }
            return Ok(match catalog.get(&schema_key(&name)) {
                Some(schema) => asked.may(schema),
                None => self.may_use(&name, asked),
            });
        }
        if kind == 'd' {
            let databases = self.context.cluster.databases();
            let database = databases.iter().find(|database| database.name == text);
            let missing = || SqlError::new("3D000", format!("database \"{text}\" does not exist"));
            return database.map(|database| asked.may(database)).ok_or_else(missing);
        }
        let (schema, name) = crate::sql::split_name(text);
        let relation = self.context.find(schema.as_deref(), &name);
        let relation =
            relation.ok_or_else(|| SqlError::new("42P01", format!("relation \"{text}\" does not exist")))?;
        if kind == 'S' && relation.kind != Kind::Sequence {
            return Err(SqlError::new("42809", format!("\"{name}\" is not a sequence")));
        }
        Ok(asked.may(relation))
    }

    /// A schema without a record of its own: everybody may use it, and `public` is the database owner's.
    fn may_use(&self, schema: &str, asked: &Asked) -> bool {
        let context = self.context;
        let owner = || {
            let databases = context.cluster.databases();
            let own = databases.into_iter().find(|database| database.name == context.database);
            schema == PUBLIC && own.is_some_and(|database| asked.memberships.contains(&database.owner))
        };
        let own = |(letter, option): &(char, bool)| *letter == 'C' || (*letter == 'U' && *option);
        asked.superuser || asked.letters.contains(&('U', false)) || (asked.letters.iter().any(own) && owner())
    }
}
