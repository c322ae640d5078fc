//! Function calls: overloads by argument types, aggregates, windows, and the few with rules of their own.

use super::{Compiler, Frag, Shape, cast_call, literal, relation_name};
use crate::engine::Value;
use crate::sql::error::{Result, SqlError};
use crate::sql::types::{Type, Typed};
use crate::sql::{extension, fold, functions, quote, walk};
use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, WindowType,
};

impl Compiler<'_> {
    pub(super) fn function(&mut self, function: &Function) -> Result<Frag> {
        let (_, name) = relation_name(&function.name)?;
        let place = walk::start_of(&function.name);
        if !function.within_group.is_empty() {
            return self.ordered_set(&name, function).map_err(|error| error.at(place));
        }
        if function.null_treatment.is_some() {
            return Err(SqlError::unsupported(format!("this form of function {name}")).at(place));
        }
        if let FunctionArguments::Subquery(query) = &function.args
            && name == "array"
        {
            return self.array_of_query(query);
        }
        if super::sets::is_set(&function.name)
            && let Some(frag) = self.scopes.last_mut().and_then(|scope| scope.sets.pop_front())
        {
            return Ok(frag);
        }
        let (arguments, distinct, star) = arguments(&function.args)?;
        let order = self.argument_order(&function.args)?;
        let mut frags = Vec::new();
        for argument in &arguments {
            let row = if takes_row(&name) { self.whole_row(argument)? } else { None };
            frags.push(match row {
                Some(row) => row,
                None => self.expr(argument)?,
            });
        }
        let over = function.over.as_ref().map(|window| self.over(window)).transpose()?.unwrap_or_default();
        let filter = match &function.filter {
            Some(filter) => format!(" FILTER (WHERE {})", self.condition("FILTER", filter)?),
            None => String::new(),
        };
        let result = match self.aggregate(&name, &frags, star, distinct)? {
            Some(frag) => {
                if over.is_empty() {
                    self.note_aggregate();
                }
                // ORDER BY stands inside the call's parentheses.
                let call = match order.as_str() {
                    "" => frag.sql.clone(),
                    order => format!("{} {order})", frag.sql.strip_suffix(')').unwrap_or(&frag.sql)),
                };
                Ok(Frag { sql: format!("{call}{filter}{over}"), ..frag })
            }
            None if !order.is_empty() => Err(SqlError::new(
                "42809",
                format!("ORDER BY specified, but {name} is not an aggregate function"),
            )),
            None if star || distinct || !filter.is_empty() => {
                Err(SqlError::new("42809", format!("{name} is not an aggregate function")))
            }
            None if !over.is_empty() => {
                let frag = self.window_function(&name, frags)?;
                Ok(Frag { sql: format!("{}{over}", frag.sql), ..frag })
            }
            None => self.call(&name, frags),
        };
        result.map_err(|error| error.at(place))
    }

    pub(super) fn over(&mut self, window: &WindowType) -> Result<String> {
        Ok(match window {
            WindowType::WindowSpec(spec) => format!(" OVER ({})", self.window(spec)?),
            WindowType::NamedWindow(name) => format!(" OVER {}", quote(&fold(name))),
        })
    }

    fn aggregate(&mut self, name: &str, args: &[Frag], star: bool, distinct: bool) -> Result<Option<Frag>> {
        let word = if distinct { "DISTINCT " } else { "" };
        if name == "count" && (star || args.len() == 1) {
            let sql = if star { "count(*)".to_owned() } else { format!("count({word}{})", args[0].sql) };
            return Ok(Some(Frag { not_null: true, ..Frag::new(sql, Type::Int8) }));
        }
        if let Some(frag) = self.json_aggregate(name, args)? {
            return Ok(Some(frag));
        }
        let one = |sql: String, ty: Type| Ok(Some(Frag::new(sql, ty)));
        let first = match args.first() {
            Some(first) => self.settle(first.clone())?,
            None => return Ok(None),
        };
        let (ty, sql) = (first.ty(), &first.sql);
        match (name, args.len()) {
            ("sum", 1) => match ty {
                Type::Int2 | Type::Int4 => one(format!("sum({word}{sql})"), Type::Int8),
                Type::Int8 | Type::Numeric => one(
                    format!("sb_sum({word}{})", cast_call(&first, Type::Numeric.into(), false).sql),
                    Type::Numeric,
                ),
                Type::Float4 => one(format!("sb_sum_real({word}{sql})"), ty),
                Type::Float8 => one(format!("sb_sum_float({word}{sql})"), ty),
                Type::Interval => one(format!("sb_interval_sum({word}{sql})"), ty),
                _ => Err(no_function(name, &[ty])),
            },
            ("avg", 1) => match ty {
                Type::Float4 | Type::Float8 => one(format!("sb_avg_float({word}{sql})"), Type::Float8),
                Type::Interval => one(format!("sb_interval_avg({word}{sql})"), ty),
                ty if ty.is_number() => one(
                    format!("sb_avg({word}{})", cast_call(&first, Type::Numeric.into(), false).sql),
                    Type::Numeric,
                ),
                _ => Err(no_function(name, &[ty])),
            },
            ("min" | "max", 1) if matches!(ty, Type::Bool | Type::Json | Type::Jsonb | Type::Uuid) => {
                Err(no_function(name, &[ty]))
            }
            ("min" | "max", 1) => {
                let ty = if ty == Type::Varchar { Type::Text } else { ty };
                one(format!("{name}({word}{})", first.comparable()), ty)
            }
            ("bool_and" | "every", 1) if ty == Type::Bool => one(format!("min({sql})"), Type::Bool),
            ("stddev" | "stddev_samp" | "stddev_pop" | "variance" | "var_samp" | "var_pop", 1)
                if ty.is_number() =>
            {
                let (sample, root) = (u8::from(!name.ends_with("_pop")), u8::from(name.starts_with("std")));
                if ty.is_float() {
                    return one(format!("sb_spread_float({sql}, {sample}, {root})"), Type::Float8);
                }
                let exact = cast_call(&first, Type::Numeric.into(), false).sql;
                one(
                    format!("sb_spread({word}{exact}, {sample}, {root})").replace("DISTINCT ", ""),
                    Type::Numeric,
                )
            }
            ("bool_or", 1) if ty == Type::Bool => one(format!("max({sql})"), Type::Bool),
            ("string_agg", 2) => {
                let (first, separator) =
                    (self.coerce(first, Type::Text)?, self.coerce(args[1].clone(), Type::Text)?);
                if distinct {
                    let sql = format!("sb_string_agg_distinct({}, {})", first.sql, separator.sql);
                    return one(sql, Type::Text);
                }
                one(format!("group_concat({}, {})", first.sql, separator.sql), Type::Text)
            }
            ("json_agg" | "jsonb_agg", 1) if !distinct => {
                let item = self.for_json(first)?;
                let sql = format!("sb_json_agg({}, {})", item.sql, item.ty().oid());
                one(sql, if name == "json_agg" { Type::Json } else { Type::Jsonb })
            }
            ("array_agg", 1) => {
                let array = ty.array().ok_or_else(|| SqlError::unsupported(format!("array_agg of {ty}")))?;
                let name = if distinct { "sb_array_agg_distinct" } else { "sb_array_agg" };
                one(format!("{name}({sql}, {})", ty.oid()), array)
            }
            _ => Ok(None),
        }
    }

    /// ORDER BY among an aggregate's arguments.
    fn argument_order(&mut self, arguments: &FunctionArguments) -> Result<String> {
        let FunctionArguments::List(list) = arguments else { return Ok(String::new()) };
        let mut terms = Vec::new();
        for clause in &list.clauses {
            let FunctionArgumentClause::OrderBy(order) = clause else {
                return Err(SqlError::unsupported(format!("{clause} inside a function call")));
            };
            for term in order {
                let frag = self.expr(&term.expr)?;
                let frag = self.settle(frag)?;
                terms.push(super::query::order_term(&frag, term)?);
            }
        }
        Ok(if terms.is_empty() { String::new() } else { format!("ORDER BY {}", terms.join(", ")) })
    }

    fn window_function(&mut self, name: &str, args: Vec<Frag>) -> Result<Frag> {
        let count = args.len();
        match (name, count) {
            ("row_number" | "rank" | "dense_rank", 0) => Ok(Frag::new(format!("{name}()"), Type::Int8)),
            ("percent_rank" | "cume_dist", 0) => Ok(Frag::new(format!("{name}()"), Type::Float8)),
            ("ntile", 1) => {
                let [buckets] = <[Frag; 1]>::try_from(args).map_err(|_| no_function(name, &[]))?;
                Ok(Frag::new(format!("ntile({})", self.coerce(buckets, Type::Int4)?.sql), Type::Int4))
            }
            ("lag" | "lead", 1..=3) | ("first_value" | "last_value", 1) | ("nth_value", 2) => {
                let mut args = args.into_iter();
                let value = args.next().ok_or_else(|| no_function(name, &[]))?;
                let value = self.settle(value)?;
                let mut sql = format!("{name}({}", value.sql);
                if let Some(offset) = args.next() {
                    sql += &format!(", {}", self.coerce(offset, Type::Int4)?.sql);
                }
                if let Some(default) = args.next() {
                    sql += &format!(", {}", self.coerce(default, value.ty())?.sql);
                }
                Ok(Frag::new(sql + ")", value.typed))
            }
            _ => Err(no_function(name, &args.iter().map(Frag::ty).collect::<Vec<_>>())),
        }
    }

    /// Calls a function with expressions.
    pub(super) fn call_exprs(&mut self, name: &str, arguments: &[&Expr]) -> Result<Frag> {
        let mut frags = Vec::new();
        for argument in arguments {
            frags.push(self.expr(argument)?);
        }
        self.call(name, frags)
    }

    /// Calls a scalar function.
    pub(super) fn call(&mut self, name: &str, args: Vec<Frag>) -> Result<Frag> {
        if let Some(frag) = self.special(name, &args)? {
            return Ok(frag);
        }
        if let Some(frag) = self.array_function(name, &args)? {
            return Ok(frag);
        }
        if let Some(frag) = self.json_function(name, &args)? {
            return Ok(frag);
        }
        if let Some(frag) = self.system_function(name, &args)? {
            return Ok(frag);
        }
        let types: Vec<Type> = args.iter().map(Frag::ty).collect();
        // An exact match first, then one by implicit conversions, then one that untyped arguments fit.
        let fits = |exact: bool| {
            let fitting = functions::all().filter(|scalar| {
                scalar.name == name
                    && scalar.args.len() == args.len()
                    && args.iter().zip(scalar.args).all(|(arg, want)| {
                        arg.untyped() || arg.ty() == *want || (!exact && super::implicit(arg.ty(), *want))
                    })
            });
            let fitting: Vec<_> = fitting.collect();
            // What has no type yet is text where that fits, and else of its category's preferred type.
            let turned = |wanted: fn(&Type) -> bool| {
                let suits = |scalar: &&&functions::Scalar| {
                    args.iter().zip(scalar.args).all(|(arg, want)| !arg.untyped() || wanted(want))
                };
                fitting.iter().find(suits).copied()
            };
            let preferred = |ty: &Type| ty.is_string() || matches!(ty, Type::Float8 | Type::Timestamptz);
            turned(|ty| ty.is_string()).or_else(|| turned(preferred)).or_else(|| fitting.first().copied())
        };
        let missing = || extension::missing(name).unwrap_or_else(|| no_function(name, &types));
        let scalar = fits(true).or_else(|| fits(false)).ok_or_else(missing)?;
        let mut texts = Vec::new();
        for (arg, want) in args.into_iter().zip(scalar.args) {
            texts.push(self.coerce(arg, *want)?.sql);
        }
        Ok(Frag::new(format!("{}({})", scalar.sql_name(), texts.join(", ")), scalar.returns))
    }

    /// Functions of the session, and those whose type depends on their arguments'.
    fn special(&mut self, name: &str, args: &[Frag]) -> Result<Option<Frag>> {
        let text = |text: &str, ty: Type| {
            let sql = literal(&Value::Text(text.to_owned()));
            Ok(Some(Frag { not_null: true, ..Frag::new(sql, ty) }))
        };
        let plain = |sql: &str, ty: Type| Ok(Some(Frag { not_null: true, ..Frag::new(sql, ty) }));
        match (name, args) {
            ("session_user", []) => text(self.context.login, Type::Name),
            ("current_user" | "user" | "current_role", []) => text(self.context.user, Type::Name),
            ("current_database" | "current_catalog", []) => text(self.context.database, Type::Name),
            ("current_schema", []) => match self.context.path.first() {
                Some(schema) => text(schema, Type::Name),
                None => Ok(Some(Frag::new("NULL", Type::Name))),
            },
            ("version", []) => text(&crate::sql::version(), Type::Text),
            ("now" | "current_timestamp" | "transaction_timestamp", []) => {
                plain("sb_now()", Type::Timestamptz)
            }
            ("current_timestamp" | "localtimestamp" | "current_time" | "localtime", [digits]) => {
                let digits = digits.sql.parse::<i32>().ok().filter(|digits| (0..=6).contains(digits));
                let digits =
                    digits.ok_or_else(|| SqlError::syntax(format!("{name} takes from 0 to 6 digits")))?;
                let moment = self.call(name, Vec::new())?;
                let rounded = Typed { ty: moment.ty(), typmod: digits };
                Ok(Some(cast_call(&moment, rounded, true)))
            }
            ("quote_literal", [value]) if !value.untyped() && !value.ty().is_string() => {
                let value = self.as_text(value.clone())?;
                self.call(name, vec![value]).map(Some)
            }
            ("statement_timestamp" | "clock_timestamp", []) => plain("sb_clock()", Type::Timestamptz),
            ("localtimestamp", []) => {
                Ok(Some(cast_call(&Frag::new("sb_now()", Type::Timestamptz), Type::Timestamp.into(), true)))
            }
            // Of a date, and of a mere text, it is the instant's zone that is asked for.
            ("timezone", [zone, moment]) if moment.untyped() || moment.ty() == Type::Date => {
                let moment = self.coerce(moment.clone(), Type::Timestamptz)?;
                self.call(name, vec![zone.clone(), moment]).map(Some)
            }
            ("current_date", []) => {
                Ok(Some(cast_call(&Frag::new("sb_now()", Type::Timestamptz), Type::Date.into(), true)))
            }
            ("current_time", []) => {
                Ok(Some(cast_call(&Frag::new("sb_now()", Type::Timestamptz), Type::Timetz.into(), true)))
            }
            ("localtime", []) => {
                Ok(Some(cast_call(&Frag::new("sb_now()", Type::Timestamptz), Type::Time.into(), true)))
            }
            ("age", [moment]) => {
                let today = self.call("current_date", Vec::new())?;
                self.call("age", vec![cast_call(&today, Type::Timestamp.into(), true), moment.clone()])
                    .map(Some)
            }
            ("row", fields) => {
                let mut list = Vec::new();
                for field in fields {
                    let mut field = self.settle(field.clone())?;
                    if field.ty() == Type::Timestamptz {
                        field = self.as_text(field)?;
                    }
                    list.extend([field.ty().oid().to_string(), field.sql]);
                }
                plain(&format!("sb_row({})", list.join(", ")), Type::Record)
            }
            ("pg_backend_pid", []) => plain("sb_pid()", Type::Int4),
            ("random", []) => plain("sb_random()", Type::Float8),
            ("gen_random_uuid" | "uuidv4" | "uuid_generate_v4", []) => plain("sb_uuid()", Type::Uuid),
            ("uuid_generate_v1" | "uuid_generate_v1mc", []) => plain("sb_timed_uuid()", Type::Uuid),
            ("gen_random_bytes", [count]) => {
                let count = self.coerce(count.clone(), Type::Int4)?;
                Ok(Some(Frag::new(format!("sb_random_bytes({})", count.sql), Type::Bytea)))
            }
            ("nextval" | "currval", [sequence]) => {
                self.writes |= name == "nextval";
                let sequence = self.sequence(sequence, 'U')?;
                plain(&format!("sb_{name}({})", sequence.sql), Type::Int8)
            }
            (
                "pg_advisory_lock"
                | "pg_advisory_xact_lock"
                | "pg_try_advisory_lock"
                | "pg_try_advisory_xact_lock"
                | "pg_advisory_unlock"
                | "pg_advisory_unlock_all",
                keys,
            ) if keys.len() < 3 && (keys.is_empty() == name.ends_with("all")) => {
                let mut numbers = Vec::new();
                for key in keys {
                    numbers.push(self.coerce(key.clone(), Type::Int8)?.sql);
                }
                let key = match numbers.as_slice() {
                    [high, low] => format!("(({high} << 32) | ({low} & 4294967295))"),
                    [key] => key.clone(),
                    _ => "0".to_owned(),
                };
                let call = format!("sb_lock('{name}', {key})");
                let silent =
                    matches!(name, "pg_advisory_lock" | "pg_advisory_xact_lock" | "pg_advisory_unlock_all");
                Ok(Some(if silent {
                    Frag::new(format!("substr('', {call})"), Type::Void)
                } else {
                    Frag::new(call, Type::Bool)
                }))
            }
            ("pg_notify", [channel, message]) => {
                self.asks = true;
                let channel = self.coerce(channel.clone(), Type::Text)?.sql;
                let message = self.coerce(message.clone(), Type::Text)?.sql;
                Ok(Some(Frag::new(format!("sb_notify({channel}, {message})"), Type::Void)))
            }
            ("set_config", [setting, value, local]) => {
                self.asks = true;
                let setting = self.coerce(setting.clone(), Type::Text)?.sql;
                let value = self.coerce(value.clone(), Type::Text)?.sql;
                let local = self.coerce(local.clone(), Type::Bool)?.sql;
                Ok(Some(Frag::new(format!("sb_set_config({setting}, {value}, {local})"), Type::Text)))
            }
            ("current_setting", [setting, rest @ ..]) if rest.len() < 2 => {
                self.current_setting(setting, rest.first())
            }
            ("lastval", []) => plain("sb_lastval()", Type::Int8),
            ("setval", [sequence, value, rest @ ..]) if rest.len() < 2 => {
                self.writes = true;
                let sequence = self.sequence(sequence, 'w')?;
                let value = self.coerce(value.clone(), Type::Int8)?;
                let called = match rest.first() {
                    Some(called) => self.coerce(called.clone(), Type::Bool)?.sql,
                    None => "1".to_owned(),
                };
                plain(&format!("sb_setval({}, {}, {called})", sequence.sql, value.sql), Type::Int8)
            }
            ("coalesce", [_, ..]) => {
                let (frags, ty) = self.unify("COALESCE", args.to_vec())?;
                let list: Vec<&str> = frags.iter().map(|frag| frag.sql.as_str()).collect();
                let sql = if list.len() == 1 {
                    list[0].to_owned()
                } else {
                    format!("coalesce({})", list.join(", "))
                };
                Ok(Some(Frag { not_null: frags.iter().any(|f| f.not_null), ..Frag::new(sql, ty) }))
            }
            ("nullif", [_, _]) => {
                let (frags, ty) = self.unify("NULLIF", args.to_vec())?;
                Ok(Some(Frag::new(format!("nullif({}, {})", frags[0].comparable(), frags[1].sql), ty)))
            }
            ("greatest" | "least", [_, ..]) => {
                let (frags, ty) = self.unify(&name.to_ascii_uppercase(), args.to_vec())?;
                let list: Vec<&str> = frags.iter().map(|frag| frag.sql.as_str()).collect();
                Ok(Some(Frag::new(format!("sb_{name}({}, {})", ty.oid(), list.join(", ")), ty)))
            }
            ("concat", _) | ("concat_ws", [_, ..]) => {
                let mut list = Vec::new();
                for arg in args {
                    list.push(self.as_text(arg.clone())?.sql);
                }
                if name == "concat" {
                    list.insert(0, "''".to_owned());
                }
                Ok(Some(Frag::new(format!("sb_concat_ws({})", list.join(", ")), Type::Text)))
            }
            ("mod" | "gcd", [a, b]) if a.ty().is_integer() && b.ty().is_integer() => {
                let ty = super::wider(a.ty(), b.ty()).unwrap_or(Type::Int8);
                let (a, b) = (self.coerce(a.clone(), ty)?.sql, self.coerce(b.clone(), ty)?.sql);
                let call = if name == "mod" { "sb_mod" } else { "sb_gcd" };
                Ok(Some(Frag::new(format!("{call}({a}, {b}, {})", ty.oid()), ty)))
            }
            ("format", [_, ..]) => {
                let mut list = Vec::new();
                for arg in args {
                    list.push(self.as_text(arg.clone())?.sql);
                }
                Ok(Some(Frag::new(format!("sb_format({})", list.join(", ")), Type::Text)))
            }
            ("abs" | "round" | "trunc" | "ceil" | "ceiling" | "floor" | "sign", [value])
                if value.ty().is_integer() =>
            {
                Ok(Some(match name {
                    "sign" => Frag::new(format!("CAST(sign({}) AS REAL)", value.sql), Type::Float8),
                    "abs" => Frag::new(format!("{name}({})", value.sql), value.typed),
                    _ => Frag { typed: Type::Float8.into(), ..cast_call(value, Type::Float8.into(), false) },
                }))
            }
            ("pg_typeof", [value]) => text(&self.context.type_name(value.ty()), Type::Text),
            ("enum_first" | "enum_last", [of]) => self.enumeration_end(name, of),
            ("enum_range", [_] | [_, _]) => self.enumeration_range(args),
            ("format_type", [_, _]) => {
                let (ty, typmod) =
                    (self.coerce(args[0].clone(), Type::Oid)?, self.coerce(args[1].clone(), Type::Int4)?);
                let own = super::super::system::text_of(&self.context.enumeration_names(), &ty.sql);
                self.volatile = true;
                let builtin = format!("sb_format_type({}, {})", ty.sql, typmod.sql);
                Ok(Some(Frag::new(format!("coalesce({own}, {builtin})"), Type::Text)))
            }
            ("json_build_object" | "jsonb_build_object" | "json_build_array" | "jsonb_build_array", _) => {
                let mut list = vec![if name.ends_with("object") { "1" } else { "0" }.to_owned()];
                for arg in args {
                    let arg = self.settle(arg.clone())?;
                    let arg = self.for_json(arg)?;
                    list.extend([arg.ty().oid().to_string(), arg.sql]);
                }
                let built = Frag::new(format!("sb_json_build({})", list.join(", ")), Type::Json);
                let normalised = name.starts_with("jsonb");
                Ok(Some(if normalised { cast_call(&built, Type::Jsonb.into(), true) } else { built }))
            }
            ("row_to_json", [row]) if row.ty() == Type::Json => Ok(Some(row.clone())),
            ("to_json" | "to_jsonb", [value]) => {
                let value = self.settle(value.clone())?;
                let value = self.for_json(value)?;
                let ty = if name == "to_json" { Type::Json } else { Type::Jsonb };
                Ok(Some(Frag::new(format!("sb_to_json({}, {})", value.sql, value.ty().oid()), ty)))
            }
            _ => Ok(None),
        }
    }

    /// A parameter's value is written into the statement, which is therefore right for one run only.
    fn current_setting(&mut self, name: &Frag, lax: Option<&Frag>) -> Result<Option<Frag>> {
        self.volatile = true;
        let known = self.context.cluster.settings();
        let text = |value: &str| literal(&Value::Text(value.to_owned()));
        let Shape::Literal(wanted) = &name.shape else {
            let name = self.coerce(name.clone(), Type::Text)?.sql;
            let line = |(name, value): &(String, String)| {
                format!("({}, {})", text(&name.to_lowercase()), text(value))
            };
            let lines: Vec<String> = known.iter().map(line).collect();
            let source = format!("(VALUES ('', NULL), {})", lines.join(", "));
            let sql = format!("(SELECT \"column2\" FROM {source} WHERE \"column1\" = lower({name}))");
            return Ok(Some(Frag::new(sql, Type::Text)));
        };
        let found =
            known.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| text(value));
        let lax = lax.is_some_and(|lax| lax.sql == "1");
        let message = || format!("unrecognized configuration parameter \"{wanted}\"");
        match found {
            Some(value) => Ok(Some(Frag::new(value, Type::Text))),
            None if lax => Ok(Some(Frag::new("NULL", Type::Text))),
            None => Err(SqlError::new("42704", message())),
        }
    }

    /// A sequence among a function's arguments: a literal name is looked up now.
    fn sequence(&mut self, name: &Frag, privilege: char) -> Result<Frag> {
        if name.ty() == Type::Regclass {
            return Ok(self.shown_name(name.clone()));
        }
        let Shape::Literal(text) = &name.shape else { return self.coerce(name.clone(), Type::Text) };
        let (schema, base) = crate::sql::split_name(text);
        let found = match text.contains('\u{1}') {
            true => self.context.catalog.get(text),
            false => self.context.find(schema.as_deref(), &base),
        };
        let Some(relation) = found else { return self.coerce(name.clone(), Type::Text) };
        if relation.kind != crate::sql::catalog::Kind::Sequence {
            return Err(SqlError::new("42809", format!("\"{base}\" is not a sequence")));
        }
        self.check(relation, privilege)?;
        Ok(Frag::new(literal(&Value::Text(relation.name.clone())), Type::Text))
    }
}

/// Functions whose argument may be a table's alias, which means its row.
fn takes_row(name: &str) -> bool {
    matches!(name, "row_to_json" | "to_json" | "to_jsonb" | "json_agg" | "jsonb_agg")
}

impl Compiler<'_> {
    /// The row that a table's alias stands for, as a document.
    fn whole_row(&mut self, expr: &Expr) -> Result<Option<Frag>> {
        let Expr::Identifier(ident) = expr else { return Ok(None) };
        let name = fold(ident);
        let tables = || self.scopes.iter().rev().flat_map(|scope| &scope.tables);
        if tables().any(|table| table.columns.iter().any(|column| column.name == name)) {
            return Ok(None);
        }
        let Some(table) = tables().find(|table| table.alias == name) else { return Ok(None) };
        let (mut list, mut columns) = (vec!["2".to_owned()], Vec::new());
        for column in &table.columns {
            let sql = column.sql.clone().unwrap_or_else(|| super::qualified(&table.alias, &column.name));
            let key = literal(&Value::Text(column.name.clone()));
            columns.push((key, Frag::new(sql, column.typed)));
        }
        for (key, frag) in columns {
            let frag = self.for_json(frag)?;
            list.extend([Type::Text.oid().to_string(), key, frag.ty().oid().to_string(), frag.sql]);
        }
        Ok(Some(Frag::new(format!("sb_json_build({})", list.join(", ")), Type::Json)))
    }
}

pub(super) fn arguments(arguments: &FunctionArguments) -> Result<(Vec<&Expr>, bool, bool)> {
    let list = match arguments {
        FunctionArguments::None => return Ok((Vec::new(), false, false)),
        FunctionArguments::Subquery(_) => return Err(SqlError::unsupported("a subquery as argument list")),
        FunctionArguments::List(list) => list,
    };
    let mut expressions = Vec::new();
    let mut star = false;
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => expressions.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => star = true,
            other => return Err(SqlError::unsupported(format!("argument {other}"))),
        }
    }
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    Ok((expressions, distinct, star))
}

pub(super) fn no_function(name: &str, types: &[Type]) -> SqlError {
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    SqlError::new("42883", format!("function {name}({}) does not exist", types.join(", "))).hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}
