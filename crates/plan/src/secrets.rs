//! What looks like a secret by its name. An image's environment and history are open to everybody who can pull it.

/// Words that the names of secrets have in them.
const WORDS: [&str; 7] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY", "CREDENTIAL"];

/// The word by which `text`, a variable's name or a command, looks as if it held a secret. The name of a file that
/// holds one (`…_FILE`) is none.
pub fn secret_word(text: &str) -> Option<&'static str> {
    let text = text.to_uppercase();
    let name = text.split('=').next().unwrap_or_default();
    if name.ends_with("_FILE") {
        return None;
    }
    WORDS.into_iter().find(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(secret_word(text), expect, "{text}");
        check("PATH=/usr/bin", None);
        check("SCRATCHBIRD_PASSWORD=x", Some("PASSWORD"));
        check("SCRATCHBIRD_PASSWORD_FILE=/run/secrets/password", None);
        check("ARG github_token=abc", Some("TOKEN"));
    }
}
