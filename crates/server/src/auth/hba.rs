//! Access rules in the form of Postgres' pg_hba.conf.
//!
//! ```text
//! local    databases  users           method
//! host     databases  users  address  method     (hostssl, hostnossl: with, without TLS)
//! ```
//!
//! The first rule that fits decides; if none does, the client is refused. A construct that is not known
//! here is an error and never skipped: a rule that is skipped lets the wrong ones in.

use crate::sql::error::{Result, SqlError};
use settings::Resolved;
use std::net::IpAddr;

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    Trust,
    /// It can't.
    Reject,
    /// By password.
    Scram,
}

/// Which connections a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Local,
    Host,
    HostSsl,
    HostNoSsl,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    All,
    /// The database that is called as the user is.
    SameUser,
    /// Replication connections, of which there are none.
    Replication,
    Is(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    All,
    Net(IpAddr, u8),
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    kind: Kind,
    databases: Vec<Name>,
    users: Vec<Name>,
    address: Address,
    method: Method,
}

/// A client at the door.
#[derive(Debug)]
pub struct Visitor<'v> {
    /// Its address; `None` on the Unix socket.
    pub address: Option<IpAddr>,
    /// Whether it came over TLS.
    pub secure: bool,
    /// Who it says it is.
    pub user: &'v str,
    /// Where it wants to go.
    pub database: &'v str,
}

/// Reads the rules; `None` if there is no file.
pub fn load(settings: &Resolved) -> std::result::Result<Option<Vec<Rule>>, String> {
    let path = settings.text("hba_file");
    if path.is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("setting `hba_file`: file `{path}` can't be read: {error}"))?;
    parse(&text, path).map(Some)
}

/// What the rules say of a visitor.
pub fn decide(rules: &[Rule], visitor: &Visitor<'_>) -> Result<Method> {
    let found = rules.iter().find(|rule| rule.fits(visitor)).map(|rule| rule.method);
    let refused = |what: &str| {
        let Visitor { user, database, .. } = visitor;
        let (from, tls) = match visitor.address {
            None => ("[local]".to_owned(), ""),
            Some(ip) => (ip.to_string(), if visitor.secure { ", SSL encryption" } else { ", no encryption" }),
        };
        let message = format!("{what} host \"{from}\", user \"{user}\", database \"{database}\"{tls}");
        Err(SqlError::fatal("28000", message))
    };
    match found {
        None => refused("no pg_hba.conf entry for"),
        Some(Method::Reject) => refused("pg_hba.conf rejects connection for"),
        Some(method) => Ok(method),
    }
}

impl Rule {
    fn fits(&self, visitor: &Visitor<'_>) -> bool {
        let place = match (self.kind, visitor.address) {
            (Kind::Local, address) => address.is_none(),
            (_, None) => false,
            (Kind::HostSsl, _) if !visitor.secure => false,
            (Kind::HostNoSsl, _) if visitor.secure => false,
            (_, Some(ip)) => self.address.holds(ip),
        };
        let named = |names: &[Name], wanted: &str| {
            names.iter().any(|name| match name {
                Name::All => true,
                Name::SameUser => wanted == visitor.user,
                Name::Replication => false,
                Name::Is(name) => name == wanted,
            })
        };
        place && named(&self.databases, visitor.database) && named(&self.users, visitor.user)
    }
}

impl Address {
    fn holds(&self, ip: IpAddr) -> bool {
        let Self::Net(net, bits) = self else { return true };
        let (net, ip, width) = match (net, ip) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => (u128::from(net.to_bits()), u128::from(ip.to_bits()), 32),
            (IpAddr::V6(net), IpAddr::V6(ip)) => (net.to_bits(), ip.to_bits(), 128),
            _ => return false,
        };
        // No bits at all is every address; a shift by the whole width is not defined.
        let shift = width - u32::from(*bits);
        net.checked_shr(shift).unwrap_or(0) == ip.checked_shr(shift).unwrap_or(0)
    }
}

/// A word, and whether it was in quotes: then it is a name, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    quoted: bool,
}

fn parse(text: &str, path: &str) -> std::result::Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut line = line.to_owned();
        // A backslash at the end of a line continues it.
        while line.ends_with('\\') {
            line.pop();
            line += lines.next().map_or("", |(_, next)| next);
        }
        let placed = |why: String| format!("{path}:{}: {why}", number + 1);
        let fields = fields(&line).map_err(placed)?;
        if !fields.is_empty() {
            rules.push(rule(&fields).map_err(placed)?);
        }
    }
    if rules.is_empty() {
        return Err(format!(
            "{path}: there is no rule, so nobody could log in: add `host all all all scram-sha-256`"
        ));
    }
    Ok(rules)
}

/// A line's fields, each a list between commas.
fn fields(line: &str) -> std::result::Result<Vec<Vec<Word>>, String> {
    let mut fields: Vec<Vec<Word>> = Vec::new();
    let mut continues = false;
    let mut characters = line.chars().peekable();
    while let Some(&character) = characters.peek() {
        match character {
            '#' => break,
            ',' => {
                continues = true;
                characters.next();
            }
            _ if character.is_whitespace() => drop(characters.next()),
            _ => {
                let mut word = Word { text: String::new(), quoted: false };
                let mut inside = false;
                while let Some(&next) = characters.peek() {
                    if !inside && (next.is_whitespace() || next == ',' || next == '#') {
                        break;
                    }
                    characters.next();
                    if next != '"' {
                        word.text.push(next);
                    } else if inside && characters.next_if_eq(&'"').is_some() {
                        word.text.push('"');
                    } else {
                        (inside, word.quoted) = (!inside, true);
                    }
                }
                if inside {
                    return Err("the quote is not closed".to_owned());
                }
                match fields.last_mut().filter(|_| continues) {
                    Some(field) => field.push(word),
                    None => fields.push(vec![word]),
                }
                continues = false;
            }
        }
    }
    Ok(fields)
}

fn rule(fields: &[Vec<Word>]) -> std::result::Result<Rule, String> {
    let mut fields = fields.iter();
    let kind = match one(fields.next(), "connection type")? {
        "local" => Kind::Local,
        "host" => Kind::Host,
        "hostssl" => Kind::HostSsl,
        "hostnossl" => Kind::HostNoSsl,
        other => {
            return Err(format!("connection type `{other}`: allowed are local, host, hostssl, hostnossl"));
        }
    };
    let databases = names(fields.next(), "database")?;
    let users = names(fields.next(), "user")?;
    let mut address = Address::All;
    let mut next = fields.next();
    if kind != Kind::Local {
        let text = one(next, "address")?;
        next = fields.next();
        // The mask may stand in a field of its own.
        let mask = next.and_then(|field| field[0].text.parse::<IpAddr>().ok());
        address = parse_address(text, mask)?;
        if mask.is_some() {
            next = fields.next();
        }
    }
    let method = match one(next, "method")? {
        "trust" => Method::Trust,
        "reject" => Method::Reject,
        // Postgres' `md5` means SCRAM wherever a SCRAM verifier is stored, and here no other is.
        "scram-sha-256" | "md5" => Method::Scram,
        other => return Err(format!("method `{other}`: allowed are trust, reject, scram-sha-256")),
    };
    match fields.next() {
        Some(option) => Err(format!("option `{}`: methods have no options here", option[0].text)),
        None => Ok(Rule { kind, databases, users, address, method }),
    }
}

fn one<'w>(field: Option<&'w Vec<Word>>, what: &str) -> std::result::Result<&'w str, String> {
    match field.map(Vec::as_slice) {
        Some([word]) => Ok(&word.text),
        Some(_) => Err(format!("there may be only one {what}")),
        None => Err(missing(what)),
    }
}

fn missing(what: &str) -> String {
    format!("the {what} is missing: a line is `TYPE DATABASE USER [ADDRESS] METHOD`")
}

fn names(field: Option<&Vec<Word>>, what: &str) -> std::result::Result<Vec<Name>, String> {
    let words = field.ok_or_else(|| missing(what))?;
    let name = |word: &Word| {
        let text = word.text.as_str();
        match text {
            _ if word.quoted => {}
            "all" => return Ok(Name::All),
            "sameuser" if what == "database" => return Ok(Name::SameUser),
            "replication" if what == "database" => return Ok(Name::Replication),
            "samerole" | "samegroup" if what == "database" => {
                return Err(format!("{what} `{text}` is not supported: list the names"));
            }
            _ if text.starts_with(['+', '/', '@']) => {
                return Err(format!(
                    "{what} `{text}`: groups, patterns and files are not supported: list the names"
                ));
            }
            _ => {}
        }
        Ok(Name::Is(text.to_owned()))
    };
    words.iter().map(name).collect()
}

fn parse_address(text: &str, mask: Option<IpAddr>) -> std::result::Result<Address, String> {
    let wrong = || {
        format!(
            "address `{text}`: allowed are `all`, an address with its prefix (10.0.0.0/8), or an address and a mask"
        )
    };
    if text == "all" {
        return if mask.is_none() { Ok(Address::All) } else { Err(wrong()) };
    }
    let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
    let ip: IpAddr = ip.parse().map_err(|_| wrong())?;
    let width = if ip.is_ipv4() { 32 } else { 128 };
    let bits = match (bits, mask) {
        (Some(bits), None) => bits.parse().ok().filter(|bits| *bits <= width),
        (None, Some(mask)) => mask_bits(mask).filter(|_| mask.is_ipv4() == ip.is_ipv4()),
        _ => None,
    };
    bits.map(|bits| Address::Net(ip, bits)).ok_or_else(wrong)
}

/// The ones at the front of a mask that has no others.
fn mask_bits(mask: IpAddr) -> Option<u8> {
    let (bits, width) = match mask {
        IpAddr::V4(mask) => (u128::from(mask.to_bits()) << 96, 32),
        IpAddr::V6(mask) => (mask.to_bits(), 128),
    };
    let ones = bits.leading_ones();
    (ones == bits.count_ones() && ones <= width).then(|| u8::try_from(ones).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "# who may come in
        local   all             admin                     trust   # on this machine
        local   all,\\
                other           all                       scram-sha-256
        hostnossl all           all     203.0.113.0/24    reject
        host    \"all\", \"a b\"\"c\" app  10.1.0.0 255.255.0.0 scram-sha-256
        hostssl sameuser        all     ::/0              md5
        host    replication     all     all               trust
        host    all             guest   all               reject\n";

    fn check(address: &str, secure: bool, user: &str, database: &str, expect: &str) {
        let rules = parse(RULES, "/hba").unwrap();
        let visitor = Visitor { address: address.parse().ok(), secure, user, database };
        let got = decide(&rules, &visitor).map_or_else(|error| error.message, |method| format!("{method:?}"));
        assert_eq!(got, expect, "{visitor:?}");
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        check("", false, "admin", "x", "Trust");
        check("", false, "bob", "other", "Scram");
        check("10.1.2.3", false, "app", "all", "Scram");
        check("10.1.2.3", true, "app", "a b\"c", "Scram");
        let none = "no pg_hba.conf entry for host \"10.1.2.3\", user \"app\", database \"x\", no encryption";
        check("10.1.2.3", false, "app", "x", none);
        let none =
            "no pg_hba.conf entry for host \"10.2.2.3\", user \"app\", database \"all\", SSL encryption";
        check("10.2.2.3", true, "app", "all", none);
        check("fe80::1", true, "bob", "bob", "Scram");
        let none = "no pg_hba.conf entry for host \"fe80::1\", user \"bob\", database \"bob\", no encryption";
        check("fe80::1", false, "bob", "bob", none);
        let rejects = "pg_hba.conf rejects connection for host \"203.0.113.9\", user \"bob\", database \"x\", no encryption";
        check("203.0.113.9", false, "bob", "x", rejects);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let check = |line: &str, expect: &str| {
            let error = parse(&format!("local all all trust\n{line}\n"), "/hba").unwrap_err();
            assert!(error.starts_with("/hba:2: ") && error.contains(expect), "{line}: {error}");
        };
        check("remote all all trust", "connection type `remote`: allowed are local, host");
        check("local all all", "the method is missing: a line is `TYPE DATABASE USER [ADDRESS] METHOD`");
        check("host all", "the user is missing: a line is");
        check("local all all peer", "method `peer`: allowed are trust, reject, scram-sha-256");
        check("host all all samehost trust", "address `samehost`");
        check("host all all db.example.org trust", "address `db.example.org`");
        check("host all all 10.0.0.0 trust", "address `10.0.0.0`");
        check("host all all 10.0.0.0/33 trust", "address `10.0.0.0/33`");
        check("host all all 10.0.0.0 255.0.255.0 trust", "address `10.0.0.0`");
        check("host all all 10.0.0.0/8 scram-sha-256 clientcert=1", "option `clientcert=1`");
        check("local all +group trust", "`+group`");
        check("local samerole all trust", "`samerole`");
        check("local \"all all trust", "the quote is not closed");
        assert!(parse("# nothing\n", "/hba").unwrap_err().contains("there is no rule"));
        let any = Address::Net("0.0.0.0".parse().unwrap(), 0);
        assert!(any.holds("9.9.9.9".parse().unwrap()) && !any.holds("::1".parse().unwrap()));
    }
}
