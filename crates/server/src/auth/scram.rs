//! SCRAM-SHA-256 verifiers in Postgres' form: `SCRAM-SHA-256$<iterations>:<salt>$<stored>:<server>`.
//!
//! The password itself is never stored. The exchange is pgwire's; only the verifier's text is here.

use crate::sql::error::{Result, SqlError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramSecret, gen_salted_password};

const NAME: &str = "SCRAM-SHA-256";

/// Makes the verifier of a password, or takes one that is given ready-made.
pub fn verifier(password: &str) -> Result<String> {
    if parse(password).is_some() {
        return Ok(password.to_owned());
    }
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt)
        .map_err(|error| SqlError::new("58000", format!("no random numbers: {error}")))?;
    let salted = gen_salted_password(password, &salt, SCRAM_ITERATIONS);
    let secret = ScramSecret::verifier_from_salted_password(salt.to_vec(), salted, SCRAM_ITERATIONS);
    let ScramSecret::Verifier { salt, iterations, stored_key, server_key } = secret else {
        return Err(SqlError::new("XX000", "a SCRAM verifier has another form than expected"));
    };
    let [salt, stored, server] = [salt, stored_key, server_key].map(|bytes| STANDARD.encode(bytes));
    Ok(format!("{NAME}${iterations}:{salt}${stored}:{server}"))
}

/// Reads a verifier back.
pub fn parse(text: &str) -> Option<ScramSecret> {
    let mut parts = text.split('$');
    let (NAME, Some(first), Some(keys), None) = (parts.next()?, parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let (iterations, salt) = first.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    Some(ScramSecret::Verifier {
        salt: STANDARD.decode(salt).ok()?,
        iterations: iterations.parse().ok()?,
        stored_key: STANDARD.decode(stored).ok()?,
        server_key: STANDARD.decode(server).ok()?,
    })
}

/// What an unknown user is asked for, so that the exchange looks and lasts the same: a salt that is
/// always the same for one name, and keys that no password has.
pub fn mock(user: &str, seed: &[u8]) -> ScramSecret {
    let digest = gen_salted_password(user, seed, 1);
    let mut keys = vec![0_u8; 32];
    // Without random numbers the all-zero key is still the hash of nothing known.
    let _ = getrandom::fill(&mut keys);
    ScramSecret::Verifier {
        salt: digest[..16].to_vec(),
        iterations: SCRAM_ITERATIONS,
        stored_key: keys.clone(),
        server_key: keys,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_read_back_and_holds_no_password() {
        let text = verifier("hunter2").unwrap();
        assert!(text.starts_with("SCRAM-SHA-256$4096:") && !text.contains("hunter2"));
        assert!(parse(&text).is_some());
        assert_eq!(verifier(&text).unwrap(), text);
        assert_ne!(verifier("hunter2").unwrap(), text);
        for bad in ["", "md5abc", "SCRAM-SHA-256$4096:$x", "SCRAM-SHA-256$x:AA==$AA==:AA=="] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
