//! What stands in a section, as HTML. Widths and places are percentages: the same markup serves a phone and a desk.

use maud::{Markup, html};

use super::{Bars, Block, Lines, Table, Treemap};
use crate::treemap::{self, Node, Rect};

/// Width by height of every map, as in the style.
const ASPECT: f64 = 1.5;
/// The hundredths of a map's width or height below which what is in a folder can't be seen.
const LEAST: f64 = 12.0;
/// The height and width of the box that lines are drawn in; the style stretches it.
const BOX: (f64, f64) = (100.0, 40.0);

/// One block.
pub fn block(block: &Block) -> Markup {
    match block {
        Block::Text(text) => html! { p { (text) } },
        Block::Heading(text) => html! { h3 { (text) } },
        Block::Table(table) => self::table(table),
        Block::Treemap(map) => treemap(map),
        Block::Bars(bars) => self::bars(bars),
        Block::Lines(lines) => self::lines(lines),
        Block::Folded(summary, blocks) => html! {
            details { summary { (summary) } @for inner in blocks { (self::block(inner)) } }
        },
    }
}

/// On a phone each row becomes a card whose cells say their columns; the roles keep it a table for screen readers.
fn table(table: &Table) -> Markup {
    let class = |column: usize| table.numbers.contains(&column).then_some("number");
    html! {
        table role="table" {
            caption { (table.caption) }
            thead role="rowgroup" {
                tr role="row" {
                    @for (column, name) in table.head.iter().enumerate() {
                        th role="columnheader" scope="col" class=[class(column)] { (name) }
                    }
                }
            }
            tbody role="rowgroup" {
                @for row in &table.rows {
                    tr role="row" {
                        @for (column, cell) in row.iter().enumerate() {
                            td role="cell" class=[class(column)] data-label=(table.head.get(column).unwrap_or(&"")) { (cell) }
                        }
                    }
                }
            }
        }
    }
}

fn treemap(map: &Treemap) -> Markup {
    let mut maps = Vec::new();
    collect(&map.root, &map.id, &mut Vec::new(), &mut maps);
    html! {
        figure class="treemap" {
            figcaption { (map.caption) }
            @for (number, (id, node, above)) in maps.iter().enumerate() {
                div class={ "map" @if number == 0 { " root" } } id=(id) tabindex="-1" {
                    ol class="path" aria-label="Where you are" {
                        @for (id, name) in above { li { a href={ "#" (id) } { (name) } } }
                        li { span aria-current="location" { (node.name) } " " small { (bytes(node.bytes)) } }
                    }
                    (cells(node, id))
                }
            }
        }
    }
}

/// A map: its address, what it shows, and the maps above it with their names.
type Map<'a> = (String, &'a Node, Vec<(String, String)>);

fn collect<'a>(node: &'a Node, id: &str, above: &mut Vec<(String, String)>, maps: &mut Vec<Map<'a>>) {
    maps.push((id.to_string(), node, above.clone()));
    above.push((id.to_string(), node.name.clone()));
    for (number, child) in node.children.iter().enumerate().filter(|(_, child)| !child.children.is_empty()) {
        collect(child, &format!("{id}-{number}"), above, maps);
    }
    above.pop();
}

fn cells(node: &Node, id: &str) -> Markup {
    let sizes: Vec<u64> = node.children.iter().map(|child| child.bytes).collect();
    let rects = treemap::layout(&sizes, ASPECT);
    html! {
        ul class="cells" {
            @for (number, (child, rect)) in node.children.iter().zip(&rects).enumerate() {
                @let told = format!("{}, {}, {} % of {}", child.name, bytes(child.bytes), share(child.bytes, node.bytes), node.name);
                li style=(place(rect)) {
                    @if child.children.is_empty() {
                        span class="cell file" tabindex="0" role="note" aria-label=(told) title=(told) { (label(child)) }
                    } @else {
                        a class="cell folder" href={ "#" (id) "-" (number) } aria-label={ (told) ", open" } title=(told) { (label(child)) (within(child, rect, 2)) }
                    }
                }
            }
        }
    }
}

fn label(node: &Node) -> Markup {
    html! { span class="label" { (node.name) } br; small { (bytes(node.bytes)) } }
}

/// What is in a folder, as far as there is room for it: for the eye alone, since the folder's own map says it too.
fn within(node: &Node, rect: &Rect, deep: usize) -> Markup {
    if deep == 0 || node.children.is_empty() || rect.width < LEAST || rect.height < LEAST {
        return html! {};
    }
    let sizes: Vec<u64> = node.children.iter().map(|child| child.bytes).collect();
    let inner = treemap::layout(&sizes, rect.width * ASPECT / rect.height);
    html! {
        span class="inner" aria-hidden="true" {
            @for (child, part) in node.children.iter().zip(&inner) {
                @let seen = Rect {
                    width: part.width * rect.width / 100.0,
                    height: part.height * rect.height / 100.0,
                    ..*part
                };
                @if seen.width >= 1.0 && seen.height >= 1.0 {
                    span class={ "box " (if child.children.is_empty() { "file" } else { "folder" }) } style=(place(part)) {
                        (child.name) (within(child, &seen, deep - 1))
                    }
                }
            }
        }
    }
}

fn place(rect: &Rect) -> String {
    format!("left:{:.3}%;top:{:.3}%;width:{:.3}%;height:{:.3}%", rect.x, rect.y, rect.width, rect.height)
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "0".into() } else { format!("{:.1}", part as f64 / whole as f64 * 100.0) }
}

/// Bytes for people.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

fn bars(bars: &Bars) -> Markup {
    let longest = bars.rows.iter().map(|row| row.range.1).fold(0.0, f64::max);
    let percent = |seconds: f64| if longest > 0.0 { seconds / longest * 100.0 } else { 0.0 };
    html! {
        table role="table" class="bars" {
            caption { (bars.caption) }
            thead role="rowgroup" { tr role="row" {
                th role="columnheader" scope="col" { "What" }
                th role="columnheader" scope="col" class="number" { "Median" }
                th role="columnheader" scope="col" { "Fastest to slowest" }
                th role="columnheader" scope="col" { "Ratio" }
            } }
            tbody role="rowgroup" {
                @for row in &bars.rows {
                    tr role="row" {
                        td role="cell" data-label="What" { (row.what) }
                        td role="cell" class="number" data-label="Median" { (format!("{:.3} s", row.seconds)) }
                        td role="cell" data-label="Fastest to slowest" {
                            span class="bar" aria-hidden="true" {
                                span class="spread" style=(format!("left:{:.2}%;width:{:.2}%", percent(row.range.0), percent(row.range.1 - row.range.0))) {}
                                span class="median" style=(format!("width:{:.2}%", percent(row.seconds))) {}
                            }
                            (format!("{:.3} to {:.3} s, {} rounds", row.range.0, row.range.1, row.rounds))
                        }
                        td role="cell" data-label="Ratio" {
                            @match &row.ratio { Some((what, ratio)) => { (format!("{ratio:.2} of {what}")) } None => { "–" } }
                        }
                    }
                }
            }
        }
    }
}

fn lines(lines: &Lines) -> Markup {
    let values = || lines.series.iter().flat_map(|(_, values)| values.iter().flatten());
    let most = values().copied().fold(0.0, f64::max);
    let steps = lines.moments.len().saturating_sub(1).max(1) as f64;
    let at = |number: usize, value: f64| {
        let y = if most > 0.0 { BOX.1 - value / most * (BOX.1 - 2.0) } else { BOX.1 };
        format!("{:.2},{y:.2}", number as f64 / steps * BOX.0)
    };
    let points = |values: &[Option<f64>]| -> String {
        let known = values.iter().enumerate().filter_map(|(number, value)| Some(at(number, (*value)?)));
        known.collect::<Vec<_>>().join(" ")
    };
    let shown =
        |value: &Option<f64>| value.map_or("–".into(), |value| format!("{value:.2} {}", lines.unit));
    html! {
        figure class="lines" {
            figcaption { (lines.caption) }
            svg viewBox={ "0 0 " (BOX.0) " " (BOX.1) } preserveAspectRatio="none" role="img" aria-label={ (lines.caption) "; the figures are in the table below" } {
                @for (number, (_, values)) in lines.series.iter().enumerate() {
                    polyline class={ "series-" (number % 4) } points=(points(values)) {}
                }
            }
            ul class="legend" {
                @for (number, (name, values)) in lines.series.iter().enumerate() {
                    li { span class={ "key series-" (number % 4) } aria-hidden="true" {} (name) ": " (shown(values.last().unwrap_or(&None))) }
                }
            }
        }
        details {
            summary { "The figures of each commit" }
            @for (name, values) in &lines.series {
                (table(&Table {
                    caption: name.clone(),
                    head: vec!["Commit", "Value"],
                    numbers: vec![1],
                    rows: lines.moments.iter().zip(values).map(|(moment, value)| vec![moment.clone(), shown(value)]).collect(),
                }))
            }
        }
    }
}
