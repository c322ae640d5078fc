//! Versions of Python packages (PEP 440), as far as metadata-action's `type=pep440` needs them.

use std::sync::LazyLock;

use regress::Regex;

/// A version of PEP 440.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pep440 {
    /// In its normal form.
    pub clean: String,
    /// The numbers of the release, as they are written.
    pub release: Vec<String>,
    /// Whether it is no pre-, post- or development release.
    pub is_final: bool,
}

/// PEP 440, appendix B, anchored; without the local version's and the numbers' meaning.
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::with_flags(
        r"^\s*v?(?:(?<epoch>\d+)!)?(?<release>\d+(?:\.\d+)*)(?:[-_.]?(?<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?<prenumber>\d*))?(?:-(?<implicit>\d+)|(?<post>[-_.]?(?:post|rev|r)[-_.]?(?<postnumber>\d*)))?(?<dev>[-_.]?dev[-_.]?(?<devnumber>\d*))?(?:\+(?<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*$",
        "i",
    )
    .expect("the pattern is well-formed")
});

impl Pep440 {
    /// Reads a version.
    pub fn parse(text: &str) -> Option<Pep440> {
        let found = VERSION.find(text)?;
        let group = |name: &str| found.named_group(name).map(|range| &text[range]);
        let release: Vec<String> = group("release")?.split('.').map(number).collect();
        let mut clean = String::new();
        if let Some(epoch) = group("epoch").map(number).filter(|e| e != "0") {
            clean.push_str(&format!("{epoch}!"));
        }
        clean.push_str(&release.join("."));
        if let Some(pre) = group("pre") {
            let letter = match pre.to_ascii_lowercase().as_str() {
                "a" | "alpha" => "a",
                "b" | "beta" => "b",
                _ => "rc",
            };
            clean.push_str(&format!("{letter}{}", number(group("prenumber").unwrap_or_default())));
        }
        let post = group("implicit").or(group("post").and(group("postnumber")));
        if let Some(post) = post {
            clean.push_str(&format!(".post{}", number(post)));
        }
        if group("dev").is_some() {
            clean.push_str(&format!(".dev{}", number(group("devnumber").unwrap_or_default())));
        }
        if let Some(local) = group("local") {
            clean.push_str(&format!("+{}", local.to_ascii_lowercase().replace(['-', '_'], ".")));
        }
        let is_final = group("pre").is_none() && post.is_none() && group("dev").is_none();
        Some(Pep440 { clean, release, is_final })
    }

    /// The number at that place of the release; absent ones are 0.
    pub fn number(&self, index: usize) -> &str {
        self.release.get(index).map_or("0", String::as_str)
    }
}

/// Without leading zeros; an absent one is 0.
fn number(digits: &str) -> String {
    let trimmed = digits.trim_start_matches('0');
    if trimmed.is_empty() { "0".into() } else { trimmed.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let check = |text: &str, clean: &str, is_final: bool| {
            let version = Pep440::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((version.clean.as_str(), version.is_final), (clean, is_final), "{text}");
        };
        check("1.2.3", "1.2.3", true);
        check("v1.2.3", "1.2.3", true);
        check("01.02", "1.2", true);
        check("1", "1", true);
        check("1.2.3rc2", "1.2.3rc2", false);
        check("1.2.3-beta.2", "1.2.3b2", false);
        check("1.2ALPHA", "1.2a0", false);
        check("1.2c1", "1.2rc1", false);
        check("1.2.preview3", "1.2rc3", false);
        check("1.2.3post1", "1.2.3.post1", false);
        check("1.2-3", "1.2.post3", false);
        check("1.2.r4", "1.2.post4", false);
        check("1.0dev4", "1.0.dev4", false);
        check("1.0.dev", "1.0.dev0", false);
        check("2!1.0", "2!1.0", true);
        check("0!1.0", "1.0", true);
        check("1.0+Ubuntu-1_x", "1.0+ubuntu.1.x", true);
        check("1.0a1.post2.dev3+l", "1.0a1.post2.dev3+l", false);
        for text in ["", "x", "1.", "1.x", "1.2.3-foo", "main", "1.0+", "v", "1..2"] {
            assert_eq!(Pep440::parse(text), None, "{text}");
        }
        assert_eq!(Pep440::parse("1").unwrap().number(1), "0");
    }
}
