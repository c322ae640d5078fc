//! Comments, owners and access rights.

use super::{Dump, OWN, qualified, text};
use crate::client::scanner::literal;
use crate::sql::{array, quote};
use std::io::{Error, Result, Write};

/// What `pg_class.relkind` is called in statements.
fn noun(kind: &str) -> &'static str {
    match kind {
        "v" => "VIEW",
        "m" => "MATERIALIZED VIEW",
        "S" => "SEQUENCE",
        "i" => "INDEX",
        _ => "TABLE",
    }
}

/// The words of the letters in an access control list.
const PRIVILEGES: [(char, &str); 11] = [
    ('a', "INSERT"),
    ('r', "SELECT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('U', "USAGE"),
    ('C', "CREATE"),
    ('c', "CONNECT"),
    ('T', "TEMPORARY"),
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
        let sql =
            "SELECT pg_get_userbyid(datdba), datacl FROM pg_database WHERE datname = current_database()";
        let row = self.rows(sql)?.into_iter().next().unwrap_or_default();
        let (master, access) = (text(&row, 0).to_owned(), text(&row, 1).to_owned());
        let owned = self.owned()?;
        // Rights are given by those who have them: before the owner is another.
        for Owned { object, owner, list } in &owned {
            grants(&as_table(object), owner, list, out)?;
        }
        for Owned { object, owner, .. } in owned.iter().filter(|owned| owned.owner != master) {
            let object = as_table(object);
            writeln!(out, "ALTER {object} OWNER TO {};", quote(owner))?;
        }
        if !access.is_empty() {
            // The database that reads this may have another name, which psql knows.
            let object = "DATABASE :\"DBNAME\"";
            writeln!(out, "REVOKE ALL ON {object} FROM PUBLIC;")?;
            grants(object, &master, &access, out)?;
        }
        Ok(())
    }

    /// Relations first: whoever owns a schema need not own what is in it.
    fn owned(&mut self) -> Result<Vec<Owned>> {
        let relations = format!(
            "SELECT c.relkind, n.nspname, c.relname, pg_get_userbyid(c.relowner), c.relacl FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'S') AND {OWN}
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

/// GRANT and ALTER … OWNER TO take views for tables.
fn as_table(object: &str) -> String {
    let view = object.strip_prefix("MATERIALIZED ").unwrap_or(object);
    view.strip_prefix("VIEW ").map_or_else(|| object.to_owned(), |name| format!("TABLE {name}"))
}

/// A GRANT for each item of an access control list but the owner's, who may do everything anyway.
fn grants(object: &str, owner: &str, list: &str, out: &mut dyn Write) -> Result<()> {
    let items = if list.is_empty() { Vec::new() } else { array::parse(list).map_err(Error::other)? };
    let given = items.iter().flatten().filter_map(|item| given(item));
    for (grantee, letters, grantor) in given.filter(|(grantee, ..)| *grantee != owner) {
        let to = if grantee.is_empty() { "PUBLIC".to_owned() } else { quote(grantee) };
        let by = (grantor != owner).then(|| quote(grantor));
        if let Some(grantor) = &by {
            writeln!(out, "SET ROLE {grantor};")?;
        }
        for option in [false, true] {
            let ours = |letter: char| {
                letters.split_once(letter).is_some_and(|(_, rest)| rest.starts_with('*') == option)
            };
            let words = PRIVILEGES.iter().filter(|(letter, _)| ours(*letter));
            let words: Vec<&str> = words.map(|(_, word)| *word).collect();
            if !words.is_empty() {
                let on = if option { " WITH GRANT OPTION" } else { "" };
                writeln!(out, "GRANT {} ON {object} TO {to}{on};", words.join(", "))?;
            }
        }
        if by.is_some() {
            writeln!(out, "RESET ROLE;")?;
        }
    }
    Ok(())
}

/// The grantee, the letters and the grantor of an item such as `wren=ar*/owl`; no grantee is everybody.
fn given(item: &str) -> Option<(&str, &str, &str)> {
    let (rights, grantor) = item.rsplit_once('/')?;
    let (grantee, letters) = rights.rsplit_once('=')?;
    Some((grantee.trim_matches('"'), letters, grantor.trim_matches('"')))
}
