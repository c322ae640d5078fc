//! Walks over what was parsed: to find something, to change it, to say where it stands.
//!
//! sqlparser compiles its visitors anew, with the whole syntax tree, for each closure that they are given, and
//! `Spanned` for the ends of places too. Here the closures are behind a reference: one visitor that reads and one that
//! changes, which is 300 kB of the program.

use sqlparser::ast::{Expr, ObjectName, Select, Visit, VisitMut, Visitor, VisitorMut};
use sqlparser::tokenizer::Location;
use std::ops::ControlFlow;

/// What a walk stops at, from the left, an outer one before its parts.
enum Node<'a> {
    Expr(&'a Expr),
    Relation(&'a ObjectName),
    Select(&'a Select),
}

/// Whether an expression is one, or has one in it, that the closure is true of.
pub fn any_expr(tree: &impl Visit, is: &mut dyn FnMut(&Expr) -> bool) -> bool {
    any(tree, &mut |node| matches!(node, Node::Expr(expr) if is(expr)))
}

/// Whether a relation is named that the closure is true of.
pub fn any_relation(tree: &impl Visit, is: &mut dyn FnMut(&ObjectName) -> bool) -> bool {
    any(tree, &mut |node| matches!(node, Node::Relation(name) if is(name)))
}

/// Changes every expression, the parts of one before itself.
pub fn change_exprs(tree: &mut impl VisitMut, change: &mut dyn FnMut(&mut Expr)) {
    let _ = tree.visit(&mut Changer { expr: change, relation: &mut |_| {} });
}

/// Changes the name of every relation.
pub fn change_relations(tree: &mut impl VisitMut, change: &mut dyn FnMut(&mut ObjectName)) {
    let _ = tree.visit(&mut Changer { expr: &mut |_| {}, relation: change });
}

/// Where an expression or a statement begins, as far as the parser kept it: line 0 if it didn't.
pub fn start(tree: &impl Visit) -> Location {
    let mut start = Location::new(0, 0);
    any(tree, &mut |node| {
        start = match node {
            Node::Expr(Expr::Identifier(ident)) => ident.span.start,
            Node::Expr(Expr::CompoundIdentifier(parts)) => {
                parts.first().map_or(start, |part| part.span.start)
            }
            Node::Expr(Expr::Value(value)) => value.span.start,
            Node::Expr(Expr::TypedString(typed)) => typed.value.span.start,
            Node::Expr(Expr::Function(function)) => start_of(&function.name),
            Node::Expr(_) => start,
            Node::Relation(name) => start_of(name),
            Node::Select(select) => select.select_token.0.span.start,
        };
        start.line > 0
    });
    start
}

/// Where a name begins.
pub fn start_of(name: &ObjectName) -> Location {
    let first = name.0.first().and_then(|part| part.as_ident());
    first.map_or(Location::new(0, 0), |ident| ident.span.start)
}

fn any(tree: &impl Visit, is: &mut dyn FnMut(Node<'_>) -> bool) -> bool {
    tree.visit(&mut Reader(is)).is_break()
}

struct Reader<'f>(&'f mut dyn FnMut(Node<'_>) -> bool);

impl Reader<'_> {
    fn see(&mut self, node: Node<'_>) -> ControlFlow<()> {
        if (self.0)(node) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Visitor for Reader<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.see(Node::Expr(expr))
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.see(Node::Relation(relation))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.see(Node::Select(select))
    }
}

struct Changer<'f> {
    expr: &'f mut dyn FnMut(&mut Expr),
    relation: &'f mut dyn FnMut(&mut ObjectName),
}

impl VisitorMut for Changer<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        (self.expr)(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        (self.relation)(relation);
        ControlFlow::Continue(())
    }
}
