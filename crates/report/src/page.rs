//! One page of HTML that needs nothing else: no network, no script. Parts of a treemap are links to their own maps, of
//! which CSS shows the one that the address names; so the keyboard, the back button and a screen reader just work.

mod blocks;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::treemap::Node;

/// The looks, for light and dark.
const STYLE: &str = include_str!("page/style.css");

/// The page.
#[derive(Clone, Debug)]
pub struct Page {
    /// What it is about.
    pub title: String,
    /// What it was made from: names and values.
    pub facts: Vec<(String, String)>,
    /// In their order.
    pub sections: Vec<Section>,
}

/// A part of the page that the navigation names.
#[derive(Clone, Debug)]
pub struct Section {
    /// A word of letters for its address.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What is to be seen there, in a sentence.
    pub about: String,
    /// In their order.
    pub blocks: Vec<Block>,
}

/// Something to look at.
#[derive(Clone, Debug)]
pub enum Block {
    /// A sentence or two.
    Text(String),
    /// A heading below the section's.
    Heading(String),
    /// A table.
    Table(Table),
    /// What takes the room, to be walked through.
    Treemap(Treemap),
    /// The last times of contenders, as bars.
    Bars(Bars),
    /// Figures over time.
    Lines(Lines),
    /// What opens on demand.
    Folded(String, Vec<Block>),
}

/// A table; cells of columns that `numbers` names stand at the right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// The columns' names.
    pub head: Vec<&'static str>,
    /// Which columns hold numbers, from 0.
    pub numbers: Vec<usize>,
    /// As many cells a row as there are columns.
    pub rows: Vec<Vec<String>>,
}

/// A tree of bytes under a name.
#[derive(Clone, Debug)]
pub struct Treemap {
    /// A word for addresses, different for each map of a page.
    pub id: String,
    /// What it shows.
    pub caption: String,
    /// Its parts, largest first: [`Node::pruned`].
    pub root: Node,
}

/// Times of contenders.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What it shows.
    pub caption: String,
    /// The times.
    pub rows: Vec<crate::history::Row>,
}

/// A line a series, over the same moments.
#[derive(Clone, Debug)]
pub struct Lines {
    /// What it shows.
    pub caption: String,
    /// What values are counted in.
    pub unit: &'static str,
    /// What the moments are called: commits.
    pub moments: Vec<String>,
    /// A name, and a value a moment; none where it was not measured.
    pub series: Vec<(String, Vec<Option<f64>>)>,
}

/// The document.
pub fn render(page: &Page) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing may be loaded or run, whatever a file in an image is called.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
                meta name="color-scheme" content="light dark";
                // Else browsers ask for one.
                link rel="icon" href="data:,";
                title { (page.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#main" { "Skip to the contents" }
                header {
                    h1 { (page.title) }
                    dl { @for (name, value) in &page.facts { div { dt { (name) } dd { (value) } } } }
                }
                nav aria-label="Sections" {
                    ul { @for section in &page.sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                }
                main id="main" { @for section in &page.sections { (section_markup(section)) } }
                footer { p { "Made by " code { "cargo xtask report" } "." } }
            }
        }
    };
    markup.into_string() + "\n"
}

fn section_markup(section: &Section) -> Markup {
    let heading = format!("{}-heading", section.id);
    html! {
        section id=(section.id) aria-labelledby=(heading) {
            h2 id=(heading) { (section.title) }
            @if !section.about.is_empty() { p { (section.about) } }
            @for block in &section.blocks { (blocks::block(block)) }
        }
    }
}

#[cfg(test)]
mod tests;
