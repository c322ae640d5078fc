//! ALTER TABLE … ALTER COLUMN: default, NOT NULL, identity, type.

use super::alter::missing;
use super::{Maker, default_text, names_of, sequence_of};
use crate::sql::catalog::{Column, Constraint, Identity, Relation, stored};
use crate::sql::error::{Result, SqlError};
use crate::sql::fold;
use crate::sql::quote;
use crate::sql::types::Typed;
use sqlparser::ast::{AlterColumnOperation, Expr, GeneratedAs, Ident};

impl Maker<'_, '_> {
    pub(super) fn alter_column(
        &mut self,
        relation: &mut Relation,
        ident: &Ident,
        op: &AlterColumnOperation,
    ) -> Result<()> {
        let name = fold(ident);
        let index = relation.columns.iter().position(|column| column.name == name);
        let index = index.ok_or_else(|| missing(relation, &name).at(ident.span.start))?;
        match op {
            AlterColumnOperation::SetDefault { .. } if relation.columns[index].identity.is_some() => {
                let message =
                    format!("column \"{name}\" of relation \"{}\" is an identity column", relation.base());
                Err(SqlError::syntax(message))
            }
            AlterColumnOperation::SetDefault { value } => {
                relation.columns[index].default = Some(default_text(value));
                self.compiler.default_of(&relation.columns[index].clone()).map(|_| ())
            }
            AlterColumnOperation::DropDefault => {
                relation.columns[index].default = None;
                Ok(())
            }
            AlterColumnOperation::SetNotNull => {
                relation.columns[index].not_null = true;
                self.refuse_nulls(relation, &name);
                self.rewrite(relation)
            }
            AlterColumnOperation::DropNotNull => {
                let primary = |c: &Constraint| c.kind == 'p' && c.columns.contains(&name);
                if relation.constraints.iter().any(primary) {
                    let message = format!("column \"{name}\" is in a primary key");
                    return Err(SqlError::new("42P16", message).at(ident.span.start));
                }
                if relation.columns[index].identity.is_some() {
                    let message = format!(
                        "column \"{name}\" of relation \"{}\" is an identity column",
                        relation.shown()
                    );
                    return Err(SqlError::syntax(message).at(ident.span.start));
                }
                relation.columns[index].not_null = false;
                self.rewrite(relation)
            }
            AlterColumnOperation::SetDataType { data_type, using, .. } => {
                let declared = self.compiler.context.column_type(data_type);
                let (typed, _) = declared.map_err(|error| error.at(ident.span.start))?;
                self.set_type(relation, index, typed, using.as_ref()).map_err(|e| e.at(ident.span.start))
            }
            AlterColumnOperation::AddGenerated { generated_as, sequence_options } => {
                let mut column = relation.columns[index].clone();
                if !column.not_null {
                    let message = format!(
                        "column \"{name}\" of relation \"{}\" must be declared NOT NULL before identity can be added",
                        relation.shown()
                    );
                    return Err(SqlError::new("55000", message));
                }
                let old = &relation.columns[index];
                if old.identity.is_some() || old.default.is_some() {
                    let what = match old.identity {
                        Some(_) => "is already an identity column",
                        None => "already has a default value",
                    };
                    let message = format!("column \"{name}\" of relation \"{}\" {what}", relation.base());
                    return Err(SqlError::new("55000", message));
                }
                let always = matches!(generated_as, Some(GeneratedAs::Always));
                column.identity = Some(if always { Identity::Always } else { Identity::ByDefault });
                let options = sequence_options.as_deref().unwrap_or_default();
                let sequence = sequence_of("", column.typed().ty, options)?;
                self.own_sequence(relation, &mut column, &sequence)?;
                relation.columns[index] = column;
                Ok(())
            }
        }
    }

    /// ALTER COLUMN … TYPE: the rows are converted in place, under the new text.
    fn set_type(
        &mut self,
        relation: &mut Relation,
        index: usize,
        typed: Typed,
        using: Option<&Expr>,
    ) -> Result<()> {
        let old = relation.columns[index].clone();
        if old.generated {
            return Err(SqlError::unsupported("changing the type of a generated column"));
        }
        let readers = self.readers(relation);
        if let Some(view) = readers.iter().find(|view| self.view_reads(view, &old.name)) {
            let detail = format!("view {} depends on column \"{}\"", view.shown(), old.name);
            let message = "cannot alter type of a column used by a view or rule";
            return Err(SqlError::new("0A000", message).detail(detail));
        }
        // 1. The conversion, with the old types in sight.
        let column = Column { type_oid: typed.ty.oid(), typmod: typed.typmod, ..old.clone() };
        self.compiler.open_columns("", &names_of(relation));
        let own = Expr::Identifier(Ident::with_quote('"', &old.name));
        let frag = self.compiler.expr(using.unwrap_or(&own));
        let converted = frag.and_then(|frag| self.compiler.assign(frag, &column));
        self.compiler.close_scope();
        let converted = converted.map_err(|error| match error.code {
            "42804" => {
                let message = if using.is_some() {
                    format!(
                        "result of USING clause for column \"{}\" cannot be cast automatically to type {}",
                        old.name, typed.ty
                    )
                } else {
                    format!("column \"{}\" cannot be cast automatically to type {}", old.name, typed.ty)
                };
                SqlError::new("42804", message)
                    .hint(format!("You might need to specify \"USING {}::{typed}\".", old.name))
            }
            _ => error,
        })?;
        // 2. An index is sorted as its column was.
        let indexes: Vec<Relation> = self.catalog.indexes(&relation.name).cloned().collect();
        for index in &indexes {
            self.sql(format!("DROP INDEX {}", stored(&index.name)));
        }
        for constraint in relation.constraints.clone() {
            self.drop_key(relation, &constraint);
        }
        // 3. A row id is a whole number, and stays one or becomes a column like others.
        let stays = typed.ty.info().storage == "INTEGER" && using.is_none();
        let row_id = relation.constraints.iter().position(|c| c.row_id && c.columns.contains(&old.name));
        let freed = row_id.filter(|_| !stays).map(|at| relation.constraints[at].clone());
        if let (Some(at), Some(freed)) = (row_id, freed) {
            relation.constraints[at].row_id = false;
            self.rewrite(relation)?;
            self.settle_row_id(relation, &freed)?;
        }
        relation.columns[index] = column.clone();
        if column.default.is_some() && column.identity.is_none() {
            self.compiler.default_of(&column).map_err(|_| {
                let message = format!(
                    "default for column \"{}\" cannot be cast automatically to type {}",
                    old.name, typed.ty
                );
                SqlError::new("42804", message)
            })?;
        }
        self.rewrite(relation)?;
        if old.typed() != typed || using.is_some() {
            let (table, name) = (stored(&relation.name), quote(&old.name));
            self.sql(format!("UPDATE {table} SET {name} = {converted}"));
        }
        for constraint in relation.constraints.clone() {
            self.make_key(relation, &constraint);
        }
        for mut index in indexes {
            for part in
                index.columns.iter_mut().filter(|part| part.name == old.name && part.default.is_none())
            {
                (part.type_oid, part.typmod) = (column.type_oid, column.typmod);
            }
            self.make_index(&index, relation)?;
            self.put(index);
        }
        Ok(())
    }
}
