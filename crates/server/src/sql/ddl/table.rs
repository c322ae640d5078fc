//! CREATE TABLE: columns, keys, checks.

use super::instants::refuse_zoned;
use super::{Maker, column, default_text, index_columns, names_of, sequence_of};
use crate::sql::catalog::{
    Column, Constraint, Foreign, Identity, Kind, Relation, TEMPORARY, is_temporary, stored,
};
use crate::sql::compile::{Compiler, relation_name};
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::{Sequence, Step};
use crate::sql::{fold, walk};
use sqlparser::ast::{
    ColumnDef, ColumnOption, CreateTable, CreateTableLikeKind, DeferrableInitial, Expr, ForeignKeyConstraint,
    GeneratedAs, Ident, OnCommit, ReferentialAction, TableConstraint,
};

impl Maker<'_, '_> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> Result<&'static str> {
        let place = walk::start_of(&create.name);
        if create.inherits.is_some()
            || create.partition_by.is_some()
            || create.partition_of.is_some()
            || create.or_replace
        {
            return Err(SqlError::unsupported("this form of CREATE TABLE").at(place));
        }
        if create.on_commit.is_some() && !create.temporary {
            let message = "ON COMMIT can only be used on temporary tables";
            return Err(SqlError::new("42P16", message).at(place));
        }
        let (schema, name) = relation_name(&create.name)?;
        let schema = if create.temporary { Some(TEMPORARY.to_owned()) } else { schema };
        let key = self.new_key(schema.as_deref(), &name).map_err(|error| error.at(place))?;
        if !self.free(&key, create.if_not_exists)? {
            return Ok("CREATE TABLE");
        }
        let mut relation = self.relation(&key, Kind::Table);
        relation.on_commit = match create.on_commit {
            Some(OnCommit::Drop) => Some(crate::sql::catalog::OnCommit::Drop),
            Some(OnCommit::DeleteRows) => Some(crate::sql::catalog::OnCommit::DeleteRows),
            _ => None,
        };
        if let Some(query) = &create.query {
            let (sql, outputs) = self.compiler.query(query)?;
            for (index, output) in outputs.iter().enumerate() {
                let name = create.columns.get(index).map_or_else(|| output.name.clone(), |c| fold(&c.name));
                relation.columns.push(column(&name, output.typed));
            }
            self.make_table(&relation)?;
            self.sql(format!("INSERT INTO {} {sql}", stored(&key)));
            self.put(relation);
            return Ok("CREATE TABLE");
        }
        if let Some(CreateTableLikeKind::Parenthesized(like) | CreateTableLikeKind::Plain(like)) =
            &create.like
        {
            let other = self.compiler.target(&like.name)?;
            self.compiler.check(&other, 'r')?;
            let plain = |c: &Column| Column {
                default: None,
                identity: None,
                generated: false,
                comment: None,
                ..c.clone()
            };
            relation.columns.extend(other.columns.iter().map(plain));
        }
        // 1. The columns, so that every expression below knows their types.
        for definition in &create.columns {
            let column = self.column(&relation, definition)?;
            if relation.column(&column.name).is_some() {
                let message = format!("column \"{}\" specified more than once", column.name);
                return Err(SqlError::new("42701", message).at(definition.name.span.start));
            }
            relation.columns.push(column);
        }
        // 2. The constraints, those of columns first.
        for definition in &create.columns {
            self.column_constraints(&mut relation, definition)?;
        }
        for constraint in &create.constraints {
            self.table_constraint(&mut relation, constraint)?;
        }
        // 3. The default expressions must compile now, not at the first INSERT.
        for column in relation.columns.iter().filter(|column| column.default.is_some() && !column.generated) {
            self.compiler.default_of(column)?;
        }
        self.make_table(&relation)?;
        self.put(relation);
        Ok("CREATE TABLE")
    }

    /// A column's own part; its keys and checks come later.
    pub(super) fn column(&mut self, relation: &Relation, definition: &ColumnDef) -> Result<Column> {
        let (typed, serial) = self
            .compiler
            .context
            .column_type(&definition.data_type)
            .map_err(|error| error.at(definition.name.span.start))?;
        let mut column = column(&fold(&definition.name), typed);
        let mut sequence = serial.then_some((&[][..], typed.ty));
        for option in &definition.options {
            match &option.option {
                ColumnOption::NotNull | ColumnOption::PrimaryKey(_) => column.not_null = true,
                ColumnOption::Default(expr) => column.default = Some(default_text(expr)),
                ColumnOption::Generated { generation_expr: Some(expr), .. } => {
                    column.generated = true;
                    column.default = Some(expr.to_string());
                }
                ColumnOption::Generated { generated_as, sequence_options, .. } => {
                    let always = matches!(generated_as, GeneratedAs::Always);
                    column.identity = Some(if always { Identity::Always } else { Identity::ByDefault });
                    sequence = Some((sequence_options.as_deref().unwrap_or_default(), typed.ty));
                }
                ColumnOption::Null
                | ColumnOption::Unique(_)
                | ColumnOption::Check(_)
                | ColumnOption::ForeignKey(_)
                | ColumnOption::Collation(_)
                | ColumnOption::Comment(_) => {}
                other => return Err(SqlError::unsupported(format!("column option {other}"))),
            }
        }
        if let Some(source) = column.default.as_ref().filter(|_| column.generated) {
            let other = relation.columns.iter().filter(|other| other.generated);
            if let Some(other) = other.map(|other| &other.name).find(|name| Compiler::reads(source, name)) {
                let message =
                    format!("cannot use generated column \"{other}\" in column generation expression");
                let detail = "A generated column cannot reference another generated column.";
                let error = SqlError::new("42P17", message).detail(detail);
                return Err(error.at(definition.name.span.start));
            }
        }
        if let Some((options, ty)) = sequence {
            self.own_sequence(relation, &mut column, &sequence_of("", ty, options)?)?;
        }
        Ok(column)
    }

    /// Gives a column the sequence behind `serial` and identity columns.
    pub(super) fn own_sequence(
        &mut self,
        relation: &Relation,
        column: &mut Column,
        sequence: &Sequence,
    ) -> Result<()> {
        let taken = |this: &Self, key: &str| {
            let put = |step: &Step| matches!(step, Step::Put(put) if put.name == *key);
            this.catalog.get(key).is_some() || this.steps.iter().any(put)
        };
        let base = format!("{}_{}_seq", relation.base(), column.name);
        let numbered = (1..).map(|n| format!("{base}{n}"));
        let names = std::iter::once(base.clone()).chain(numbered);
        let key = names.map(|name| relation.sibling(&name)).find(|key| !taken(self, key)).unwrap_or_default();
        let made = self.relation(&key, Kind::Sequence);
        let shown = if is_temporary(&key) { key.clone() } else { made.shown() };
        self.put(Relation { parent: Some(relation.name.clone()), ..made });
        self.steps.push(Step::PutSequence(Sequence { name: key, ..sequence.clone() }));
        column.default = Some(format!("nextval('{}')", shown.replace('\'', "''")));
        column.not_null = true;
        Ok(())
    }

    /// The keys and checks that stand with a column.
    pub(super) fn column_constraints(
        &mut self,
        relation: &mut Relation,
        definition: &ColumnDef,
    ) -> Result<()> {
        let own = std::slice::from_ref(&definition.name);
        for option in &definition.options {
            let named = option.name.as_ref();
            match &option.option {
                ColumnOption::PrimaryKey(_) => self.key(relation, named, 'p', own)?,
                ColumnOption::Unique(_) => self.key(relation, named, 'u', own)?,
                ColumnOption::Check(check) => {
                    self.check(relation, named, &check.expr, Some(&definition.name))?;
                }
                ColumnOption::ForeignKey(key) => self.foreign_key(relation, named, key, own)?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn table_constraint(
        &mut self,
        relation: &mut Relation,
        constraint: &TableConstraint,
    ) -> Result<()> {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                self.key(relation, key.name.as_ref(), 'p', &index_columns(&key.columns)?)
            }
            TableConstraint::Unique(key) => {
                self.key(relation, key.name.as_ref(), 'u', &index_columns(&key.columns)?)
            }
            TableConstraint::Check(check) => self.check(relation, check.name.as_ref(), &check.expr, None),
            TableConstraint::ForeignKey(key) => {
                self.foreign_key(relation, key.name.as_ref(), key, &key.columns)
            }
            other => Err(SqlError::unsupported(format!("constraint {other}"))),
        }
    }

    fn add(&mut self, relation: &mut Relation, constraint: Constraint) -> Result<()> {
        if relation.constraints.iter().any(|known| known.name == constraint.name) {
            let (name, table) = (&constraint.name, relation.shown());
            let message = format!("constraint \"{name}\" for relation \"{table}\" already exists");
            return Err(SqlError::new("42710", message));
        }
        if matches!(constraint.kind, 'p' | 'u') {
            let key = relation.sibling(&constraint.name);
            if self.catalog.relations.keys().any(|known| known.eq_ignore_ascii_case(&key)) {
                let message = format!("relation \"{}\" already exists", constraint.name);
                return Err(SqlError::new("42P07", message));
            }
        }
        relation.constraints.push(constraint);
        Ok(())
    }

    /// A name that no constraint of the table has yet.
    fn constraint_name(relation: &Relation, given: Option<&Ident>, base: &str) -> String {
        let taken = |name: &String| relation.constraints.iter().any(|constraint| constraint.name == *name);
        let numbered = (1..).map(|n| format!("{base}{n}"));
        let mut names = std::iter::once(base.to_owned()).chain(numbered);
        given.map(fold).or_else(|| names.find(|name| !taken(name))).unwrap_or_default()
    }

    fn key(
        &mut self,
        relation: &mut Relation,
        name: Option<&Ident>,
        kind: char,
        columns: &[Ident],
    ) -> Result<()> {
        let columns = self.constraint_columns(relation, columns)?;
        if kind == 'p' {
            if relation.constraints.iter().any(|constraint| constraint.kind == 'p') {
                let message =
                    format!("multiple primary keys for table \"{}\" are not allowed", relation.shown());
                return Err(SqlError::new("42P16", message));
            }
            for column in relation.columns.iter_mut().filter(|column| columns.contains(&column.name)) {
                column.not_null = true;
            }
        }
        let fallback = match kind {
            'p' => format!("{}_pkey", relation.base()),
            _ => format!("{}_{}_key", relation.base(), columns.join("_")),
        };
        let name = Self::constraint_name(relation, name, &fallback);
        let whole = |name: &String| {
            relation.column(name).is_some_and(|c| c.typed().ty.info().storage == "INTEGER" && !c.generated)
        };
        let row_id = kind == 'p' && columns.len() == 1 && columns.iter().all(whole);
        let fresh = self.catalog.get(&relation.name).is_none();
        self.add(relation, Constraint { columns, row_id: row_id && fresh, ..constraint(name, kind) })
    }

    fn check(
        &mut self,
        relation: &mut Relation,
        name: Option<&Ident>,
        expr: &Expr,
        column: Option<&Ident>,
    ) -> Result<()> {
        self.compiler.open_columns("", &names_of(relation));
        let compiled = self.compiler.condition("CHECK", expr);
        self.compiler.close_scope();
        let compiled = compiled?;
        let base = match column {
            Some(column) => format!("{}_{}_check", relation.base(), fold(column)),
            None => format!("{}_check", relation.base()),
        };
        let name = Self::constraint_name(relation, name, &base);
        refuse_zoned(&name, &compiled)?;
        let expr = if let Expr::Nested(inner) = expr { inner } else { expr };
        self.add(relation, Constraint { definition: expr.to_string(), ..constraint(name, 'c') })
    }

    fn foreign_key(
        &mut self,
        relation: &mut Relation,
        name: Option<&Ident>,
        key: &ForeignKeyConstraint,
        columns: &[Ident],
    ) -> Result<()> {
        let names = self.constraint_columns(relation, columns)?;
        let (schema, foreign) = relation_name(&key.foreign_table)?;
        let place = walk::start_of(&key.foreign_table);
        let itself = foreign == relation.base() && schema.as_deref().is_none_or(|s| s == relation.schema());
        let context = self.compiler.context;
        let found = if itself { Some(&*relation) } else { context.find(schema.as_deref(), &foreign) };
        let other = found.filter(|other| other.kind == Kind::Table);
        let other = other.ok_or_else(|| {
            SqlError::new("42P01", format!("relation \"{foreign}\" does not exist")).at(place)
        })?;
        self.compiler.check(other, 'x')?;
        let referred: Vec<String> = if key.referred_columns.is_empty() {
            let primary = other.constraints.iter().find(|constraint| constraint.kind == 'p');
            let message = format!("there is no primary key for referenced table \"{foreign}\"");
            primary.ok_or_else(|| SqlError::new("42704", message).at(place))?.columns.clone()
        } else {
            key.referred_columns.iter().map(fold).collect()
        };
        let unique = other.constraints.iter().any(|c| matches!(c.kind, 'p' | 'u') && c.columns == referred)
            || self
                .catalog
                .unique_name(&other.name, &referred.iter().map(String::as_str).collect::<Vec<_>>())
                .is_some();
        if !unique || referred.len() != names.len() {
            let message = format!(
                "there is no unique constraint matching given keys for referenced table \"{foreign}\""
            );
            return Err(SqlError::new("42830", message).at(place));
        }
        let action = |action: Option<ReferentialAction>| {
            let action = action.filter(|action| *action != ReferentialAction::NoAction);
            action.map(|action| action.to_string()).unwrap_or_default()
        };
        let timing = key.characteristics.as_ref();
        let deferred = timing.is_some_and(|c| c.initially == Some(DeferrableInitial::Deferred));
        let foreign = Foreign {
            table: other.name.clone(),
            columns: referred,
            on_delete: action(key.on_delete),
            on_update: action(key.on_update),
            deferred,
            deferrable: deferred || timing.is_some_and(|c| c.deferrable == Some(true)),
        };
        let base = format!("{}_{}_fkey", relation.base(), names.join("_"));
        let name = Self::constraint_name(relation, name, &base);
        self.add(relation, Constraint { columns: names, foreign: Some(foreign), ..constraint(name, 'f') })
    }

    fn constraint_columns(&self, relation: &Relation, columns: &[Ident]) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for ident in columns {
            let name = fold(ident);
            if relation.column(&name).is_none() {
                let message = format!("column \"{name}\" named in key does not exist");
                return Err(SqlError::new("42703", message).at(ident.span.start));
            }
            names.push(name);
        }
        Ok(names)
    }
}

fn constraint(name: String, kind: char) -> Constraint {
    Constraint {
        name,
        kind,
        columns: Vec::new(),
        definition: String::new(),
        foreign: None,
        row_id: false,
        comment: None,
    }
}

impl Compiler<'_> {
    /// Whether an expression, as written, reads a column.
    pub(in crate::sql) fn reads(text: &str, column: &str) -> bool {
        let Ok(expr) = crate::sql::parse_expr(text) else { return false };
        walk::any_expr(&expr, &mut |expr| match expr {
            Expr::Identifier(ident) => fold(ident) == column,
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|part| fold(part) == column),
            _ => false,
        })
    }
}

/// An expression, as written, with a column under its new name.
pub(super) fn renamed(text: &str, old: &str, new: &str) -> String {
    let Ok(mut expr) = crate::sql::parse_expr(text) else { return text.to_owned() };
    walk::change_exprs(&mut expr, &mut |expr| {
        let last = match expr {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(parts) => parts.last_mut(),
            _ => None,
        };
        if let Some(ident) = last.filter(|ident| fold(ident) == old) {
            *ident = ident_of(new);
        }
    });
    expr.to_string()
}

/// A name as it is written: quoted where it must be.
pub(super) fn ident_of(name: &str) -> Ident {
    if crate::sql::system::shown(name) == name { Ident::new(name) } else { Ident::with_quote('"', name) }
}
