//! A socket, TCP or Unix, plain or under TLS.

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustls::Connection;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A socket. Reading and writing work through a shared reference, so that another thread can close the
/// reading half under a session that waits.
pub struct Stream {
    socket: Socket,
    /// Only the session's own thread uses it, so nobody ever waits for this lock.
    tls: OnceLock<Mutex<Connection>>,
    private: bool,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self { socket: Socket::Tcp(stream), tls: OnceLock::new(), private: false }
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self { socket: Socket::Unix(stream), tls: OnceLock::new(), private: false }
    }
}

impl Stream {
    /// Marks a socket that only this process's own user can reach: it needs no password.
    pub fn private(self) -> Self {
        Self { private: true, ..self }
    }

    /// Whether only this process's own user can reach it.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// Whether the other side is a process of the server's own user, or of root: it could read the files as well.
    pub fn is_own_user(&self) -> bool {
        match &self.socket {
            Socket::Unix(stream) => rustix::net::sockopt::socket_peercred(stream)
                .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid()),
            Socket::Tcp(_) => false,
        }
    }

    /// Reads some bytes; 0 means that the other side is gone or the server shuts down.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let Some(mut tls) = self.tls() else { return self.socket.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A peer that closes without saying so has gone all the same.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                done => return done,
            }
            if tls.read_tls(&mut &self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(Error::other)?;
            send(&mut tls, &self.socket)?;
        }
    }

    /// Waits until there is something to read, or the other side is gone, or the time is over; awake, so that it goes on
    /// at once, but behind everybody else who has work.
    pub fn spin(&self, patience: Duration) {
        let fd = match &self.socket {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        };
        let end = Instant::now() + patience;
        let mut byte = [0; 1];
        while matches!(recv(fd, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT), Err(Errno::WOULDBLOCK))
            && Instant::now() < end
        {
            std::thread::yield_now();
        }
    }

    /// Writes all bytes.
    pub fn write_all(&self, mut bytes: &[u8]) -> Result<()> {
        let Some(mut tls) = self.tls() else { return (&self.socket).write_all(bytes) };
        while !bytes.is_empty() {
            let count = tls.writer().write(bytes)?;
            bytes = &bytes[count..];
            send(&mut tls, &self.socket)?;
        }
        Ok(())
    }

    /// Goes on under TLS; what was read before must not hold bytes that came after the request for it.
    pub fn secure(&self, mut tls: Connection) -> Result<()> {
        while tls.is_handshaking() {
            let done = tls.complete_io(&mut &self.socket);
            if done? == (0, 0) {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        self.tls.set(Mutex::new(tls)).map_err(|_| Error::other("TLS is on already"))
    }

    /// Whether TLS is on.
    pub fn is_secure(&self) -> bool {
        self.tls.get().is_some()
    }

    /// Ends a wait for the other side's next message.
    pub fn stop_reading(&self) {
        // A client that is already gone needs no stopping.
        let _ = match &self.socket {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Read),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Read),
        };
    }

    /// Limits the wait for the other side's next message.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        match &self.socket {
            Socket::Tcp(stream) => stream.set_read_timeout(timeout),
            Socket::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }

    /// Limits the time that the other side may let its receive buffer stay full.
    pub fn set_write_timeout(&self, timeout: Duration) -> Result<()> {
        match &self.socket {
            Socket::Tcp(stream) => stream.set_write_timeout(Some(timeout)),
            Socket::Unix(stream) => stream.set_write_timeout(Some(timeout)),
        }
    }

    /// The address of the other side; `None` on a Unix socket.
    pub fn address(&self) -> Option<IpAddr> {
        match &self.socket {
            Socket::Tcp(stream) => stream.peer_addr().ok().map(|address| address.ip().to_canonical()),
            Socket::Unix(_) => None,
        }
    }

    /// The client's address and port; none on a Unix socket, or once it is gone.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(stream) => stream.peer_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// Whether this is a Unix socket.
    pub fn is_unix(&self) -> bool {
        matches!(self.socket, Socket::Unix(_))
    }

    /// Where the other side is, for the log.
    pub fn peer(&self) -> String {
        match &self.socket {
            Socket::Tcp(stream) => {
                stream.peer_addr().map_or_else(|_| "[gone]".to_owned(), |address| address.to_string())
            }
            Socket::Unix(_) => "[local]".to_owned(),
        }
    }

    fn tls(&self) -> Option<MutexGuard<'_, Connection>> {
        self.tls.get().map(|tls| tls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn send(tls: &mut Connection, mut socket: &Socket) -> Result<()> {
    while tls.wants_write() {
        tls.write_tls(&mut socket)?;
    }
    Ok(())
}

impl Socket {
    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let mut socket = self;
        Read::read(&mut socket, buffer)
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).read(buffer),
            Socket::Unix(stream) => (&*stream).read(buffer),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).write(bytes),
            Socket::Unix(stream) => (&*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
