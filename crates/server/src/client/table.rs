//! Prints results as psql does: aligned, unaligned, CSV.

use super::Column;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Columns of one width.
    Aligned,
    /// Fields with a separator between them.
    Unaligned,
    /// RFC 4180.
    Csv,
}

/// How results are printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// How rows are written.
    pub format: Format,
    /// Rows only: no header, no footer.
    pub tuples_only: bool,
    /// Whether `(1 row)` follows.
    pub footer: bool,
    /// Between the fields of an unaligned row.
    pub field_separator: String,
    /// After each unaligned row.
    pub record_separator: String,
    /// What NULL looks like.
    pub null: String,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            format: Format::Aligned,
            tuples_only: false,
            footer: true,
            field_separator: "|".to_owned(),
            record_separator: "\n".to_owned(),
            null: String::new(),
        }
    }
}

/// The OIDs of types whose values stand at the right.
const NUMERIC: &[u32] = &[20, 21, 23, 26, 28, 29, 700, 701, 790, 1700, 5069];

/// A result as text.
pub fn render(style: &Style, columns: &[Column], rows: &[Vec<Option<String>>]) -> String {
    match style.format {
        Format::Aligned => aligned(style, columns, rows),
        Format::Unaligned => unaligned(style, columns, rows),
        Format::Csv => csv(style, columns, rows),
    }
}

fn footer(rows: usize) -> String {
    if rows == 1 { "(1 row)".to_owned() } else { format!("({rows} rows)") }
}

fn field<'a>(style: &'a Style, field: Option<&'a String>) -> &'a str {
    field.map_or(style.null.as_str(), String::as_str)
}

fn unaligned(style: &Style, columns: &[Column], rows: &[Vec<Option<String>>]) -> String {
    let mut lines = Vec::new();
    if !style.tuples_only {
        lines.push(names(columns).collect::<Vec<_>>().join(&style.field_separator));
    }
    for row in rows {
        let fields: Vec<&str> = row.iter().map(|value| field(style, value.as_ref())).collect();
        lines.push(fields.join(&style.field_separator));
    }
    if !style.tuples_only && style.footer {
        lines.push(footer(rows.len()));
    }
    let mut text = lines.join(&style.record_separator);
    if !lines.is_empty() {
        // A separator that is no line feed stands between records only; the zero byte ends the last one too.
        text.push(if style.record_separator == "\0" { '\0' } else { '\n' });
    }
    text
}

fn csv(style: &Style, columns: &[Column], rows: &[Vec<Option<String>>]) -> String {
    let mut text = String::new();
    if !style.tuples_only {
        text += &csv_line(names(columns));
    }
    for row in rows {
        text += &csv_line(row.iter().map(|value| field(style, value.as_ref())));
    }
    text
}

fn csv_line<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let quote = |field: &str| {
        if field.contains([',', '"', '\n', '\r']) || field == "\\." {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.to_owned()
        }
    };
    fields.map(quote).collect::<Vec<_>>().join(",") + "\n"
}

fn names(columns: &[Column]) -> impl Iterator<Item = &str> {
    columns.iter().map(|column| column.name.as_str())
}

fn width(text: &str) -> usize {
    text.split('\n').map(|line| line.chars().count()).max().unwrap_or(0)
}

fn aligned(style: &Style, columns: &[Column], rows: &[Vec<Option<String>>]) -> String {
    let mut widths: Vec<usize> = names(columns).map(width).collect();
    for row in rows {
        for (known, value) in widths.iter_mut().zip(row) {
            *known = (*known).max(width(field(style, value.as_ref())));
        }
    }
    let mut text = String::new();
    if !style.tuples_only {
        text += &cells(&names(columns).collect::<Vec<_>>(), &widths, &|_| Align::Centre);
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        text += &(if rules.is_empty() { "--".to_owned() } else { rules.join("+") } + "\n");
    }
    let align = |index: usize| {
        let numeric = columns.get(index).is_some_and(|column| NUMERIC.contains(&column.oid));
        if numeric { Align::Right } else { Align::Left }
    };
    for row in rows.iter().filter(|row| !row.is_empty()) {
        let fields: Vec<&str> = row.iter().map(|value| field(style, value.as_ref())).collect();
        text += &cells(&fields, &widths, &align);
    }
    if !style.tuples_only && style.footer {
        text += &(footer(rows.len()) + "\n");
    }
    text + "\n"
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
    Centre,
}

/// One row; a value with line feeds takes several lines, each but its last one marked with a `+`.
fn cells(fields: &[&str], widths: &[usize], align: &dyn Fn(usize) -> Align) -> String {
    let split: Vec<Vec<&str>> = fields.iter().map(|field| field.split('\n').collect()).collect();
    let height = split.iter().map(Vec::len).max().unwrap_or(0);
    let mut text = String::new();
    for number in 0..height {
        for (index, lines) in split.iter().enumerate() {
            let line = lines.get(number).copied().unwrap_or("");
            let free = widths[index].saturating_sub(line.chars().count());
            let continues = number + 1 < lines.len();
            let last = index + 1 == split.len();
            let align = align(index);
            let left = match align {
                Align::Left => 0,
                Align::Right => free,
                Align::Centre => free / 2,
            };
            // Nothing stands to the right of the last value, so it needs no blanks there; a header has them.
            let open = last && !continues && align != Align::Centre;
            let right = if open && align == Align::Left { 0 } else { free - left };
            let left = if open && number >= lines.len() { 0 } else { left };
            text += &format!(" {}{line}{}", " ".repeat(left), " ".repeat(right));
            match (continues, last, align) {
                (true, ..) => text.push('+'),
                (false, true, Align::Left | Align::Right) => {}
                _ => text.push(' '),
            }
            if !last {
                text.push('|');
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: Format, tuples_only: bool, expect: &str) {
        let columns = [("id", 23), ("a name", 25)].map(|(name, oid)| Column { name: name.to_owned(), oid });
        let rows = [
            vec![Some("1".to_owned()), Some("one, \"1\"".to_owned())],
            vec![Some("200".to_owned()), None],
            vec![Some("3".to_owned()), Some("a\nb".to_owned())],
        ];
        let style = Style { format, tuples_only, ..Style::default() };
        assert_eq!(render(&style, &columns, &rows), expect);
    }

    #[test]
    fn results_look_as_psql_prints_them() {
        let table = " id  |  a name  \n-----+----------\n   1 | one, \"1\"\n 200 | \n   3 | a       +\n     | b\n(3 rows)\n\n";
        check(Format::Aligned, false, table);
        check(Format::Aligned, true, "   1 | one, \"1\"\n 200 | \n   3 | a       +\n     | b\n\n");
        check(Format::Unaligned, false, "id|a name\n1|one, \"1\"\n200|\n3|a\nb\n(3 rows)\n");
        check(Format::Unaligned, true, "1|one, \"1\"\n200|\n3|a\nb\n");
        check(Format::Csv, false, "id,a name\n1,\"one, \"\"1\"\"\"\n200,\n3,\"a\nb\"\n");
    }
}
