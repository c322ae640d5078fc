//! COPY: from STDIN lines or CSV records, one INSERT each, all or nothing; to STDOUT a query's rows.

use super::Session;
use super::wire::Incoming;
use crate::engine::{Repeated, Value, ValueRef};
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::{CopyFormat, CopyIn, CopyOut};
use crate::sql::value;
use pgwire::messages::PgWireFrontendMessage as Frontend;
use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use std::borrow::Cow;

impl Session {
    pub(super) fn copy_in(&mut self, copy: &CopyIn) -> Result<String> {
        let columns =
            i16::try_from(copy.types.len()).map_err(|_| SqlError::new("54011", "too many columns"))?;
        let format = i8::from(copy.format.binary);
        self.wire.put(&CopyInResponse::new(format, columns, vec![i16::from(format); copy.types.len()]))?;
        self.wire.flush()?;
        let mut records =
            Records { data: Vec::new(), start: 0, header: copy.format.header, begun: false, ended: false };
        let mut count = 0_u64;
        let mut failure = None;
        let Self { connection, wire, server, .. } = self;
        let mut insert = connection.repeated(&copy.sql)?;
        loop {
            match wire.read() {
                Ok(Frontend::CopyData(data)) if failure.is_none() => {
                    records.push(&data.data);
                    failure = store(&mut insert, copy, &mut records, &mut count, false).err();
                }
                // After an error the client's data is read to its end, so that both sides agree where it is.
                Ok(Frontend::CopyData(_) | Frontend::Flush(_) | Frontend::Sync(_)) => {}
                Ok(Frontend::CopyDone(_)) => break,
                Ok(Frontend::CopyFail(fail)) => {
                    let message = format!("COPY from stdin failed: {}", fail.message);
                    return Err(SqlError::new("57014", message));
                }
                Ok(_) => return Err(SqlError::fatal("08P01", "unexpected message during COPY from stdin")),
                Err(Incoming::Malformed(why)) => return Err(SqlError::fatal("08P01", why)),
                Err(_) if server.is_stopping() => return Err(super::terminated()),
                Err(_) => {
                    return Err(SqlError::fatal("08006", "unexpected end of the client's data during COPY"));
                }
            }
        }
        if failure.is_none() {
            failure = store(&mut insert, copy, &mut records, &mut count, true).err();
        }
        failure.map_or_else(|| Ok(format!("COPY {count}")), Err)
    }

    pub(super) fn copy_out(&mut self, copy: &CopyOut) -> Result<String> {
        let columns =
            i16::try_from(copy.columns.len()).map_err(|_| SqlError::new("54011", "too many columns"))?;
        let format = i8::from(copy.format.binary);
        self.wire.put(&CopyOutResponse::new(format, columns, vec![i16::from(format); copy.columns.len()]))?;
        if copy.format.binary {
            return self.copy_out_binary(copy);
        }
        if copy.format.header {
            let mut line = String::new();
            let names = copy.columns.iter().map(|column| Some(Cow::Borrowed(column.name.as_str())));
            record(&mut line, names, &copy.format);
            self.wire.copy_line(&line)?;
        }
        let Self { connection, wire, .. } = self;
        let (mut count, mut line) = (0_u64, String::new());
        connection.run(&copy.sql, &[], &mut |row| {
            count += 1;
            line.clear();
            let fields = row.iter().zip(&copy.columns).map(|(value, column)| {
                (*value != ValueRef::Null).then(|| value::shown(column.typed, *value))
            });
            record(&mut line, fields, &copy.format);
            wire.copy_line(&line).map(|()| true)
        })?;
        self.wire.put(&CopyDone::new())?;
        Ok(format!("COPY {count}"))
    }
}

/// Stores the records that have come whole; at the `end` also the last one.
fn store(
    insert: &mut Repeated<'_>,
    copy: &CopyIn,
    records: &mut Records,
    count: &mut u64,
    end: bool,
) -> Result<()> {
    if copy.format.binary {
        return super::copy_binary::store(insert, copy, records, count, end);
    }
    let mut params = Vec::with_capacity(copy.types.len());
    while let Some(record) = records.next(copy, end) {
        let text = value::utf8(record)?;
        if text == "\\." {
            continue;
        }
        let place = || format!("COPY line {}", *count + 1);
        let fields = if copy.format.csv { csv_fields(text, copy)? } else { text_fields(text, copy)? };
        if fields.len() != copy.types.len() {
            let message = if fields.len() < copy.types.len() {
                "missing data for a column"
            } else {
                "extra data after last expected column"
            };
            return Err(SqlError::new("22P04", message).detail(place()));
        }
        params.clear();
        for (field, typed) in fields.iter().zip(&copy.types) {
            params.push(match field {
                None => Value::Null,
                Some(text) => value::input(*typed, text, false).map_err(|error| error.detail(place()))?,
            });
        }
        insert.execute(&params).map_err(|error| error.detail(place()))?;
        *count += 1;
    }
    Ok(())
}

/// Adds one row as a line, with its line feed.
fn record<'t>(
    line: &mut String,
    fields: impl ExactSizeIterator<Item = Option<Cow<'t, str>>>,
    format: &CopyFormat,
) {
    let lone = fields.len() == 1;
    // Both are of one byte, and so is all that is escaped: no character has to be put together to find it.
    let (delimiter, quote) = (format.delimiter as u8, format.quote as u8);
    for (index, field) in fields.enumerate() {
        if index > 0 {
            line.push(format.delimiter);
        }
        match field {
            None => line.push_str(&format.null),
            Some(text) if format.csv => {
                let special = |b: u8| b == delimiter || b == quote || matches!(b, b'\n' | b'\r');
                // A lone `\.` would end the data.
                let alone = lone && text == "\\.";
                if text == format.null.as_str() || text.bytes().any(special) || alone {
                    let quote = format.quote.to_string();
                    line.push_str(&format!("{quote}{}{quote}", text.replace(&quote, &quote.repeat(2))));
                } else {
                    line.push_str(&text);
                }
            }
            // All that is escaped but for the delimiter are these, and most texts have none of them.
            Some(text) if !text.bytes().any(|b| b <= b'\r' || b == b'\\' || b == delimiter) => {
                line.push_str(&text);
            }
            Some(text) => {
                for c in text.chars() {
                    let letter = match c {
                        '\u{8}' => 'b',
                        '\u{c}' => 'f',
                        '\n' => 'n',
                        '\r' => 'r',
                        '\t' => 't',
                        '\u{b}' => 'v',
                        c if c == '\\' || c == format.delimiter => c,
                        c => {
                            line.push(c);
                            continue;
                        }
                    };
                    line.push('\\');
                    line.push(letter);
                }
            }
        }
    }
    line.push('\n');
}

/// Bytes that have come, cut into records.
pub(super) struct Records {
    pub(super) data: Vec<u8>,
    pub(super) start: usize,
    header: bool,
    /// Of the binary form: its header was read, its end was seen.
    pub(super) begun: bool,
    pub(super) ended: bool,
}

impl Records {
    fn push(&mut self, bytes: &[u8]) {
        self.data.drain(..self.start);
        self.start = 0;
        self.data.extend_from_slice(bytes);
    }

    fn next(&mut self, copy: &CopyIn, end: bool) -> Option<&[u8]> {
        loop {
            let start = self.start;
            let rest = &self.data[start..];
            let length = match record_end(rest, copy) {
                Some(length) => length,
                None if end && !rest.is_empty() => rest.len(),
                None => return None,
            };
            self.start = (start + length + 1).min(self.data.len());
            if !std::mem::take(&mut self.header) {
                let record = &self.data[start..start + length];
                return Some(record.strip_suffix(b"\r").unwrap_or(record));
            }
        }
    }
}

/// The next line feed, in CSV one outside quotes.
fn record_end(bytes: &[u8], copy: &CopyIn) -> Option<usize> {
    if !copy.format.csv {
        return bytes.iter().position(|byte| *byte == b'\n');
    }
    let mut quoted = false;
    bytes.iter().position(|byte| {
        quoted ^= char::from(*byte) == copy.format.quote;
        *byte == b'\n' && !quoted
    })
}

/// A field; none is NULL.
type Field<'t> = Option<Cow<'t, str>>;

fn text_fields<'t>(line: &'t str, copy: &CopyIn) -> Result<Vec<Field<'t>>> {
    let null_or =
        |field: &'t str| if field == copy.format.null { Ok(None) } else { unescape(field).map(Some) };
    if !line.contains('\\') {
        return line.split(copy.format.delimiter).map(null_or).collect();
    }
    let mut escaped = false;
    // A delimiter behind a backslash is a character of the field.
    let fields = line.split(|c: char| {
        let ends = c == copy.format.delimiter && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    fields.map(null_or).collect()
}

/// `\t`, `\n`, `\\` and the like; a backslash before any other character stands for that character.
fn unescape(field: &str) -> Result<Cow<'_, str>> {
    if !field.contains('\\') {
        return Ok(Cow::Borrowed(field));
    }
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        text.push(match characters.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(other) => other,
            None => return Err(SqlError::new("22P04", "a line ends with a lone backslash")),
        });
    }
    Ok(Cow::Owned(text))
}

fn csv_fields<'t>(line: &'t str, copy: &CopyIn) -> Result<Vec<Field<'t>>> {
    if !line.contains(copy.format.quote) {
        let fields = line.split(copy.format.delimiter);
        return Ok(fields.map(|field| (field != copy.format.null).then_some(Cow::Borrowed(field))).collect());
    }
    let mut fields = Vec::new();
    let mut text = String::new();
    let (mut quoted, mut was_quoted) = (false, false);
    let mut characters = line.chars().peekable();
    loop {
        match characters.next() {
            Some(c) if c == copy.format.quote && quoted && characters.peek() == Some(&copy.format.quote) => {
                text.push(c);
                characters.next();
            }
            Some(c) if c == copy.format.quote => (quoted, was_quoted) = (!quoted, true),
            Some(c) if quoted || c != copy.format.delimiter => text.push(c),
            None if quoted => return Err(SqlError::new("22P04", "unterminated CSV quoted field")),
            end => {
                let field = std::mem::take(&mut text);
                fields.push((was_quoted || field != copy.format.null).then_some(Cow::Owned(field)));
                was_quoted = false;
                if end.is_none() {
                    return Ok(fields);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(csv: bool) -> CopyIn {
        CopyIn {
            sql: String::new(),
            types: Vec::new(),
            format: CopyFormat {
                binary: false,
                csv,
                delimiter: if csv { ',' } else { '\t' },
                null: (if csv { "" } else { "\\N" }).to_owned(),
                header: false,
                quote: '"',
            },
        }
    }

    #[test]
    fn fields_are_cut_as_postgres_does() {
        let check = |csv: bool, line: &str, expect: &[Option<&str>]| {
            let copy = copy(csv);
            let fields = if csv { csv_fields(line, &copy) } else { text_fields(line, &copy) }.unwrap();
            let fields: Vec<Option<&str>> = fields.iter().map(Option::as_deref).collect();
            assert_eq!(fields, expect, "{line:?}");
        };
        check(false, "1\ta\\tb\t\\N\t", &[Some("1"), Some("a\tb"), None, Some("")]);
        check(false, "a\\\tb\\\\\tc", &[Some("a\tb\\"), Some("c")]);
        check(true, "1,\"a,\"\"b\"\"\",,\"\"", &[Some("1"), Some("a,\"b\""), None, Some("")]);
        assert!(csv_fields("\"a", &copy(true)).is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let fields = ["a\tb", "\\N", "", "x,\"y\"\nz", "\\."].map(|text| Some(text.to_owned()));
        let fields: Vec<Option<String>> = fields.into_iter().chain([None]).collect();
        for csv in [false, true] {
            let copy = copy(csv);
            let mut line = String::new();
            record(&mut line, fields.iter().map(|field| field.as_deref().map(Cow::Borrowed)), &copy.format);
            let line = line.trim_end_matches('\n');
            let read = if csv { csv_fields(line, &copy) } else { text_fields(line, &copy) };
            let read: Vec<Option<String>> =
                read.unwrap().into_iter().map(|field| field.map(Cow::into_owned)).collect();
            assert_eq!(read, fields, "{line:?}");
        }
    }

    #[test]
    fn records_may_come_in_any_pieces() {
        let copy = copy(true);
        let mut records = Records { data: Vec::new(), start: 0, header: true, begun: false, ended: false };
        let mut got = Vec::new();
        for piece in ["na", "me\r\n\"a\n", "b\"\n", "c"] {
            records.push(piece.as_bytes());
            while let Some(record) = records.next(&copy, false) {
                got.push(String::from_utf8(record.to_vec()).unwrap());
            }
        }
        while let Some(record) = records.next(&copy, true) {
            got.push(String::from_utf8(record.to_vec()).unwrap());
        }
        assert_eq!(got, ["\"a\nb\"", "c"]);
    }
}
