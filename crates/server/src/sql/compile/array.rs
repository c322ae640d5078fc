//! Arrays in expressions: constructors, subscripts, ANY and ALL, functions.

use super::operator::no_operator;
use super::{Compiler, Frag, cast_call};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::Type;
use sqlparser::ast::{AccessExpr, BinaryOperator as Op, Expr, Query, Subscript};

impl Compiler<'_> {
    /// `ARRAY[…]`
    pub(super) fn array(&mut self, items: &[Expr]) -> Result<Frag> {
        if items.is_empty() {
            return Err(SqlError::new("42P18", "cannot determine type of empty array")
                .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."));
        }
        let frags = items.iter().map(|item| self.expr(item)).collect::<Result<Vec<_>>>()?;
        let (frags, element) = self.unify("ARRAY", frags)?;
        let list: Vec<&str> = frags.iter().map(|frag| frag.sql.as_str()).collect();
        let array = array_of(element)?;
        Ok(Frag {
            not_null: true,
            ..Frag::new(format!("sb_array({}, {})", element.oid(), list.join(", ")), array)
        })
    }

    /// `ARRAY(SELECT …)`
    pub(super) fn array_of_query(&mut self, query: &Query) -> Result<Frag> {
        let (sql, columns) = self.query(query)?;
        let [column] = columns.as_slice() else {
            return Err(SqlError::syntax("subquery must return only one column"));
        };
        let element = column.typed.ty;
        let collected = format!(
            "(WITH \"w\"(\"v\") AS ({sql}) SELECT coalesce(sb_array_agg(\"v\", {}), '{{}}') FROM \"w\")",
            element.oid()
        );
        Ok(Frag::new(collected, array_of(element)?))
    }

    /// `a[1]` and `t.a[1]`
    pub(super) fn subscript(&mut self, root: &Expr, chain: &[AccessExpr]) -> Result<Frag> {
        if let [AccessExpr::Dot(Expr::Identifier(field))] = chain {
            let row = self.expr(root)?;
            if row.ty() == Type::Json {
                // The only rows here are pairs of numbers.
                let key = super::literal(&crate::engine::Value::Text(crate::sql::fold(field)));
                return Ok(Frag::new(
                    format!("CAST(sb_json_text({}, {key}) AS INTEGER)", row.sql),
                    Type::Int4,
                ));
            }
        }
        let (frag, index) = match (root, chain) {
            (_, [AccessExpr::Subscript(Subscript::Index { index })]) => (self.expr(root)?, index),
            (
                Expr::Identifier(table),
                [
                    AccessExpr::Dot(Expr::Identifier(column)),
                    AccessExpr::Subscript(Subscript::Index { index }),
                ],
            ) => {
                let column = Expr::CompoundIdentifier(vec![table.clone(), column.clone()]);
                (self.expr(&column)?, index)
            }
            _ => return Err(SqlError::unsupported("this kind of subscript")),
        };
        let index = self.expr_as(index, Type::Int4)?;
        if frag.ty() == Type::Int2vector {
            // The catalogues' number lists count from 0.
            let (list, oid) = (format!("sb_string_to_array({}, ' ')", frag.sql), Type::Int2.oid());
            return Ok(Frag::new(format!("sb_array_get({list}, {} + 1, {oid})", index.sql), Type::Int2));
        }
        let element = frag.ty().element().ok_or_else(|| {
            SqlError::new(
                "42804",
                format!("cannot subscript type {} because it does not support subscripting", frag.ty()),
            )
        })?;
        Ok(Frag::new(format!("sb_array_get({}, {}, {})", frag.sql, index.sql, element.oid()), element))
    }

    /// An array that is unnested: the catalogues' number lists count as arrays.
    pub(super) fn unnested(&mut self, array: &Expr) -> Result<Frag> {
        let array = self.expr(array)?;
        if array.ty() == Type::Int2vector {
            return Ok(Frag::new(format!("sb_string_to_array({}, ' ')", array.sql), Type::Int2Array));
        }
        Ok(array)
    }

    /// A table whose `value` steps through an array, and the type of that column.
    pub(super) fn element_source(&mut self, array: Frag) -> Result<(String, Type)> {
        let (sql, element) = match array.ty() {
            Type::Int2vector => (format!("sb_string_to_array({}, ' ')", array.sql), Type::Int2),
            ty => {
                let missing = || SqlError::new("42883", format!("function unnest({ty}) does not exist"));
                (array.sql, ty.element().ok_or_else(missing)?)
            }
        };
        Ok((format!("json_each(sb_array_values({sql}, {}))", element.oid()), element))
    }

    /// `x = ANY (subquery)`, `x = ANY (array)` and the other comparisons.
    pub(super) fn any(&mut self, left: &Expr, op: &Op, right: &Expr) -> Result<Frag> {
        self.quantified(left, op, right, false)
    }

    /// `x <> ALL (array)` and the other comparisons: no element for which the comparison is not true.
    pub(super) fn all(&mut self, left: &Expr, op: &Op, right: &Expr) -> Result<Frag> {
        self.quantified(left, op, right, true)
    }

    fn quantified(&mut self, left: &Expr, op: &Op, right: &Expr, all: bool) -> Result<Frag> {
        let inner = if let Expr::Nested(inner) = right { inner } else { right };
        match (op, inner) {
            (Op::Eq, Expr::Subquery(query)) if !all => return self.in_subquery(left, query, false),
            (Op::NotEq, Expr::Subquery(query)) if all => return self.in_subquery(left, query, true),
            (Op::Eq, Expr::Array(array)) if !all && !array.elem.is_empty() => {
                return self.in_list(left, &array.elem, false);
            }
            _ => {}
        }
        let word = match op {
            Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => op.to_string(),
            _ => return Err(SqlError::unsupported(format!("operator {op} with ANY or ALL"))),
        };
        let left = self.expr(left)?;
        let (source, element) = match inner {
            Expr::Subquery(query) => {
                let (sql, columns) = self.query(query)?;
                let [column] = columns.as_slice() else {
                    return Err(SqlError::syntax("subquery has too many columns"));
                };
                let source = format!("(WITH \"w\"(\"value\") AS ({sql}) SELECT \"value\" FROM \"w\")");
                (source, column.typed.ty)
            }
            _ => self.quantified_array(&left, inner)?,
        };
        let (left, item) = self.matched(left, &word, Frag::new("\"value\"", element))?;
        let test = format!("{} {word} {}", left.comparable(), item.comparable());
        let exists = |condition: &str| format!("EXISTS (SELECT 1 FROM {source} WHERE {condition})");
        let sql = match (word.as_str(), all) {
            // In this form an index on the left side can be used.
            ("=", false) => format!("({} IN (SELECT {} FROM {source}))", left.comparable(), item.sql),
            ("<>", true) => format!("({} NOT IN (SELECT {} FROM {source}))", left.comparable(), item.sql),
            // What decides comes first; else one comparison with NULL makes all unknown.
            _ => {
                let decides = exists(&if all { format!("NOT ({test})") } else { test.clone() });
                let unknown = exists(&format!("({test}) IS NULL"));
                let (met, unmet) = if all { (0, 1) } else { (1, 0) };
                format!("(CASE WHEN {decides} THEN {met} WHEN {unknown} THEN NULL ELSE {unmet} END)")
            }
        };
        Ok(Frag::new(sql, Type::Bool))
    }

    /// The elements of the array beside ANY or ALL as a table; a NULL array counts as one unknown element.
    fn quantified_array(&mut self, left: &Frag, array: &Expr) -> Result<(String, Type)> {
        let array = self.expr(array)?;
        let array = if array.untyped() {
            let ty = if left.untyped() { Type::Text } else { left.ty() };
            let ty = if ty == Type::Varchar { Type::Text } else { ty };
            self.coerce(array, array_of(ty)?)?
        } else {
            array
        };
        let element = array
            .ty()
            .element()
            .ok_or_else(|| SqlError::new("42809", "op ANY/ALL (array) requires array on right side"))?;
        let values = format!("sb_array_values({}, {})", array.sql, element.oid());
        let values = if array.not_null { values } else { format!("coalesce({values}, '[null]')") };
        Ok((format!("json_each({values})"), element))
    }

    /// `||` with an array on either side.
    pub(super) fn array_concat(&mut self, a: Frag, b: Frag) -> Result<Frag> {
        let ty = if a.ty().element().is_some() { a.ty() } else { b.ty() };
        let element = ty.element().ok_or_else(|| no_operator("||", a.ty(), b.ty()))?;
        let mut sides = Vec::new();
        for side in [a, b] {
            sides.push(if side.untyped() || side.ty().element().is_some() {
                self.coerce(side, ty)?.sql
            } else {
                format!("sb_array({}, {})", element.oid(), self.coerce(side, element)?.sql)
            });
        }
        Ok(Frag::new(format!("sb_array_cat({}, {})", sides[0], sides[1]), ty))
    }

    /// `@>`, `<@` and `&&`.
    pub(super) fn array_relation(&mut self, left: &Expr, op: &Op, right: &Expr) -> Result<Frag> {
        let (a, b) = (self.expr(left)?, self.expr(right)?);
        if let Some(frag) = self.json_operator(op, &a, &b)? {
            return Ok(frag);
        }
        let (a, b) = self.matched(a, &op.to_string(), b)?;
        if a.ty().element().is_none() {
            return Err(SqlError::unsupported(format!("operator {op} on {}", a.ty())));
        }
        let (name, a, b) = match op {
            Op::AtArrow => ("sb_array_contains", a, b),
            Op::ArrowAt => ("sb_array_contains", b, a),
            _ => ("sb_array_overlaps", a, b),
        };
        let null = format!("({} IS NULL OR {} IS NULL)", a.sql, b.sql);
        Ok(Frag::new(
            format!("(CASE WHEN {null} THEN NULL ELSE {name}({}, {}) END)", a.sql, b.sql),
            Type::Bool,
        ))
    }

    /// The functions whose types depend on the array's.
    pub(super) fn array_function(&mut self, name: &str, args: &[Frag]) -> Result<Option<Frag>> {
        let element = |frag: &Frag| frag.ty().element();
        let is_array = |frag: &Frag| frag.untyped() || frag.ty().element().is_some();
        match (name, args) {
            ("array_length" | "array_upper", [array, dimension]) if is_array(array) => {
                let dimension = self.coerce(dimension.clone(), Type::Int4)?;
                Ok(Some(Frag::new(format!("sb_array_length({}, {})", array.sql, dimension.sql), Type::Int4)))
            }
            ("array_lower", [array, dimension]) if is_array(array) => {
                let dimension = self.coerce(dimension.clone(), Type::Int4)?;
                let length = format!("sb_array_length({}, {})", array.sql, dimension.sql);
                Ok(Some(Frag::new(format!("(CASE WHEN {length} > 0 THEN 1 END)"), Type::Int4)))
            }
            ("array_ndims", [array]) if is_array(array) => Ok(Some(Frag::new(
                format!("(CASE WHEN sb_array_length({}, 1) > 0 THEN 1 END)", array.sql),
                Type::Int4,
            ))),
            ("cardinality", [array]) if is_array(array) => {
                Ok(Some(Frag::new(format!("sb_cardinality({})", array.sql), Type::Int4)))
            }
            ("array_append" | "array_prepend", [a, b]) => {
                let (array, item) = if name == "array_append" { (a, b) } else { (b, a) };
                let Some(element) = element(array) else { return Ok(None) };
                let item = self.coerce(item.clone(), element)?;
                let ends = if name == "array_append" { [array.clone(), item] } else { [item, array.clone()] };
                let [left, right] = ends;
                self.array_concat(left, right).map(Some)
            }
            ("array_cat", [a, b]) if element(a).or(element(b)).is_some() => {
                self.array_concat(args[0].clone(), args[1].clone()).map(Some)
            }
            ("array_position" | "array_remove", [array, item]) => {
                let Some(element) = element(array) else { return Ok(None) };
                let item = self.coerce(item.clone(), element)?;
                let ty = if name == "array_remove" { array.ty() } else { Type::Int4 };
                Ok(Some(Frag::new(format!("sb_{name}({}, {}, {})", array.sql, item.sql, element.oid()), ty)))
            }
            ("array_to_string", [array, separator, rest @ ..]) if is_array(array) && rest.len() < 2 => {
                let separator = self.coerce(separator.clone(), Type::Text)?;
                let null = match rest.first() {
                    Some(null) => self.coerce(null.clone(), Type::Text)?.sql,
                    None => "NULL".to_owned(),
                };
                // Instants and labels are kept in another form than they are shown in.
                let shown = match element(array) {
                    Some(Type::Timestamptz | Type::Enum(_)) => cast_call(array, Type::TextArray.into(), true),
                    _ => array.clone(),
                };
                let array = &shown;
                let sql = format!("sb_array_to_string({}, {}, {null})", array.sql, separator.sql);
                Ok(Some(Frag::new(sql, Type::Text)))
            }
            ("string_to_array", [text, separator]) => {
                let (text, separator) =
                    (self.coerce(text.clone(), Type::Text)?, self.coerce(separator.clone(), Type::Text)?);
                let sql = format!("sb_string_to_array({}, {})", text.sql, separator.sql);
                Ok(Some(Frag::new(sql, Type::TextArray)))
            }
            _ => Ok(None),
        }
    }
}

/// The text of the longest of several arrays.
pub(super) fn longest(arrays: &[Frag]) -> String {
    let Some((first, rest)) = arrays.split_first() else { return "NULL".to_owned() };
    rest.iter().fold(first.sql.clone(), |longest, array| {
        let count = |sql: &str| format!("coalesce(sb_cardinality({sql}), 0)");
        let (a, b) = (count(&longest), count(&array.sql));
        format!("(CASE WHEN {a} >= {b} THEN {longest} ELSE {} END)", array.sql)
    })
}

fn array_of(element: Type) -> Result<Type> {
    element.array().ok_or_else(|| SqlError::unsupported(format!("an array of {element}")))
}
