//! From a host's name to its addresses: /etc/hosts, then the name servers of /etc/resolv.conf.
//!
//! A static binary can't leave this to the C library, whose own way is to load more libraries.

use rsdns::clients::ClientConfig;
use rsdns::clients::std::Client;
use rsdns::records::Class;
use rsdns::records::data::{A, Aaaa};
use std::fs::read_to_string;
use std::io::{Error, Result};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How long one name server may take for one question.
const PATIENCE: Duration = Duration::from_secs(3);

/// The addresses of a host.
pub(super) fn addresses(host: &str) -> Result<Vec<IpAddr>> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    let found = named(&read_to_string("/etc/hosts").unwrap_or_default(), host);
    if !found.is_empty() {
        return Ok(found);
    }
    if host == "localhost" {
        return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
    }
    let config = Config::parse(&read_to_string("/etc/resolv.conf").unwrap_or_default());
    let mut why = "there is no name server in /etc/resolv.conf".to_owned();
    for name in config.candidates(host) {
        for server in &config.servers {
            match ask(*server, &name) {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) => why = format!("{server} knows no address of it"),
                Err(error) => why = format!("{server}: {error}"),
            }
        }
    }
    Err(Error::other(format!("could not translate host name \"{host}\" to an address: {why}")))
}

/// The addresses that a hosts file gives a name.
fn named(hosts: &str, host: &str) -> Vec<IpAddr> {
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let ip = words.next()?.parse().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then_some(ip)
    };
    hosts.lines().filter_map(line).collect()
}

fn ask(server: SocketAddr, name: &str) -> rsdns::Result<Vec<IpAddr>> {
    let config = ClientConfig::with_nameserver(server).set_query_lifetime(PATIENCE);
    let mut client = Client::new(config)?;
    let v4 = client.query_rrset::<A>(name, Class::IN);
    let v6 = client.query_rrset::<Aaaa>(name, Class::IN);
    // A host of one kind has no answer for the other.
    match (v4, v6) {
        (Err(error), Err(_)) => Err(error),
        (v4, v6) => {
            let v4 = v4.into_iter().flat_map(|set| set.rdata).map(|data| IpAddr::from(data.address));
            let v6 = v6.into_iter().flat_map(|set| set.rdata).map(|data| IpAddr::from(data.address));
            Ok(v4.chain(v6).collect())
        }
    }
}

/// What /etc/resolv.conf says.
#[derive(Debug, PartialEq, Eq)]
struct Config {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    /// A name with this many dots is tried as it is first.
    dots: usize,
}

impl Config {
    fn parse(text: &str) -> Self {
        let mut config = Self { servers: Vec::new(), search: Vec::new(), dots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let ip = words.next().and_then(|ip| ip.parse::<IpAddr>().ok());
                    config.servers.extend(ip.map(|ip| SocketAddr::new(ip, 53)));
                }
                Some("search" | "domain") => config.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let dots = words.find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    config.dots = dots.unwrap_or(config.dots);
                }
                _ => {}
            }
        }
        config
    }

    /// The full names to ask for, in order.
    fn candidates(&self, host: &str) -> Vec<String> {
        if host.ends_with('.') {
            return vec![host.to_owned()];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{host}.{domain}")).collect();
        let first = host.matches('.').count() >= self.dots;
        names.insert(if first { 0 } else { names.len() }, host.to_owned());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_by_any_of_their_names() {
        let hosts = "127.0.0.1 localhost # 10.9.9.9 db\n10.0.0.2 primary Db\n::1 localhost\n";
        assert_eq!(named(hosts, "db"), ["10.0.0.2".parse::<IpAddr>().unwrap()]);
        assert_eq!(named(hosts, "localhost").len(), 2);
        assert!(named(hosts, "d").is_empty());
    }

    #[test]
    fn names_are_completed_as_resolv_conf_says() {
        let config = Config::parse(
            "# engine's\nnameserver 127.0.0.11\nnameserver ::1\nsearch a.local b.local\noptions edns0 ndots:2\n",
        );
        assert_eq!(config.servers, ["127.0.0.11:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        assert_eq!(config.candidates("db"), ["db.a.local", "db.b.local", "db"]);
        assert_eq!(config.candidates("x.y.z"), ["x.y.z", "x.y.z.a.local", "x.y.z.b.local"]);
        assert_eq!(config.candidates("db."), ["db."]);
        assert_eq!(Config::parse("").candidates("db"), ["db"]);
    }

    #[test]
    fn a_name_server_is_asked_for_both_kinds_of_address() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = socket.local_addr().unwrap();
        let answers = std::thread::spawn(move || {
            for _ in 0..2 {
                let mut query = [0; 512];
                let (length, from) = socket.recv_from(&mut query).unwrap();
                // The question ends with its type and class; whatever follows is an option.
                let end = 12 + query[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
                let is_v4 = query[end - 3] == 1;
                let mut answer = query[..end].to_vec();
                answer[2..4].copy_from_slice(&[0x81, 0x80]);
                answer[4..12].copy_from_slice(&[0, 1, 0, u8::from(is_v4), 0, 0, 0, 0]);
                if is_v4 {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 1, 2, 3]);
                }
                socket.send_to(&answer, from).unwrap();
            }
        });
        assert_eq!(ask(server, "db.local").unwrap(), ["10.1.2.3".parse::<IpAddr>().unwrap()]);
        answers.join().unwrap();
    }
}
