//! Extensions: what of Postgres' own is built in.
//!
//! The functions are there in every database. CREATE EXTENSION notes that somebody asked for them, so that clients find
//! the extension in `pg_extension` and dumps carry it over; PL/pgSQL, whose blocks DO takes, is noted from the start.

use super::error::{Result, SqlError};
use super::functions::{Scalar, bytes, row, text, text_result};
use super::types::Type::{Bytea, Text, Uuid};
use super::value;
use crate::engine::{Value, ValueRef};
use ring::{digest, hmac};

/// An extension that can be asked for.
pub struct Extension {
    /// Its name.
    pub name: &'static str,
    /// The version in PostgreSQL 15.
    pub version: &'static str,
    /// What it is, in Postgres' words.
    pub comment: &'static str,
    /// Functions of it that are not here.
    missing: &'static [&'static str],
}

/// The extension that every database has from the start.
pub const PLPGSQL: &str = "plpgsql";

/// What can be asked for.
pub const EXTENSIONS: [Extension; 3] = [
    Extension {
        name: "pgcrypto",
        version: "1.3",
        comment: "cryptographic functions",
        missing: &[
            "armor",
            "crypt",
            "dearmor",
            "decrypt",
            "decrypt_iv",
            "encrypt",
            "encrypt_iv",
            "gen_salt",
            "pgp_armor_headers",
            "pgp_key_id",
            "pgp_pub_decrypt",
            "pgp_pub_decrypt_bytea",
            "pgp_pub_encrypt",
            "pgp_pub_encrypt_bytea",
            "pgp_sym_decrypt",
            "pgp_sym_decrypt_bytea",
            "pgp_sym_encrypt",
            "pgp_sym_encrypt_bytea",
        ],
    },
    Extension { name: PLPGSQL, version: "1.0", comment: "PL/pgSQL procedural language", missing: &[] },
    Extension {
        name: "uuid-ossp",
        version: "1.1",
        comment: "generate universally unique identifiers (UUIDs)",
        missing: &[],
    },
];

/// Its functions; those that depend on chance are the engine's.
pub const FUNCTIONS: &[Scalar] = &[
    row("digest", &[Text, Text], Bytea, |a| hashed(text(a, 0)?.as_bytes(), text(a, 1)?)),
    row("digest", &[Bytea, Text], Bytea, |a| hashed(bytes(a, 0), text(a, 1)?)),
    row("hmac", &[Text, Text, Text], Bytea, |a| {
        signed(text(a, 0)?.as_bytes(), text(a, 1)?.as_bytes(), text(a, 2)?)
    }),
    row("hmac", &[Bytea, Bytea, Text], Bytea, |a| signed(bytes(a, 0), bytes(a, 1), text(a, 2)?)),
    row("uuid_nil", &[], Uuid, |_| text_result("00000000-0000-0000-0000-000000000000".to_owned())),
    row("uuid_ns_dns", &[], Uuid, |_| text_result("6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned())),
    row("uuid_ns_url", &[], Uuid, |_| text_result("6ba7b811-9dad-11d1-80b4-00c04fd430c8".to_owned())),
    row("uuid_ns_oid", &[], Uuid, |_| text_result("6ba7b812-9dad-11d1-80b4-00c04fd430c8".to_owned())),
    row("uuid_ns_x500", &[], Uuid, |_| text_result("6ba7b814-9dad-11d1-80b4-00c04fd430c8".to_owned())),
    row("uuid_generate_v3", &[Uuid, Text], Uuid, |a| uuid(md5::compute(named(a)?).0, 3)),
    row("uuid_generate_v5", &[Uuid, Text], Uuid, |a| {
        let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &named(a)?);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&sum.as_ref()[..16]);
        uuid(bytes, 5)
    }),
];

/// The extension of a name.
pub fn by_name(name: &str) -> Option<&'static Extension> {
    EXTENSIONS.iter().find(|extension| extension.name == name)
}

/// The error for a function that an extension has in Postgres, and here has not.
pub fn missing(function: &str) -> Option<SqlError> {
    let of = EXTENSIONS.iter().find(|extension| extension.missing.contains(&function))?;
    Some(SqlError::unsupported(format!("function {function} of extension {}", of.name)))
}

/// A UUID of a version (RFC 4122, 4.1), from bytes whose bits for version and variant are replaced.
pub fn uuid(mut bytes: [u8; 16], version: u8) -> Result<Value> {
    bytes[6] = (bytes[6] & 0x0f) | (version << 4);
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = value::output(Bytea.into(), ValueRef::Blob(&bytes));
    value::input(Uuid.into(), &hex[2..], true)
}

/// A time-based UUID (RFC 4122, 4.2) for a moment in microseconds since 2000, with chance in place of a clock's number
/// and of an address.
pub fn timed(moment: i64, mut bytes: [u8; 16]) -> Result<Value> {
    /// From the beginning of the Gregorian calendar to 2000, in steps of 100 ns.
    const BEFORE: i64 = 131_659_776_000_000_000;
    let ticks = (moment * 10 + BEFORE).to_be_bytes();
    bytes[..4].copy_from_slice(&ticks[4..]);
    bytes[4..6].copy_from_slice(&ticks[2..4]);
    bytes[6..8].copy_from_slice(&ticks[..2]);
    // No network card has such an address.
    bytes[10] |= 1;
    uuid(bytes, 1)
}

/// The namespace's bytes and the name, which is what UUIDs of names are made from.
fn named(args: &[ValueRef<'_>]) -> Result<Vec<u8>> {
    let hex: String = text(args, 0)?.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&hex, 16).map_err(|error| SqlError::new("XX000", error.to_string()))?;
    Ok([&number.to_be_bytes(), text(args, 1)?.as_bytes()].concat())
}

fn hashed(data: &[u8], name: &str) -> Result<Value> {
    let algorithm = match name.to_ascii_lowercase().as_str() {
        "md5" => return Ok(Value::Blob(md5::compute(data).0.to_vec())),
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => &digest::SHA256,
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        _ => return Err(no_algorithm(name)),
    };
    Ok(Value::Blob(digest::digest(algorithm, data).as_ref().to_vec()))
}

fn signed(data: &[u8], key: &[u8], name: &str) -> Result<Value> {
    let algorithm = match name.to_ascii_lowercase().as_str() {
        "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => hmac::HMAC_SHA256,
        "sha384" => hmac::HMAC_SHA384,
        "sha512" => hmac::HMAC_SHA512,
        "md5" => return Err(SqlError::unsupported("hmac with md5")),
        _ => return Err(no_algorithm(name)),
    };
    Ok(Value::Blob(hmac::sign(&hmac::Key::new(algorithm, key), data).as_ref().to_vec()))
}

fn no_algorithm(name: &str) -> SqlError {
    if name.eq_ignore_ascii_case("sha224") {
        return SqlError::unsupported("the hash algorithm sha224");
    }
    SqlError::new("22023", format!("Cannot use \"{name}\": No such hash algorithm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_based_identifiers_carry_the_moment_they_were_made_at() {
        // 2000-01-01 00:00:00, in the fields' own order.
        let Ok(Value::Text(text)) = timed(0, [0; 16]) else { panic!("no UUID") };
        assert_eq!(text, "63b00000-bfde-11d3-8000-010000000000");
    }

    #[test]
    fn names_give_the_identifiers_of_rfc_4122() {
        let check = |name: &str, expect: &str| {
            let args = ["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com"];
            let args = args.map(|text| ValueRef::Text(text.as_bytes()));
            let function = FUNCTIONS.iter().find(|function| function.name == name).unwrap();
            assert_eq!((function.eval)(&args).unwrap(), Value::Text(expect.to_owned()), "{name}");
        };
        check("uuid_generate_v3", "5df41881-3aed-3515-88a7-2f4a814cf09e");
        check("uuid_generate_v5", "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    }
}
