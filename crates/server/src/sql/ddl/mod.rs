//! Definitions: what CREATE, ALTER and DROP change, as a list of steps.

mod alter;
mod column;
mod comment;
mod drop;
mod enumeration;
mod extension;
mod grant;
mod instants;
pub(in crate::sql) mod materialized;
mod schema;
mod sequence;
mod storage;
mod table;

use super::catalog::{Catalog, Column, Kind, Relation, TEMPORARY, split, stored};
use super::compile::{Compiler, Context, relation_name};
use super::error::{Result, SqlError};
use super::plan::{ClusterChange, RoleChange, Sequence, Step};
use super::types::{Type, Typed};
use super::{fold, literal_text, quote, walk};
use sqlparser::ast::{
    AlterRoleOperation, CreateIndex, CreateView, Expr, GrantObjects, Ident, IndexColumn, ObjectName,
    ObjectType, OrderBySort, Password, RoleOption, SequenceOptions, Set, Statement,
};

pub use materialized::refreshed;

/// What to do where Postgres would run code of one's own.
const NO_LOGIC: &str =
    "Use CHECK, DEFAULT, foreign keys, generated columns and views, or do it in the client or a DO block.";

type Steps = (Vec<Step>, &'static str);

/// The steps of a statement that changes one database's definitions.
pub fn steps(statement: &Statement, context: &Context<'_>, compiler: &mut Compiler<'_>) -> Result<Steps> {
    let made = steps_as_written(statement, context, compiler)?;
    match instants::settled(statement, compiler)? {
        Some(settled) => steps_as_written(&settled, context, &mut Compiler::new(context, &[])),
        None => Ok(made),
    }
}

fn steps_as_written(
    statement: &Statement,
    context: &Context<'_>,
    compiler: &mut Compiler<'_>,
) -> Result<Steps> {
    let mut maker =
        Maker { catalog: context.catalog, owner: context.user, compiler, steps: Vec::new(), oids: 0 };
    let tag = match statement {
        Statement::CreateTable(create) => maker.create_table(create)?,
        Statement::CreateIndex(create) => maker.create_index(create)?,
        Statement::CreateView(create) => maker.create_view(create)?,
        Statement::CreateSequence {
            name,
            if_not_exists,
            sequence_options,
            temporary: false,
            data_type,
            ..
        } => {
            let ty = data_type.as_ref().map(super::types::declared).transpose()?;
            maker.create_sequence(
                name,
                *if_not_exists,
                ty.map_or(Type::Int8, |typed| typed.ty),
                sequence_options,
            )?
        }
        Statement::Grant(grant) => {
            maker.grant(&grant.privileges, grant.objects.as_ref(), &grant.grantees, &grant::given(grant))?
        }
        Statement::Revoke(revoke) => {
            let change = grant::taken(revoke);
            maker.grant(&revoke.privileges, revoke.objects.as_ref(), &revoke.grantees, &change)?
        }
        Statement::AlterTable(alter) => maker.alter_table(alter)?,
        Statement::Truncate(truncate) => maker.truncate(truncate)?,
        Statement::Drop { object_type, if_exists, names, cascade, .. } => {
            maker.drop(*object_type, *if_exists, names, *cascade)?
        }
        Statement::AlterIndex { name, operation } => maker.alter_index(name, operation)?,
        Statement::AlterSchema(alter) => maker.alter_schema(alter)?,
        Statement::CreateSchema { schema_name, if_not_exists, .. } => {
            maker.create_schema(schema_name, *if_not_exists)?
        }
        Statement::CreateType { name, representation } => maker.create_type(name, representation.as_ref())?,
        Statement::AlterType(alter) => maker.alter_type(alter)?,
        Statement::CreateExtension(create) => maker.create_extension(create)?,
        Statement::DropExtension(drop) => maker.drop_extensions(drop)?,
        Statement::Comment { object_type, object_name, comment, .. } => {
            maker.comment(*object_type, object_name, comment.as_ref())?
        }
        other => {
            let text = other.to_string();
            let words: Vec<&str> = text.split_whitespace().take(2).collect();
            let error = SqlError::unsupported(words.join(" ")).at(walk::start(other));
            let logic = words.iter().any(|word| matches!(*word, "FUNCTION" | "PROCEDURE" | "TRIGGER"));
            return Err(if logic { error.hint(NO_LOGIC) } else { error });
        }
    };
    Ok((maker.steps, tag))
}

/// The steps of ALTER SEQUENCE, which comes from the parser as a parameter's assignment.
pub fn altered_sequence(
    set: &Set,
    context: &Context<'_>,
    compiler: &mut Compiler<'_>,
) -> Result<Option<Vec<Step>>> {
    let Set::SingleAssignment { variable, values, .. } = set else { return Ok(None) };
    let [name, options] = values.as_slice() else { return Ok(None) };
    if variable.to_string() != super::spelling::ALTER_SEQUENCE {
        return Ok(None);
    }
    let mut maker =
        Maker { catalog: context.catalog, owner: context.user, compiler, steps: Vec::new(), oids: 0 };
    let text = |expr| literal_text(expr).unwrap_or_default();
    maker.alter_sequence(&text(name), &text(options))?;
    Ok(Some(maker.steps))
}

/// The change of the cluster that a statement asks for, if it is one.
pub fn cluster(statement: &Statement) -> Result<Option<(ClusterChange, &'static str)>> {
    Ok(Some(match statement {
        // The owner comes where the parser has room for it: see `sql/createdb.rs`.
        Statement::CreateDatabase { db_name, clone, .. } => {
            let owner = clone.as_ref().map(|owner| relation_name(owner).map(|(_, name)| name)).transpose()?;
            (ClusterChange::CreateDatabase { name: relation_name(db_name)?.1, owner }, "CREATE DATABASE")
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
        Statement::Grant(grant) if grant.objects.is_none() => {
            (grant::membership(&grant.privileges, &grant.grantees, true)?, "GRANT ROLE")
        }
        Statement::Revoke(revoke) if revoke.objects.is_none() => {
            (grant::membership(&revoke.privileges, &revoke.grantees, false)?, "REVOKE ROLE")
        }
        Statement::Grant(grant) => match &grant.objects {
            Some(GrantObjects::Databases(names)) => {
                let change = grant::given(grant);
                (grant::access(names, &grant.privileges, &grant.grantees, &change)?, "GRANT")
            }
            _ => return Ok(None),
        },
        Statement::Revoke(revoke) => match &revoke.objects {
            Some(GrantObjects::Databases(names)) => {
                let change = grant::taken(revoke);
                (grant::access(names, &revoke.privileges, &revoke.grantees, &change)?, "REVOKE")
            }
            _ => return Ok(None),
        },
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

    fn relation(&mut self, key: &str, kind: Kind) -> Relation {
        self.oids += 1;
        // A session's own tables have numbers of their own, so that they never meet those of others.
        let first = if super::catalog::is_temporary(key) {
            self.catalog.next_temporary_oid()
        } else {
            self.catalog.next_oid()
        };
        Relation::new(key, kind, first + self.oids - 1, self.owner)
    }

    /// The key of a new relation: in the schema given, or the first of the search path.
    fn new_key(&self, schema: Option<&str>, name: &str) -> Result<String> {
        let context = self.compiler.context;
        let schema = match schema {
            Some(TEMPORARY) => context.temporary,
            Some(schema @ ("pg_catalog" | "information_schema")) => {
                let message = format!("permission denied to create \"{schema}.{name}\"");
                let detail = "System catalog modifications are currently disallowed.";
                return Err(SqlError::new("42501", message).detail(detail));
            }
            Some(schema) if self.catalog.has_schema(schema) => schema,
            Some(schema) => {
                return Err(SqlError::new("3F000", format!("schema \"{schema}\" does not exist")));
            }
            None => context
                .path
                .first()
                .ok_or_else(|| SqlError::new("3F000", "no schema has been selected to create in"))?,
        };
        Ok(super::catalog::key(schema, name))
    }

    /// Whether the name is free; a taken one is an error, or a notice with IF NOT EXISTS.
    fn free(&mut self, key: &str, if_not_exists: bool) -> Result<bool> {
        let (schema, name) = split(key);
        self.may_create(schema)?;
        if name.contains('\u{1}')
            || name.starts_with("__sb_")
            || name.to_ascii_lowercase().starts_with("sqlite_")
        {
            return Err(SqlError::new("42939", format!("name \"{name}\" is reserved")));
        }
        // SQLite's names ignore case, so two that differ only in case can't live together.
        let own = self.catalog.relations.keys().any(|known| known.eq_ignore_ascii_case(key));
        let key_of = |r: &Relation| {
            let mut keys = r.constraints.iter().filter(|c| matches!(c.kind, 'p' | 'u'));
            r.schema() == schema && keys.any(|c| c.name.eq_ignore_ascii_case(name))
        };
        let taken = own || self.catalog.relations.values().any(key_of);
        if taken && if_not_exists {
            self.steps.push(Step::Notice(format!("relation \"{name}\" already exists, skipping")));
        } else if taken {
            return Err(SqlError::new("42P07", format!("relation \"{name}\" already exists")));
        }
        Ok(!taken)
    }

    fn create_index(&mut self, create: &CreateIndex) -> Result<&'static str> {
        let table = self.compiler.target_with_rows(&create.table_name)?;
        self.must_own(&table)?;
        self.compiler.open_columns("", &names_of(&table));
        let mut columns = Vec::new();
        for index in &create.columns {
            let frag = self.compiler.expr(&index.column.expr)?;
            let (name, default) = match &index.column.expr {
                Expr::Identifier(ident) => (fold(ident), None),
                Expr::Nested(inner) => ("expr".to_owned(), Some(inner.to_string())),
                other => ("expr".to_owned(), Some(other.to_string())),
            };
            let descending = matches!(index.column.options.sort, Some(OrderBySort::Desc));
            columns.push(Column { default, descending, ..column(&name, frag.typed) });
        }
        self.compiler.close_scope();
        let joined: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let name = match &create.name {
            Some(name) => relation_name(name)?.1,
            None => {
                let base = format!("{}_{}_idx", table.base(), joined.join("_"));
                let numbered = (1..).map(|n| format!("{base}{n}"));
                let mut names = std::iter::once(base.clone()).chain(numbered);
                names.find(|name| self.catalog.get(&table.sibling(name)).is_none()).unwrap_or_default()
            }
        };
        let key = table.sibling(&name);
        if !self.free(&key, create.if_not_exists)? {
            return Ok("CREATE INDEX");
        }
        let mut relation = self.relation(&key, Kind::Index { unique: create.unique });
        relation.columns = columns;
        relation.parent = Some(table.name.clone());
        relation.definition = create.predicate.as_ref().map(|predicate| match predicate {
            Expr::Nested(inner) => inner.to_string(),
            other => other.to_string(),
        });
        self.make_index(&relation, &table)?;
        self.put(relation);
        Ok("CREATE INDEX")
    }

    fn create_view(&mut self, create: &CreateView) -> Result<&'static str> {
        if create.materialized {
            return self.create_materialized(create);
        }
        let place = walk::start_of(&create.name);
        let (schema, name) = relation_name(&create.name)?;
        let schema = if create.temporary { Some(TEMPORARY.to_owned()) } else { schema };
        let key = self.new_key(schema.as_deref(), &name).map_err(|error| error.at(place))?;
        let replaced =
            self.catalog.get(&key).filter(|old| create.or_replace && old.kind == Kind::View).cloned();
        if let Some(old) = &replaced {
            self.must_own(old)?;
            self.sql(format!("DROP VIEW {}", stored(&key)));
        } else if !self.free(&key, create.if_not_exists)? {
            return Ok("CREATE VIEW");
        }
        let mut relation = self.relation(&key, Kind::View);
        relation.columns =
            create.columns.iter().map(|given| column(&fold(&given.name), Type::Text.into())).collect();
        relation.definition = Some(create.query.to_string());
        self.make_view(&mut relation)?;
        if let Some(old) = replaced {
            let kept = old
                .columns
                .iter()
                .zip(&relation.columns)
                .all(|(old, new)| (&old.name, old.type_oid) == (&new.name, new.type_oid));
            if !kept || old.columns.len() > relation.columns.len() {
                let message = "cannot drop columns from view, or change their names or types";
                return Err(SqlError::new("42P16", message));
            }
            (relation.oid, relation.grants, relation.owner) = (old.oid, old.grants, old.owner);
        }
        self.put(relation);
        Ok("CREATE VIEW")
    }

    /// A view's text for SQLite; its first columns may have names given to them.
    fn make_view(&mut self, relation: &mut Relation) -> Result<()> {
        let (sql, names) = self.view_query(relation, true)?;
        let temporary = if super::catalog::is_temporary(&relation.name) { "TEMP " } else { "" };
        let name = quote(&relation.name);
        self.sql(format!("CREATE {temporary}VIEW {name} ({names}) AS {sql}"));
        Ok(())
    }

    /// A view's query and the names of its columns for SQLite; `defining` when it is not read now.
    fn view_query(&mut self, relation: &mut Relation, defining: bool) -> Result<(String, String)> {
        let statements = super::parse(relation.definition.as_deref().unwrap_or_default())?;
        let [Statement::Query(query)] = statements.as_slice() else {
            return Err(SqlError::syntax("a view needs a query"));
        };
        self.compiler.defining = defining;
        let compiled = self.compiler.query(query);
        self.compiler.defining = false;
        let (sql, mut outputs) = compiled?;
        if !self.compiler.params.is_empty() {
            return Err(SqlError::new("42P02", "there is no parameter $1"));
        }
        if self.compiler.volatile {
            return Err(SqlError::unsupported("a view over the system catalogues"));
        }
        for (output, given) in outputs.iter_mut().zip(&relation.columns) {
            output.name.clone_from(&given.name);
        }
        let names: Vec<String> = outputs.iter().map(|output| quote(&output.name)).collect();
        relation.columns = outputs.iter().map(|output| column(&output.name, output.typed)).collect();
        Ok((sql, names.join(", ")))
    }

    fn create_sequence(
        &mut self,
        name: &ObjectName,
        if_not_exists: bool,
        ty: Type,
        options: &[SequenceOptions],
    ) -> Result<&'static str> {
        let (schema, name) = relation_name(name)?;
        let key = self.new_key(schema.as_deref(), &name)?;
        if self.free(&key, if_not_exists)? {
            let relation = self.relation(&key, Kind::Sequence);
            self.put(relation);
            self.steps.push(Step::PutSequence(sequence_of(&key, ty, options)?));
        }
        Ok("CREATE SEQUENCE")
    }
}

/// A default as it is kept: a sequence is named without the cast that Postgres shows.
fn default_text(expr: &Expr) -> String {
    let text = expr.to_string();
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("nextval('").and_then(|rest| rest.strip_suffix("'::regclass)")) {
        Some(name) => format!("nextval('{}')", &text[9..9 + name.len()]),
        None => text,
    }
}

/// The names and types of a relation's columns.
fn names_of(relation: &Relation) -> Vec<(String, Typed)> {
    relation.columns.iter().map(|column| (column.name.clone(), column.typed())).collect()
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
        descending: false,
        comment: None,
    }
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
