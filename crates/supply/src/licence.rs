//! Licence expressions (SPDX 2.3, annex D), as packages write them.

use spdx::{Expression, LicenseItem, ParseMode};

/// `text` as a valid SPDX expression; none where it is not one even with good will (`MIT/Apache-2.0` and `GPLv2` are
/// understood, `custom` is not).
pub fn expression(text: &str) -> Option<String> {
    let canonical = match Expression::canonicalize(text) {
        Ok(Some(better)) => better,
        Ok(None) => text.to_string(),
        Err(_) => return None,
    };
    Expression::parse_mode(&canonical, ParseMode { allow_deprecated: true, ..ParseMode::STRICT }).ok()?;
    Some(canonical)
}

/// Whether somebody who refuses the licences `refused` can still take what is under `expression`: of `A OR B` one that
/// is not refused is enough. What is no expression can't be told.
pub fn is_acceptable(expression: &str, refused: &[String]) -> Option<bool> {
    let mode = ParseMode { allow_deprecated: true, ..ParseMode::STRICT };
    let parsed = Expression::parse_mode(expression, mode).ok()?;
    Some(parsed.evaluate(|requirement| match &requirement.license {
        LicenseItem::Spdx { id, .. } => !refused.iter().any(|r| r == id.name),
        other => !refused.contains(&other.to_string()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_packages_write_them() {
        let check =
            |text: &str, expect: Option<&str>| assert_eq!(expression(text).as_deref(), expect, "{text}");
        check("MIT", Some("MIT"));
        check("MIT/Apache-2.0", Some("MIT OR Apache-2.0"));
        check("GPL-2.0-only", Some("GPL-2.0-only"));
        check("(MIT OR Apache-2.0) AND Unicode-3.0", Some("(MIT OR Apache-2.0) AND Unicode-3.0"));
        check("custom", None);
        check("MIT AND", None);
        check("", None);
    }

    #[test]
    fn a_choice_is_enough() {
        let check = |text: &str, expect: Option<bool>| {
            assert_eq!(is_acceptable(text, &["AGPL-3.0-only".into(), "SSPL-1.0".into()]), expect, "{text}");
        };
        check("MIT", Some(true));
        check("AGPL-3.0-only", Some(false));
        check("AGPL-3.0-only OR MIT", Some(true));
        check("AGPL-3.0-only AND MIT", Some(false));
        check("all mine", None);
    }
}
