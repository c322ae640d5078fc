//! The plans of COPY, and how its options are meant.

use super::compile::Compiler;
use super::error::{Result, SqlError};
use super::fold;
use super::plan::{Action, Class, CopyFormat, CopyIn, CopyOut, Plan};
use sqlparser::ast::{CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, Statement};

pub(super) fn copy_in(source: &CopySource, format: CopyFormat, compiler: &mut Compiler<'_>) -> Result<Plan> {
    let CopySource::Table { table_name, columns } = source else {
        return Err(SqlError::syntax("COPY query is only allowed with TO"));
    };
    let names: Vec<String> = columns.iter().map(fold).collect();
    let (sql, types) = compiler.copy_row(table_name, &names)?;
    let copy = CopyIn { sql, types, format };
    Ok(Plan { writes: true, class: Class::Mod, ..Plan::new(Action::CopyIn(Box::new(copy)), "COPY") })
}

pub(super) fn copy_out(source: &CopySource, format: CopyFormat, compiler: &mut Compiler<'_>) -> Result<Plan> {
    let (sql, columns) = match source {
        CopySource::Query(query) => compiler.query(query)?,
        CopySource::Table { table_name, columns } => {
            let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
            let list = if names.is_empty() { "*".to_owned() } else { names.join(", ") };
            let parsed = super::parse(&format!("SELECT {list} FROM {table_name}"))?;
            let [Statement::Query(query)] = parsed.as_slice() else {
                return Err(SqlError::syntax("COPY needs a table or a query"));
            };
            compiler.query(query)?
        }
    };
    let (sql, columns) = compiler.shown_query(sql, columns);
    Ok(Plan::new(Action::CopyOut(Box::new(CopyOut { sql, columns, format })), "COPY"))
}

pub(super) fn copy_format(options: &[CopyOption], legacy: &[CopyLegacyOption]) -> Result<CopyFormat> {
    let mut copy = CopyFormat {
        binary: legacy.iter().any(|option| matches!(option, CopyLegacyOption::Binary)),
        csv: legacy.iter().any(|option| matches!(option, CopyLegacyOption::Csv(_))),
        delimiter: '\0',
        null: String::new(),
        header: false,
        quote: '"',
    };
    let mut null = None;
    let mut delimiter = None;
    for option in options {
        match option {
            CopyOption::Format(format) => match fold(format).as_str() {
                "csv" => copy.csv = true,
                "text" => copy.csv = false,
                "binary" => copy.binary = true,
                other => return Err(SqlError::unsupported(format!("COPY format \"{other}\""))),
            },
            CopyOption::Freeze(_) => {}
            CopyOption::Delimiter(character) => delimiter = Some(*character),
            CopyOption::Null(text) => null = Some(text.clone()),
            CopyOption::Header(on) => copy.header = *on,
            CopyOption::Quote(character) => copy.quote = *character,
            CopyOption::Encoding(name) if name.eq_ignore_ascii_case("utf8") => {}
            other => return Err(SqlError::unsupported(format!("COPY option {other}"))),
        }
    }
    for option in legacy {
        match option {
            CopyLegacyOption::Csv(list) => {
                for option in list {
                    match option {
                        CopyLegacyCsvOption::Header => copy.header = true,
                        CopyLegacyCsvOption::Quote(character) => copy.quote = *character,
                        other => return Err(SqlError::unsupported(format!("COPY option {other}"))),
                    }
                }
            }
            CopyLegacyOption::Delimiter(character) => delimiter = Some(*character),
            CopyLegacyOption::Null(text) => null = Some(text.clone()),
            CopyLegacyOption::Binary => {}
            other => return Err(SqlError::unsupported(format!("COPY option {other}"))),
        }
    }
    if copy.binary && (copy.csv || copy.header || null.is_some() || delimiter.is_some()) {
        return Err(SqlError::syntax("cannot specify DELIMITER, NULL, HEADER or CSV in BINARY mode"));
    }
    copy.delimiter = delimiter.unwrap_or(if copy.csv { ',' } else { '\t' });
    copy.null = null.unwrap_or_else(|| (if copy.csv { "" } else { "\\N" }).to_owned());
    if copy.binary { Ok(copy) } else { distinct(copy) }
}

/// Refuses what could not be told apart again, as Postgres does. The parser takes one byte for each.
fn distinct(copy: CopyFormat) -> Result<CopyFormat> {
    let (delimiter, quote) = (copy.delimiter, copy.quote);
    let wrong = |message: String| Err(SqlError::new("22023", message));
    if matches!(delimiter, '\n' | '\r') {
        return wrong("COPY delimiter cannot be newline or carriage return".into());
    }
    if copy.null.contains(['\n', '\r']) {
        return wrong("COPY null representation cannot use newline or carriage return".into());
    }
    if !copy.csv
        && (delimiter.is_ascii_lowercase() || delimiter.is_ascii_digit() || "\\.".contains(delimiter))
    {
        return wrong(format!("COPY delimiter cannot be \"{delimiter}\""));
    }
    if copy.csv && delimiter == quote {
        return wrong("COPY delimiter and quote must be different".into());
    }
    for (what, character, used) in [("delimiter", delimiter, true), ("quote", quote, copy.csv)] {
        if used && copy.null.contains(character) {
            let owner = if what == "quote" { "CSV quote character" } else { "COPY delimiter" };
            return Err(SqlError::new("0A000", format!("{owner} must not appear in the NULL specification")));
        }
    }
    Ok(copy)
}
