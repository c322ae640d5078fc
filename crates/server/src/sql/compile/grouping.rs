//! GROUPING SETS, ROLLUP and CUBE: one query for each set, put together by UNION ALL.
//!
//! In the query of a set the other keys are NULL: `nullif(key, key)`, which keeps its type.

use super::projection::output_name;
use crate::sql::error::{Result, SqlError};
use crate::sql::{fold, walk};
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Select, SelectItem,
    SetExpr, SetOperator, SetQuantifier, Value,
};

/// More sets than this are an attack rather than a report.
const MOST: usize = 256;

/// The queries behind a SELECT with grouping sets; `None` if it has none.
pub(super) fn expanded(select: &Select) -> Result<Option<SetExpr>> {
    let GroupByExpr::Expressions(list, modifiers) = &select.group_by else { return Ok(None) };
    let special = |expr: &&Expr| matches!(expr, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_));
    let Some(first) = list.iter().find(special).filter(|_| modifiers.is_empty()) else { return Ok(None) };
    // Several items multiply: each set of one with each set of the others.
    let mut sets: Vec<Vec<Expr>> = vec![Vec::new()];
    for expr in list {
        let own = sets_of(expr);
        let each =
            |set: &Vec<Expr>| own.iter().map(|more| [set.clone(), more.clone()].concat()).collect::<Vec<_>>();
        sets = sets.iter().flat_map(each).collect();
        if sets.len() > MOST {
            return Err(SqlError::new("54001", "too many grouping sets present").at(walk::start(first)));
        }
    }
    let mut keys: Vec<Expr> = Vec::new();
    for key in sets.iter().flatten() {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    let branches = sets.iter().map(|set| SetExpr::Select(Box::new(branch(select, set, &keys))));
    Ok(branches.reduce(|left, right| SetExpr::SetOperation {
        op: SetOperator::Union,
        set_quantifier: SetQuantifier::All,
        left: Box::new(left),
        right: Box::new(right),
    }))
}

fn sets_of(expr: &Expr) -> Vec<Vec<Expr>> {
    match expr {
        Expr::GroupingSets(sets) => sets.clone(),
        Expr::Rollup(parts) => (0..=parts.len()).rev().map(|count| parts[..count].concat()).collect(),
        Expr::Cube(parts) if parts.len() < 9 => {
            let chosen = |mask: usize| {
                let bits = (0..parts.len()).filter(move |bit| mask & (1 << (parts.len() - 1 - bit)) != 0);
                bits.flat_map(|bit| parts[bit].clone()).collect()
            };
            (0..1 << parts.len()).rev().map(chosen).collect()
        }
        Expr::Cube(parts) => vec![Vec::new(); 1 << parts.len().min(16)],
        other => vec![vec![other.clone()]],
    }
}

/// The query of one set.
fn branch(select: &Select, set: &[Expr], keys: &[Expr]) -> Select {
    let mut branch = select.clone();
    let group = if set.is_empty() { vec![Expr::Value(Value::Null.into())] } else { set.to_vec() };
    branch.group_by = GroupByExpr::Expressions(group, Vec::new());
    for item in &mut branch.projection {
        if let SelectItem::UnnamedExpr(expr) = item {
            let alias = Ident::with_quote('"', output_name(expr));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
        if let SelectItem::ExprWithAlias { expr, .. } = item {
            without(expr, set, keys);
        }
    }
    if let Some(having) = &mut branch.having {
        without(having, set, keys);
    }
    branch
}

/// Takes the keys that a set doesn't have out of an expression, and answers `grouping(…)`.
fn without(expr: &mut Expr, set: &[Expr], keys: &[Expr]) {
    if keys.contains(expr) && !set.contains(expr) {
        *expr = nullified(expr);
        return;
    }
    if let Expr::Function(function) = expr {
        let name = function.name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
        if name == "grouping" {
            let missing =
                arguments(function).iter().fold(0, |bits, key| bits * 2 + u32::from(!set.contains(key)));
            *expr = Expr::Value(Value::Number(missing.to_string(), false).into());
        }
        // What an aggregate reads is every row's own.
        return;
    }
    let itself = expr.clone();
    walk::change_exprs(expr, &mut |inner| {
        if *inner != itself && keys.contains(inner) && !set.contains(inner) {
            *inner = nullified(inner);
        }
    });
}

fn arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let plain = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().filter_map(plain).collect()
}

fn nullified(key: &Expr) -> Expr {
    let parsed = crate::sql::parse_expr("nullif(a, a)");
    let Ok(Expr::Function(mut function)) = parsed else { return Expr::Value(Value::Null.into()) };
    if let FunctionArguments::List(list) = &mut function.args {
        for arg in &mut list.args {
            *arg = FunctionArg::Unnamed(FunctionArgExpr::Expr(key.clone()));
        }
    }
    Expr::Function(function)
}
