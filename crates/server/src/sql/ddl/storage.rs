//! What SQLite is told of a table: its text, made from our own definition of it.
//!
//! A change of a table rewrites this text in SQLite's schema and then brings the rows into line, so that no
//! table is ever copied: constraints don't touch how rows are kept, and a column that changes its type is
//! updated in place. Only what is in the text can be changed like this, so every key is an index of its own,
//! but for a primary key of one whole number, which is SQLite's row id.

use super::{Maker, names_of};
use crate::sql::catalog::{Constraint, Relation, is_temporary, stored};
use crate::sql::error::Result;
use crate::sql::plan::Step;
use crate::sql::types::Typed;
use crate::sql::{parse_expr, quote};

impl Maker<'_, '_> {
    /// The text of a table as SQLite keeps it.
    pub(super) fn table_text(&mut self, relation: &Relation) -> Result<String> {
        self.compiler.open_columns("", &names_of(relation));
        let text = self.table_text_in_scope(relation);
        self.compiler.close_scope();
        text
    }

    fn table_text_in_scope(&mut self, relation: &Relation) -> Result<String> {
        let mut lines = Vec::new();
        for column in &relation.columns {
            let mut line = storage_line(&column.name, column.typed());
            if let (true, Some(source)) = (column.generated, &column.default) {
                let frag = self.compiler.expr(&parse_expr(source)?)?;
                let sql = self.compiler.assign(frag, column)?;
                line += &format!(" GENERATED ALWAYS AS ({sql}) STORED");
            }
            if column.not_null {
                line += " NOT NULL";
            }
            lines.push(line);
        }
        for constraint in &relation.constraints {
            let name = quote(&constraint.name);
            if constraint.row_id {
                lines.push(format!("CONSTRAINT {name} PRIMARY KEY ({})", list(&constraint.columns)));
            } else if constraint.kind == 'c' {
                let condition = self.compiler.condition("CHECK", &parse_expr(&constraint.definition)?)?;
                lines.push(format!("CONSTRAINT {name} CHECK ({condition})"));
            } else if let Some(foreign) = &constraint.foreign {
                let mut line = format!(
                    "CONSTRAINT {name} FOREIGN KEY ({}) REFERENCES {} ({})",
                    list(&constraint.columns),
                    quote(&foreign.table),
                    list(&foreign.columns)
                );
                for (event, action) in [("DELETE", &foreign.on_delete), ("UPDATE", &foreign.on_update)] {
                    if !action.is_empty() {
                        line += &format!(" ON {event} {action}");
                    }
                }
                line += if foreign.deferred { " DEFERRABLE INITIALLY DEFERRED" } else { "" };
                lines.push(line);
            }
        }
        Ok(format!("CREATE TABLE {} ({}) STRICT", quote(&relation.name), lines.join(", ")))
    }

    /// Makes a table and the indexes of its keys.
    pub(super) fn make_table(&mut self, relation: &Relation) -> Result<()> {
        let text = self.table_text(relation)?;
        self.sql(match text.strip_prefix("CREATE TABLE") {
            Some(rest) if is_temporary(&relation.name) => format!("CREATE TEMP TABLE{rest}"),
            _ => text,
        });
        for constraint in &relation.constraints {
            self.make_key(relation, constraint);
        }
        Ok(())
    }

    /// Writes the table's text anew after a change of its definition.
    pub(super) fn rewrite(&mut self, relation: &Relation) -> Result<()> {
        let sql = self.table_text(relation)?;
        self.steps.push(Step::Rewrite { table: relation.name.clone(), sql });
        Ok(())
    }

    /// The index behind a key that is not the row id.
    pub(super) fn make_key(&mut self, relation: &Relation, constraint: &Constraint) {
        if matches!(constraint.kind, 'p' | 'u') && !constraint.row_id {
            let (name, columns) = (stored(&relation.sibling(&constraint.name)), list(&constraint.columns));
            self.sql(format!("CREATE UNIQUE INDEX {name} ON {} ({columns})", quote(&relation.name)));
        }
    }

    /// Drops the index behind a key.
    pub(super) fn drop_key(&mut self, relation: &Relation, constraint: &Constraint) {
        if matches!(constraint.kind, 'p' | 'u') && !constraint.row_id {
            self.sql(format!("DROP INDEX {}", stored(&relation.sibling(&constraint.name))));
        }
    }

    /// The text of an index that is a relation of its own.
    pub(super) fn make_index(&mut self, index: &Relation, table: &Relation) -> Result<()> {
        self.compiler.open_columns("", &names_of(table));
        let mut terms = Vec::new();
        for column in &index.columns {
            let frag = match &column.default {
                Some(expr) => self.compiler.expr(&parse_expr(expr)?)?.sql,
                None => quote(&column.name),
            };
            terms.push(format!("{frag}{}", if column.descending { " DESC" } else { "" }));
        }
        let predicate = match &index.definition {
            Some(text) => format!(" WHERE {}", self.compiler.condition("WHERE", &parse_expr(text)?)?),
            None => String::new(),
        };
        self.compiler.close_scope();
        let unique =
            if index.kind == (crate::sql::catalog::Kind::Index { unique: true }) { "UNIQUE " } else { "" };
        let (name, on, terms) = (stored(&index.name), quote(&table.name), terms.join(", "));
        self.sql(format!("CREATE {unique}INDEX {name} ON {on} ({terms}){predicate}"));
        Ok(())
    }
}

/// A column in SQLite's terms: its name, its class, and how its values compare.
fn storage_line(name: &str, typed: Typed) -> String {
    let collate = typed.ty.collation().map(|name| format!(" COLLATE {name}")).unwrap_or_default();
    format!("{} {}{collate}", quote(name), typed.ty.info().storage)
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}
