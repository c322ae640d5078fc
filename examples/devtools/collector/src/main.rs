//! Answers `/health` and `/metrics`, for the example's image to have something in it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:8080")?;
    for (count, stream) in listener.incoming().enumerate() {
        let mut stream = stream?;
        let mut request = String::new();
        BufReader::new(&stream).read_line(&mut request)?;
        let body = match request.split(' ').nth(1) {
            Some("/health") => "ok\n".to_string(),
            Some("/metrics") => format!("collector_requests_total {count}\n"),
            _ => "try /health or /metrics\n".to_string(),
        };
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    }
    Ok(())
}
