//! Reading and writing the protocol's messages, through buffers.

use super::stream::Stream;
use crate::sql::compile::Output;
use crate::sql::error::{Result, SqlError};
use bytes::{BufMut, BytesMut};
use pgwire::messages::data::{FieldDescription, RowDescription};
use pgwire::messages::response::{ErrorResponse, NoticeResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::ParameterStatus;
use pgwire::messages::{DecodeContext, Message, PgWireFrontendMessage, ProtocolVersion};
use rustls::{ServerConfig, ServerConnection};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// Results are sent once this many bytes wait.
const FLUSH_AT: usize = 64 * 1024;

/// What came instead of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The client is gone, or the server stopped the reading.
    End,
    /// The client was silent for too long.
    TimedOut,
    /// Bytes that are no message.
    Malformed(String),
}

/// The protocol on a socket.
pub struct Wire {
    /// The socket.
    pub stream: Arc<Stream>,
    context: DecodeContext,
    input: BytesMut,
    out: BytesMut,
    /// The read timeout that the socket has; asking the kernel for every message would be dear.
    limit: Option<Option<Duration>>,
}

impl Wire {
    /// A wire over a fresh socket.
    pub fn new(stream: Arc<Stream>) -> Self {
        let context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
        Self { stream, context, input: BytesMut::new(), out: BytesMut::new(), limit: None }
    }

    /// Limits the wait for the client's next message.
    pub fn set_limit(&mut self, limit: Option<Duration>) -> Result<()> {
        if self.limit != Some(limit) {
            let set = self.stream.set_read_timeout(limit);
            set.map_err(|error| SqlError::fatal("08006", error.to_string()))?;
            self.limit = Some(limit);
        }
        Ok(())
    }

    /// What the decoder expects next.
    pub fn context(&mut self) -> &mut DecodeContext {
        &mut self.context
    }

    /// Waits awake for the client's next bytes: see [`Stream::spin`].
    pub fn spin(&self, patience: Duration) {
        if self.input.is_empty() {
            self.stream.spin(patience);
        }
    }

    /// The next message.
    pub fn read(&mut self) -> std::result::Result<PgWireFrontendMessage, Incoming> {
        loop {
            match PgWireFrontendMessage::decode(&mut self.input, &self.context) {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(error) => return Err(Incoming::Malformed(error.to_string())),
            }
            let mut chunk = [0; 8 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Incoming::End),
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(Incoming::TimedOut);
                }
                Err(_) => return Err(Incoming::End),
            }
        }
    }

    /// Puts a message into the buffer.
    pub fn put(&mut self, message: &impl Message) -> Result<()> {
        message.encode(&mut self.out).map_err(|error| SqlError::fatal("08P01", error.to_string()))?;
        if self.out.len() >= FLUSH_AT { self.flush() } else { Ok(()) }
    }

    /// Puts a line of COPY's data, without a copy of its own.
    pub fn copy_line(&mut self, line: &str) -> Result<()> {
        let length = i32::try_from(line.len() + 4).map_err(|_| SqlError::new("54000", "value is too big"))?;
        self.out.put_u8(b'd');
        self.out.put_i32(length);
        self.out.put_slice(line.as_bytes());
        if self.out.len() >= FLUSH_AT { self.flush() } else { Ok(()) }
    }

    /// Sends what waits.
    pub fn flush(&mut self) -> Result<()> {
        let result = self.stream.write_all(&self.out);
        self.out.clear();
        if self.out.capacity() > FLUSH_AT {
            // What one large result needed is not kept for the rest of the session.
            self.out = BytesMut::new();
        }
        result.map_err(|error| SqlError::fatal("08006", format!("the client is gone: {error}")))
    }

    /// Says yes to a request for encryption, and goes on under TLS.
    pub fn encrypt(&mut self, config: Arc<ServerConfig>) -> Result<()> {
        // What came before the handshake could be anybody's, and would count as the client's after it.
        if !self.input.is_empty() {
            return Err(SqlError::fatal("08P01", "received unencrypted data after SSL request"));
        }
        self.out.extend_from_slice(b"S");
        self.flush()?;
        let failed = |why: String| SqlError::fatal("08P01", format!("TLS handshake failed: {why}"));
        let connection = ServerConnection::new(config).map_err(|error| failed(error.to_string()))?;
        self.stream.secure(connection.into()).map_err(|error| failed(error.to_string()))
    }

    /// Gives back the buffers' memory; what has been read of the next message stays.
    pub fn shrink(&mut self) {
        self.out = BytesMut::new();
        self.input = BytesMut::from(&self.input[..]);
    }

    /// Says no to a request for encryption.
    pub fn refuse_encryption(&mut self) -> Result<()> {
        self.out.extend_from_slice(b"N");
        self.flush()
    }

    /// Puts an error.
    pub fn error(&mut self, error: &SqlError, query: &str) -> Result<()> {
        let severity = if error.fatal { "FATAL" } else { "ERROR" };
        let mut fields = fields(severity, error.code, &error.message);
        let position = error.position(query).map(|position| position.to_string());
        for (code, text) in [(b'D', &error.detail), (b'H', &error.hint), (b'P', &position)] {
            fields.extend(text.iter().map(|text| (code, text.clone())));
        }
        fields.extend(error.about.iter().flat_map(|about| about.0.iter().cloned()));
        self.put(&ErrorResponse::new(fields))
    }

    /// Puts a notice or a warning.
    pub fn notice(&mut self, severity: &str, code: &str, message: &str) -> Result<()> {
        self.put(&NoticeResponse::new(fields(severity, code, message)))
    }

    /// Puts a parameter's new value.
    pub fn parameter(&mut self, name: &str, value: &str) -> Result<()> {
        self.put(&ParameterStatus::new(name.to_owned(), value.to_owned()))
    }

    /// Puts the end of a cycle and sends everything.
    pub fn ready(&mut self, status: TransactionStatus) -> Result<()> {
        self.put(&ReadyForQuery::new(status))?;
        self.flush()
    }

    /// Puts the description of result columns.
    pub fn describe(&mut self, columns: &[Output], formats: &[i16]) -> Result<()> {
        let field = |(index, column): (usize, &Output)| {
            let (info, typmod) = (column.typed.ty.info(), column.typed.typmod);
            let (table, number) = column.origin.map_or((0, 0), |origin| (origin.table, origin.column));
            FieldDescription::new(
                column.name.clone(),
                i32::try_from(table).unwrap_or(0),
                number,
                column.typed.ty.oid(),
                info.size,
                typmod,
                format_of(formats, index),
            )
        };
        self.put(&RowDescription::new(columns.iter().enumerate().map(field).collect()))
    }
}

/// The format of a column: none given is text, one given is for all.
pub fn format_of(formats: &[i16], index: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(index).copied().unwrap_or(0),
    }
}

fn fields(severity: &str, code: &str, message: &str) -> Vec<(u8, String)> {
    let field = |code: u8, text: &str| (code, text.to_owned());
    vec![field(b'S', severity), field(b'V', severity), field(b'C', code), field(b'M', message)]
}
