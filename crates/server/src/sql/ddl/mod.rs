//! Definitions: what CREATE, ALTER and DROP change, as a list of steps.

mod alter;
mod grant;

use super::catalog::{Catalog, Column, Constraint, Identity, Kind, Relation};
use super::compile::{Compiler, Context, relation_name};
use super::error::{Result, SqlError};
use super::plan::{ClusterChange, RoleChange, Sequence, Step, literal_text};
use super::types::{Type, Typed, column_type};
use super::{fold, quote};
use sqlparser::ast::{
    AlterRoleOperation, ColumnDef, ColumnOption, CreateIndex, CreateTable, CreateView, Expr,
    ForeignKeyConstraint, GeneratedAs, Ident, IndexColumn, ObjectName, ObjectType, OrderBySort, Password,
    ReferentialAction, RoleOption, SequenceOptions, Spanned, Statement, TableConstraint,
};

type Steps = (Vec<Step>, &'static str);

/// The steps of a statement that changes one database's definitions.
pub fn steps(statement: &Statement, context: &Context<'_>, compiler: &mut Compiler<'_>) -> Result<Steps> {
    let mut maker =
        Maker { catalog: context.catalog, owner: context.user, compiler, steps: Vec::new(), oids: 0 };
    let tag = match statement {
        Statement::CreateTable(create) => maker.create_table(create)?,
        Statement::CreateIndex(create) => maker.create_index(create)?,
        Statement::CreateView(create) => maker.create_view(create)?,
        Statement::CreateSequence { name, if_not_exists, sequence_options, temporary: false, .. } => {
            maker.create_sequence(name, *if_not_exists, sequence_options)?
        }
        Statement::Grant(grant) => {
            maker.grant(&grant.privileges, grant.objects.as_ref(), &grant.grantees, true)?
        }
        Statement::Revoke(revoke) => {
            maker.grant(&revoke.privileges, revoke.objects.as_ref(), &revoke.grantees, false)?
        }
        Statement::AlterTable(alter) => maker.alter_table(alter)?,
        Statement::Truncate(truncate) => maker.truncate(truncate)?,
        Statement::Drop { object_type, if_exists, names, cascade, .. } => {
            maker.drop(*object_type, *if_exists, names, *cascade)?
        }
        Statement::CreateSchema { if_not_exists: true, schema_name, .. }
            if schema_name.to_string() == "public" =>
        {
            "CREATE SCHEMA"
        }
        other => {
            let text = other.to_string();
            let words: Vec<&str> = text.split_whitespace().take(2).collect();
            return Err(SqlError::unsupported(words.join(" ")).at(other.span().start));
        }
    };
    Ok((maker.steps, tag))
}

/// The change of the cluster that a statement asks for, if it is one.
pub fn cluster(statement: &Statement) -> Result<Option<(ClusterChange, &'static str)>> {
    Ok(Some(match statement {
        Statement::CreateDatabase { db_name, .. } => {
            (ClusterChange::CreateDatabase(relation_name(db_name)?.1), "CREATE DATABASE")
        }
        Statement::Drop { object_type: ObjectType::Database, if_exists, names, .. } => {
            let [name] = names.as_slice() else { return Err(SqlError::syntax("one database at a time")) };
            let name = relation_name(name)?.1;
            (ClusterChange::DropDatabase { name, if_exists: *if_exists }, "DROP DATABASE")
        }
        Statement::Drop { object_type: ObjectType::Role | ObjectType::User, if_exists, names, .. } => {
            let [name] = names.as_slice() else {
                return Err(SqlError::unsupported("dropping several roles at once"));
            };
            (ClusterChange::DropRole { name: relation_name(name)?.1, if_exists: *if_exists }, "DROP ROLE")
        }
        Statement::CreateRole(create) => {
            let [name] = create.names.as_slice() else {
                return Err(SqlError::unsupported("several roles at once"));
            };
            let password = create.password.as_ref().map(password).transpose()?;
            let role = RoleChange {
                login: create.login,
                superuser: create.superuser,
                replication: create.replication,
                password,
            };
            (ClusterChange::CreateRole { name: relation_name(name)?.1, role }, "CREATE ROLE")
        }
        Statement::AlterRole { name, operation: AlterRoleOperation::WithOptions { options } } => {
            let mut role = RoleChange::default();
            for option in options {
                match option {
                    RoleOption::Login(on) => role.login = Some(*on),
                    RoleOption::SuperUser(on) => role.superuser = Some(*on),
                    RoleOption::Replication(on) => role.replication = Some(*on),
                    RoleOption::Password(given) => role.password = Some(password(given)?),
                    other => return Err(SqlError::unsupported(format!("role option {other}"))),
                }
            }
            (ClusterChange::AlterRole { name: fold(name), role }, "ALTER ROLE")
        }
        _ => return Ok(None),
    }))
}

fn password(given: &Password) -> Result<Option<String>> {
    match given {
        Password::NullPassword => Ok(None),
        Password::Password(expr) => {
            literal_text(expr).map(Some).ok_or_else(|| SqlError::syntax("a password must be a string"))
        }
    }
}

struct Maker<'m, 'a> {
    catalog: &'m Catalog,
    owner: &'m str,
    compiler: &'m mut Compiler<'a>,
    steps: Vec<Step>,
    oids: i64,
}

impl Maker<'_, '_> {
    fn sql(&mut self, sql: String) {
        self.steps.push(Step::Sql(sql));
    }

    fn put(&mut self, relation: Relation) {
        self.steps.push(Step::Put(Box::new(relation)));
    }

    fn relation(&mut self, name: &str, kind: Kind) -> Relation {
        self.oids += 1;
        Relation {
            name: name.to_owned(),
            kind,
            oid: self.catalog.next_oid() + self.oids - 1,
            owner: self.owner.to_owned(),
            columns: Vec::new(),
            constraints: Vec::new(),
            definition: None,
            parent: None,
            grants: Vec::new(),
        }
    }

    /// Whether the name is free; a taken one is an error, or a notice with IF NOT EXISTS.
    fn free(&mut self, name: &str, if_not_exists: bool) -> Result<bool> {
        self.may_create()?;
        if name.starts_with("__sb_") || name.to_ascii_lowercase().starts_with("sqlite_") {
            return Err(SqlError::new("42939", format!("name \"{name}\" is reserved")));
        }
        // SQLite's names ignore case, so two that differ only in case can't live together.
        let taken = self.catalog.relations.keys().any(|known| known.eq_ignore_ascii_case(name));
        if taken && if_not_exists {
            self.steps.push(Step::Notice(format!("relation \"{name}\" already exists, skipping")));
        } else if taken {
            return Err(SqlError::new("42P07", format!("relation \"{name}\" already exists")));
        }
        Ok(!taken)
    }

    fn create_table(&mut self, create: &CreateTable) -> Result<&'static str> {
        if create.inherits.is_some()
            || create.like.is_some()
            || create.partition_by.is_some()
            || create.or_replace
        {
            return Err(SqlError::unsupported("this form of CREATE TABLE").at(create.name.span().start));
        }
        if create.temporary {
            return Err(SqlError::unsupported("CREATE TEMPORARY TABLE").at(create.name.span().start));
        }
        let (_, name) = relation_name(&create.name)?;
        if !self.free(&name, create.if_not_exists)? {
            return Ok("CREATE TABLE");
        }
        let mut relation = self.relation(&name, Kind::Table);
        if let Some(query) = &create.query {
            let (sql, outputs) = self.compiler.query(query)?;
            let mut lines = Vec::new();
            for output in outputs {
                lines.push(storage_line(&output.name, output.typed));
                relation.columns.push(column(&output.name, output.typed));
            }
            self.sql(format!("CREATE TABLE {} ({}) STRICT", quote(&name), lines.join(", ")));
            self.sql(format!("INSERT INTO {} {sql}", quote(&name)));
            self.put(relation);
            return Ok("CREATE TABLE");
        }
        // 1. The columns, so that every expression below knows their types.
        for definition in &create.columns {
            let column = self.column(&name, definition)?;
            if relation.column(&column.name).is_some() {
                let message = format!("column \"{}\" specified more than once", column.name);
                return Err(SqlError::new("42701", message).at(definition.name.span.start));
            }
            relation.columns.push(column);
        }
        // 2. The constraints, those of columns first.
        let known: Vec<(String, Typed)> =
            relation.columns.iter().map(|c| (c.name.clone(), c.typed())).collect();
        self.compiler.open_columns("", &known);
        let mut clauses = Vec::new();
        let mut generated = Vec::new();
        for definition in &create.columns {
            let own = std::slice::from_ref(&definition.name);
            for option in &definition.options {
                let named = option.name.as_ref();
                match &option.option {
                    ColumnOption::PrimaryKey(_) => self.key(&mut relation, named, 'p', own, &mut clauses)?,
                    ColumnOption::Unique(_) => self.key(&mut relation, named, 'u', own, &mut clauses)?,
                    ColumnOption::Check(check) => {
                        self.check(&mut relation, named, &check.expr, Some(&definition.name), &mut clauses)?;
                    }
                    ColumnOption::ForeignKey(key) => {
                        self.foreign_key(&mut relation, named, key, own, &mut clauses)?
                    }
                    ColumnOption::Generated { generation_expr: Some(expr), .. } => {
                        let target = relation.column(&fold(&definition.name)).cloned();
                        let target =
                            target.ok_or_else(|| SqlError::syntax("a generated column has no name"))?;
                        let frag = self.compiler.expr(expr)?;
                        generated.push((target.name.clone(), self.compiler.assign(frag, &target)?));
                    }
                    _ => {}
                }
            }
        }
        for constraint in &create.constraints {
            self.table_constraint(&mut relation, constraint, &mut clauses)?;
        }
        self.compiler.close_scope();
        // 3. The default expressions must compile now, not at the first INSERT.
        for column in relation.columns.iter().filter(|column| column.default.is_some()) {
            self.compiler.default_of(column)?;
        }
        let mut lines = Vec::new();
        for column in &relation.columns {
            let mut line = storage_line(&column.name, column.typed());
            if let Some((_, sql)) = generated.iter().find(|(name, _)| *name == column.name) {
                line += &format!(" GENERATED ALWAYS AS ({sql}) STORED");
            }
            if column.not_null {
                line += " NOT NULL";
            }
            lines.push(line);
        }
        lines.extend(clauses);
        self.sql(format!("CREATE TABLE {} ({}) STRICT", quote(&name), lines.join(", ")));
        self.put(relation);
        Ok("CREATE TABLE")
    }

    /// A column's own part; its keys and checks come later.
    fn column(&mut self, table: &str, definition: &ColumnDef) -> Result<Column> {
        let (typed, serial) =
            column_type(&definition.data_type).map_err(|error| error.at(definition.name.span.start))?;
        let mut column = column(&fold(&definition.name), typed);
        let mut sequence = serial.then_some((&[][..], typed.ty));
        for option in &definition.options {
            match &option.option {
                ColumnOption::NotNull | ColumnOption::PrimaryKey(_) => column.not_null = true,
                ColumnOption::Default(expr) => column.default = Some(expr.to_string()),
                ColumnOption::Generated { generation_expr: Some(_), .. } => column.generated = true,
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
        if let Some((options, ty)) = sequence {
            let name = format!("{table}_{}_seq", column.name);
            self.free(&name, false)?;
            let relation = self.relation(&name, Kind::Sequence);
            self.put(Relation { parent: Some(table.to_owned()), ..relation });
            self.steps.push(Step::PutSequence(sequence_of(&name, ty, options)?));
            column.default = Some(format!("nextval('{}')", name.replace('\'', "''")));
            column.not_null = true;
        }
        Ok(column)
    }

    fn table_constraint(
        &mut self,
        relation: &mut Relation,
        constraint: &TableConstraint,
        clauses: &mut Vec<String>,
    ) -> Result<()> {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                let columns = index_columns(&key.columns)?;
                self.key(relation, key.name.as_ref(), 'p', &columns, clauses)
            }
            TableConstraint::Unique(key) => {
                let columns = index_columns(&key.columns)?;
                self.key(relation, key.name.as_ref(), 'u', &columns, clauses)
            }
            TableConstraint::Check(check) => {
                self.check(relation, check.name.as_ref(), &check.expr, None, clauses)
            }
            TableConstraint::ForeignKey(key) => {
                self.foreign_key(relation, key.name.as_ref(), key, &key.columns, clauses)
            }
            other => Err(SqlError::unsupported(format!("constraint {other}"))),
        }
    }

    fn key(
        &mut self,
        relation: &mut Relation,
        name: Option<&Ident>,
        kind: char,
        columns: &[Ident],
        clauses: &mut Vec<String>,
    ) -> Result<()> {
        let names = self.constraint_columns(relation, columns)?;
        if kind == 'p' {
            if relation.constraints.iter().any(|constraint| constraint.kind == 'p') {
                let message =
                    format!("multiple primary keys for table \"{}\" are not allowed", relation.name);
                return Err(SqlError::new("42P16", message));
            }
            for column in relation.columns.iter_mut().filter(|column| names.contains(&column.name)) {
                column.not_null = true;
            }
        }
        let word = if kind == 'p' { "PRIMARY KEY" } else { "UNIQUE" };
        let fallback = match kind {
            'p' => format!("{}_pkey", relation.name),
            _ => format!("{}_{}_key", relation.name, names.join("_")),
        };
        let name = name.map_or(fallback, fold);
        let quoted: Vec<String> = names.iter().map(|name| quote(name)).collect();
        clauses.push(format!("CONSTRAINT {} {word} ({})", quote(&name), quoted.join(", ")));
        let definition = format!("{word} ({})", names.join(", "));
        relation.constraints.push(Constraint { name, kind, columns: names, definition });
        Ok(())
    }

    fn check(
        &mut self,
        relation: &mut Relation,
        name: Option<&Ident>,
        expr: &Expr,
        column: Option<&Ident>,
        clauses: &mut Vec<String>,
    ) -> Result<()> {
        let condition = self.compiler.condition("CHECK", expr)?;
        let base = match column {
            Some(column) => format!("{}_{}_check", relation.name, fold(column)),
            None => format!("{}_check", relation.name),
        };
        let taken = |name: &String| relation.constraints.iter().any(|constraint| constraint.name == *name);
        let numbered = (1..).map(|n| format!("{base}{n}"));
        let name = match name {
            Some(name) => fold(name),
            None => std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base),
        };
        clauses.push(format!("CONSTRAINT {} CHECK ({condition})", quote(&name)));
        let definition = format!("CHECK ({expr})");
        relation.constraints.push(Constraint { name, kind: 'c', columns: Vec::new(), definition });
        Ok(())
    }

    fn foreign_key(
        &mut self,
        relation: &mut Relation,
        name: Option<&Ident>,
        key: &ForeignKeyConstraint,
        columns: &[Ident],
        clauses: &mut Vec<String>,
    ) -> Result<()> {
        let names = self.constraint_columns(relation, columns)?;
        let (_, foreign) = relation_name(&key.foreign_table)?;
        let place = key.foreign_table.span().start;
        let other = if foreign == relation.name { Some(&*relation) } else { self.catalog.get(&foreign) };
        let other = other.filter(|other| other.kind == Kind::Table);
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
                .unique_name(&foreign, &referred.iter().map(String::as_str).collect::<Vec<_>>())
                .is_some();
        if !unique || referred.len() != names.len() {
            let message = format!(
                "there is no unique constraint matching given keys for referenced table \"{foreign}\""
            );
            return Err(SqlError::new("42830", message).at(place));
        }
        let mut actions = String::new();
        for (event, action) in [("DELETE", key.on_delete), ("UPDATE", key.on_update)] {
            if let Some(action) = action.filter(|action| *action != ReferentialAction::NoAction) {
                actions += &format!(" ON {event} {action}");
            }
        }
        let list = |names: &[String]| names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
        let name = name.map_or_else(|| format!("{}_{}_fkey", relation.name, names.join("_")), fold);
        clauses.push(format!(
            "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){actions}",
            quote(&name),
            list(&names),
            quote(&foreign),
            list(&referred)
        ));
        let definition = format!(
            "FOREIGN KEY ({}) REFERENCES {foreign}({}){actions}",
            names.join(", "),
            referred.join(", ")
        );
        relation.constraints.push(Constraint { name, kind: 'f', columns: names, definition });
        Ok(())
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

    fn create_index(&mut self, create: &CreateIndex) -> Result<&'static str> {
        let table = self.compiler.target(&create.table_name)?;
        self.must_own(&table)?;
        let known: Vec<(String, Typed)> = table.columns.iter().map(|c| (c.name.clone(), c.typed())).collect();
        self.compiler.open_columns("", &known);
        let mut terms = Vec::new();
        let mut names = Vec::new();
        for index in &create.columns {
            let frag = self.compiler.expr(&index.column.expr)?;
            let descending =
                if matches!(index.column.options.sort, Some(OrderBySort::Desc)) { " DESC" } else { "" };
            terms.push(format!("{}{descending}", frag.sql));
            names.push(match &index.column.expr {
                Expr::Identifier(ident) => (fold(ident), frag.typed),
                _ => ("expr".to_owned(), frag.typed),
            });
        }
        let predicate = match &create.predicate {
            Some(expr) => {
                format!(" WHERE {}", self.compiler.condition("WHERE", expr)?)
            }
            None => String::new(),
        };
        self.compiler.close_scope();
        let joined: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        let name = match &create.name {
            Some(name) => relation_name(name)?.1,
            None => format!("{}_{}_idx", table.name, joined.join("_")),
        };
        if !self.free(&name, create.if_not_exists)? {
            return Ok("CREATE INDEX");
        }
        let unique = if create.unique { "UNIQUE " } else { "" };
        let (quoted, on) = (quote(&name), quote(&table.name));
        self.sql(format!("CREATE {unique}INDEX {quoted} ON {on} ({}){predicate}", terms.join(", ")));
        let mut relation = self.relation(&name, Kind::Index { unique: create.unique });
        relation.columns = names.iter().map(|(name, typed)| column(name, *typed)).collect();
        relation.parent = Some(table.name);
        self.put(relation);
        Ok("CREATE INDEX")
    }

    fn create_view(&mut self, create: &CreateView) -> Result<&'static str> {
        if create.materialized || create.temporary {
            return Err(SqlError::unsupported("this kind of view").at(create.name.span().start));
        }
        let (_, name) = relation_name(&create.name)?;
        let replaced = self.catalog.get(&name).filter(|old| create.or_replace && old.kind == Kind::View);
        if let Some(old) = replaced {
            self.must_own(old)?;
            self.sql(format!("DROP VIEW {}", quote(&name)));
        } else if !self.free(&name, create.if_not_exists)? {
            return Ok("CREATE VIEW");
        }
        let (sql, mut outputs) = self.compiler.query(&create.query)?;
        if !self.compiler.params.is_empty() {
            return Err(SqlError::new("42P02", "there is no parameter $1"));
        }
        for (output, given) in outputs.iter_mut().zip(&create.columns) {
            output.name = fold(&given.name);
        }
        let names: Vec<String> = outputs.iter().map(|output| quote(&output.name)).collect();
        self.sql(format!("CREATE VIEW {} ({}) AS {sql}", quote(&name), names.join(", ")));
        let mut relation = self.relation(&name, Kind::View);
        relation.columns = outputs.iter().map(|output| column(&output.name, output.typed)).collect();
        relation.definition = Some(create.query.to_string());
        self.put(relation);
        Ok("CREATE VIEW")
    }

    fn create_sequence(
        &mut self,
        name: &ObjectName,
        if_not_exists: bool,
        options: &[SequenceOptions],
    ) -> Result<&'static str> {
        let (_, name) = relation_name(name)?;
        if self.free(&name, if_not_exists)? {
            let relation = self.relation(&name, Kind::Sequence);
            self.put(relation);
            self.steps.push(Step::PutSequence(sequence_of(&name, Type::Int8, options)?));
        }
        Ok("CREATE SEQUENCE")
    }
}

fn column(name: &str, typed: Typed) -> Column {
    Column {
        name: name.to_owned(),
        type_oid: typed.ty.oid(),
        typmod: typed.typmod,
        not_null: false,
        default: None,
        identity: None,
        generated: false,
    }
}

/// A column in SQLite's terms: its name, its class, and how decimals compare.
fn storage_line(name: &str, typed: Typed) -> String {
    let collate = if typed.ty == Type::Numeric { " COLLATE sb_numeric" } else { "" };
    format!("{} {}{collate}", quote(name), typed.ty.info().storage)
}

fn index_columns(columns: &[IndexColumn]) -> Result<Vec<Ident>> {
    let ident = |column: &IndexColumn| match &column.column.expr {
        Expr::Identifier(ident) => Ok(ident.clone()),
        other => Err(SqlError::syntax(format!("a key can't hold the expression {other}"))),
    };
    columns.iter().map(ident).collect()
}

fn sequence_of(name: &str, ty: Type, options: &[SequenceOptions]) -> Result<Sequence> {
    let number = |expr: &Expr| {
        expr.to_string()
            .parse::<i64>()
            .map_err(|_| SqlError::new("22023", format!("invalid sequence parameter {expr}")))
    };
    let mut increment = 1;
    let (mut start, mut min, mut max, mut cycle) = (None, None, None, false);
    for option in options {
        match option {
            SequenceOptions::IncrementBy(expr, _) => increment = number(expr)?,
            SequenceOptions::StartWith(expr, _) => start = Some(number(expr)?),
            SequenceOptions::MinValue(value) => min = value.as_ref().map(number).transpose()?,
            SequenceOptions::MaxValue(value) => max = value.as_ref().map(number).transpose()?,
            SequenceOptions::Cycle(no) => cycle = !no,
            SequenceOptions::Cache(_) => {}
        }
    }
    if increment == 0 {
        return Err(SqlError::new("22023", "INCREMENT must not be zero"));
    }
    let limit = match ty {
        Type::Int2 => i64::from(i16::MAX),
        Type::Int4 => i64::from(i32::MAX),
        _ => i64::MAX,
    };
    let (low, high) = if increment > 0 { (1, limit) } else { (-limit, -1) };
    let (min, max) = (min.unwrap_or(low), max.unwrap_or(high));
    let start = start.unwrap_or(if increment > 0 { min } else { max });
    if !(min..=max).contains(&start) {
        return Err(SqlError::new("22023", format!("START value ({start}) is out of range")));
    }
    Ok(Sequence { name: name.to_owned(), start, increment, min, max, cycle, last: start, called: false })
}
