//! Comments, owners and access rights.

use super::{Dump, OWN, qualified, text};
use crate::client::scanner::literal;
use crate::sql::{array, quote};
use std::io::{Error, Result, Write};

/// What `pg_class.relkind` is called in statements.
fn noun(kind: &str) -> &'static str {
    match kind {
        "v" => "VIEW",
        "S" => "SEQUENCE",
        "i" => "INDEX",
        _ => "TABLE",
    }
}

/// The words of the letters in an access control list.
const PRIVILEGES: [(char, &str); 9] = [
    ('a', "INSERT"),
    ('r', "SELECT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('U', "USAGE"),
    ('C', "CREATE"),
];

/// What belongs to somebody.
struct Owned {
    /// As GRANT and ALTER name it: `TABLE "t"`.
    object: String,
    owner: String,
    /// The text of its access control list.
    list: String,
}

impl Dump<'_> {
    pub(super) fn comments(&mut self, out: &mut dyn Write) -> Result<()> {
        let schemas = format!(
            "SELECT 'n', n.nspname, '', '', d.description FROM pg_description d
             JOIN pg_namespace n ON n.oid = d.objoid AND d.classoid = 'pg_namespace'::regclass WHERE {OWN}"
        );
        let relations = format!(
            "SELECT c.relkind, n.nspname, c.relname, coalesce(a.attname, ''), d.description FROM pg_description d
             JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
             JOIN pg_namespace n ON n.oid = c.relnamespace
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
             WHERE {OWN} ORDER BY c.oid, d.objsubid"
        );
        for row in self.rows(&schemas)?.into_iter().chain(self.rows(&relations)?) {
            let (kind, name) = (text(&row, 0), qualified(text(&row, 1), text(&row, 2)));
            let object = match (kind, text(&row, 3)) {
                ("n", _) => format!("SCHEMA {}", quote(text(&row, 1))),
                (kind, "") => format!("{} {name}", noun(kind)),
                (_, column) => format!("COLUMN {name}.{}", quote(column)),
            };
            writeln!(out, "COMMENT ON {object} IS {};", literal(text(&row, 4)))?;
        }
        Ok(())
    }

    pub(super) fn rights(&mut self, out: &mut dyn Write) -> Result<()> {
        let sql = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()";
        let master = self.rows(sql)?.first().map(|row| text(row, 0).to_owned()).unwrap_or_default();
        let owned = self.owned()?;
        // Rights are given by those who have them: before the owner is another.
        for Owned { object, owner, list } in &owned {
            let items =
                if list.is_empty() { Vec::new() } else { array::parse(list).map_err(Error::other)? };
            for (grantee, letters) in items.iter().flatten().filter_map(|item| given(item)) {
                // What the owner has is the owner's anyway.
                if grantee == owner {
                    continue;
                }
                let words: Vec<&str> = PRIVILEGES
                    .iter()
                    .filter(|(letter, _)| letters.contains(*letter))
                    .map(|(_, word)| *word)
                    .collect();
                let to = if grantee.is_empty() { "PUBLIC".to_owned() } else { quote(grantee) };
                let object = object.replacen("VIEW ", "TABLE ", 1);
                writeln!(out, "GRANT {} ON {object} TO {to};", words.join(", "))?;
            }
        }
        for Owned { object, owner, .. } in owned.iter().filter(|owned| owned.owner != master) {
            let object = object.replacen("VIEW ", "TABLE ", 1);
            writeln!(out, "ALTER {object} OWNER TO {};", quote(owner))?;
        }
        Ok(())
    }

    /// Relations first: whoever owns a schema need not own what is in it.
    fn owned(&mut self) -> Result<Vec<Owned>> {
        let relations = format!(
            "SELECT c.relkind, n.nspname, c.relname, pg_get_userbyid(c.relowner), c.relacl FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'S') AND {OWN}
             ORDER BY c.oid"
        );
        let schemas = format!(
            "SELECT 'n', n.nspname, '', pg_get_userbyid(n.nspowner), n.nspacl FROM pg_namespace n WHERE {OWN}
             AND n.nspname <> 'public' ORDER BY n.oid"
        );
        let rows = self.rows(&relations)?.into_iter().chain(self.rows(&schemas)?);
        let owned = rows.map(|row| Owned {
            object: match text(&row, 0) {
                "n" => format!("SCHEMA {}", quote(text(&row, 1))),
                kind => format!("{} {}", noun(kind), qualified(text(&row, 1), text(&row, 2))),
            },
            owner: text(&row, 3).to_owned(),
            list: text(&row, 4).to_owned(),
        });
        Ok(owned.collect())
    }
}

/// The grantee and the letters of an item such as `wren=ar/owl`; no grantee is everybody.
fn given(item: &str) -> Option<(&str, &str)> {
    let (rights, _grantor) = item.rsplit_once('/')?;
    let (grantee, letters) = rights.rsplit_once('=')?;
    Some((grantee.trim_matches('"'), letters))
}
