//! COPY in Postgres' binary form: a header, tuples of fields as the protocol's binary format, a trailer.

use super::Session;
use super::copy::Records;
use crate::engine::{Repeated, Value, ValueRef};
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::{CopyIn, CopyOut};
use crate::sql::value;
use bytes::{BufMut, BytesMut};
use pgwire::messages::copy::{CopyData, CopyDone};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The signature, the flags, and the length of an extension that nobody uses.
const HEADER: usize = SIGNATURE.len() + 8;

/// Stores the tuples that have come whole.
pub(super) fn store(
    insert: &mut Repeated<'_>,
    copy: &CopyIn,
    records: &mut Records,
    count: &mut u64,
    end: bool,
) -> Result<()> {
    let malformed = |what: &str| SqlError::new("22P04", what.to_owned());
    if !records.begun {
        let Some(header) = records.data.get(..HEADER) else {
            return if end { Err(malformed("COPY file signature not recognized")) } else { Ok(()) };
        };
        if !header.starts_with(SIGNATURE) {
            return Err(malformed("COPY file signature not recognized"));
        }
        if header[SIGNATURE.len()..] != [0; 8] {
            return Err(malformed("unrecognized critical flags in COPY file header"));
        }
        (records.begun, records.start) = (true, HEADER);
    }
    while !records.ended {
        let Some((fields, length)) = tuple(&records.data[records.start..])? else {
            return if end { Err(malformed("unexpected EOF in COPY data")) } else { Ok(()) };
        };
        let at = records.start;
        records.start += length;
        let Some(fields) = fields else {
            records.ended = true;
            break;
        };
        let place = format!("COPY line {}", *count + 1);
        if fields.len() != copy.types.len() {
            let message = format!("row field count is {}, expected {}", fields.len(), copy.types.len());
            return Err(malformed(&message).detail(place));
        }
        let mut params = Vec::with_capacity(fields.len());
        for (field, typed) in fields.into_iter().zip(&copy.types) {
            params.push(match field {
                None => Value::Null,
                Some((from, to)) => {
                    let read = value::recv(typed.ty, &records.data[at + from..at + to])
                        .and_then(|value| value::modify(value, *typed, false));
                    read.map_err(|error| error.detail(place.as_str()))?
                }
            });
        }
        insert.execute(&params).map_err(|error| error.detail(place.as_str()))?;
        *count += 1;
    }
    Ok(())
}

impl Session {
    pub(super) fn copy_out_binary(&mut self, copy: &CopyOut) -> Result<String> {
        let Self { connection, wire, .. } = self;
        let mut line = BytesMut::from(SIGNATURE);
        line.put_i64(0);
        // Clients expect the header with the first tuple.
        let mut header = Some(line);
        let width =
            i16::try_from(copy.columns.len()).map_err(|_| SqlError::new("54011", "too many columns"))?;
        let mut count = 0_u64;
        connection.run(&copy.sql, &[], &mut |row| {
            count += 1;
            let mut line = header.take().unwrap_or_default();
            line.put_i16(width);
            for (value, column) in row.iter().zip(&copy.columns) {
                if *value == ValueRef::Null {
                    line.put_i32(-1);
                    continue;
                }
                let start = line.len();
                line.put_i32(0);
                value::send(column.typed, *value, &mut line)?;
                let length = i32::try_from(line.len() - start - 4);
                let length = length.map_err(|_| SqlError::new("54000", "value is too big"))?;
                line[start..start + 4].copy_from_slice(&length.to_be_bytes());
            }
            wire.put(&CopyData::new(line.freeze()))?;
            Ok(true)
        })?;
        let mut trailer = header.unwrap_or_default();
        trailer.put_i16(-1);
        wire.put(&CopyData::new(trailer.freeze()))?;
        wire.put(&CopyDone::new())?;
        Ok(format!("COPY {count}"))
    }
}

/// Where a tuple's fields begin and end; no fields at the trailer.
type Fields = Option<Vec<Option<(usize, usize)>>>;

/// The first tuple and its length, if it has come whole.
fn tuple(bytes: &[u8]) -> Result<Option<(Fields, usize)>> {
    let Some((count, _)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
    let count = i16::from_be_bytes(*count);
    if count == -1 {
        return Ok(Some((None, 2)));
    }
    let mut fields = Vec::new();
    let mut at = 2;
    for _ in 0..count {
        let Some((length, _)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk::<4>()) else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*length);
        at += 4;
        if length == -1 {
            fields.push(None);
            continue;
        }
        let length = usize::try_from(length).map_err(|_| SqlError::new("22P04", "invalid field size"))?;
        if bytes.len() < at + length {
            return Ok(None);
        }
        fields.push(Some((at, at + length)));
        at += length;
    }
    if count < -1 {
        return Err(SqlError::new("22P04", format!("row field count is {count}")));
    }
    Ok(Some((Some(fields), at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_is_taken_once_it_is_whole() {
        let whole = [0, 2, 0, 0, 0, 1, 7, 255, 255, 255, 255];
        for length in 0..whole.len() {
            assert_eq!(tuple(&whole[..length]).unwrap(), None, "{length} bytes");
        }
        assert_eq!(tuple(&whole).unwrap(), Some((Some(vec![Some((6, 7)), None]), 11)));
        assert_eq!(tuple(&[255, 255]).unwrap(), Some((None, 2)));
        assert_eq!(tuple(&[0, 1, 255, 255, 255, 254]).unwrap_err().code, "22P04");
        assert_eq!(tuple(&[255, 0]).unwrap_err().code, "22P04");
    }
}
