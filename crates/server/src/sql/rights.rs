//! GRANT and REVOKE on one object, as Postgres' access control lists have it: who gave what to whom, and who may give
//! it on. Databases lie outside the catalogue and are changed by the session, everything else by a step of DDL; both
//! come through here.

use super::catalog::{Grant, Relation};
use super::error::{Result, SqlError};

/// What GRANT or REVOKE asks for.
#[derive(Debug, Clone)]
pub struct Change {
    /// The letters of the privileges.
    pub letters: String,
    /// They were named, rather than `ALL`.
    pub named: bool,
    /// Whether they are given.
    pub give: bool,
    /// `WITH GRANT OPTION`, or `GRANT OPTION FOR`.
    pub option: bool,
    /// What others gave on goes too.
    pub cascade: bool,
}

/// Who gives or takes.
pub struct Grantor<'a> {
    /// It may do everything.
    pub superuser: bool,
    /// The role and those that it is a member of.
    pub roles: &'a [String],
}

impl Change {
    /// Changes what the grantees may do with an object; no grantee's name is everybody. A warning says that less was
    /// changed than asked for.
    ///
    /// # Errors
    /// 42501 for who may do nothing with the object, 0LP01 for what no list may say, 2BP01 for privileges that
    /// others have got from a grantee.
    pub fn apply(
        &self,
        object: &mut Relation,
        by: &Grantor<'_>,
        grantees: &[String],
    ) -> Result<Option<SqlError>> {
        let name = object.base().to_owned();
        let (grantor, letters) = self.grantor(object, by)?;
        for grantee in grantees {
            // The owner may do everything anyway.
            if *grantee == object.owner {
                continue;
            }
            if self.give && self.option {
                refuse_circle(object, &grantor, grantee, &letters)?;
            }
            if self.give {
                set(object, &grantor, grantee, |letter, has, gives| {
                    let more = letters.contains(letter);
                    (has || more, gives || (more && self.option))
                });
            } else {
                take(object, &grantor, grantee, &letters, self.option, self.cascade)?;
            }
        }
        if letters.len() == self.letters.len() || (!self.named && !letters.is_empty()) {
            return Ok(None);
        }
        let extent = if letters.is_empty() { "no" } else { "not all" };
        let (code, what) = if self.give { ("01007", "were granted") } else { ("01006", "could be revoked") };
        Ok(Some(SqlError::new(code, format!("{extent} privileges {what} for \"{name}\""))))
    }

    /// In whose name it is done, empty for the owner's, and which of the privileges that one may give on.
    fn grantor(&self, object: &Relation, by: &Grantor<'_>) -> Result<(String, String)> {
        if by.superuser || by.roles.contains(&object.owner) {
            return Ok((String::new(), self.letters.clone()));
        }
        let may = |role: &String| -> String {
            self.letters.chars().filter(|letter| object.may_give(role, *letter)).collect()
        };
        let best = by.roles.iter().rev().map(|role| (role, may(role))).max_by_key(|(_, may)| may.len());
        if let Some((role, may)) = best.filter(|(_, may)| !may.is_empty()) {
            return Ok((role.clone(), may));
        }
        let has = |letter: char| by.roles.iter().any(|role| object.allows(role, letter));
        if object.kind.privileges().chars().any(has) {
            return Ok((String::new(), String::new()));
        }
        let message = format!("permission denied for {} {}", object.kind.noun(), object.base());
        Err(SqlError::new("42501", message))
    }
}

/// Makes an item of the list anew, from each letter and whether it and its grant option were there.
fn set(object: &mut Relation, grantor: &str, grantee: &str, keep: impl Fn(char, bool, bool) -> (bool, bool)) {
    let same = |grant: &Grant| grant.grantee == grantee && grant.grantor == grantor;
    let index = object.grants.iter().position(same).unwrap_or_else(|| {
        object.grants.push(Grant {
            grantee: grantee.to_owned(),
            privileges: String::new(),
            grantor: grantor.to_owned(),
        });
        object.grants.len() - 1
    });
    let mut privileges = String::new();
    for letter in object.kind.privileges().chars() {
        let old = &object.grants[index];
        let (has, gives) = keep(letter, old.has(letter), old.gives(letter));
        privileges.extend(has.then_some(letter));
        privileges.extend((has && gives).then_some('*'));
    }
    object.grants[index].privileges = privileges;
    object.grants.retain(|grant| !grant.privileges.is_empty());
}

/// Takes privileges, or their grant options alone, and then what the grantee gave on and now could not give.
fn take(
    object: &mut Relation,
    grantor: &str,
    grantee: &str,
    letters: &str,
    option: bool,
    cascade: bool,
) -> Result<()> {
    set(object, grantor, grantee, |letter, has, gives| {
        let less = letters.contains(letter);
        (has && (option || !less), gives && !less)
    });
    if grantee.is_empty() || grantee == object.owner {
        return Ok(());
    }
    let lost: String = letters.chars().filter(|letter| !object.may_give(grantee, *letter)).collect();
    let given_on = |grant: &Grant| {
        let affected: String = lost.chars().filter(|letter| grant.has(*letter)).collect();
        (grant.grantor == grantee && !affected.is_empty()).then(|| (grant.grantee.clone(), affected))
    };
    while let Some((next, affected)) = object.grants.iter().find_map(given_on) {
        if !cascade {
            let error = SqlError::new("2BP01", "dependent privileges exist");
            return Err(error.hint("Use CASCADE to revoke them too."));
        }
        take(object, grantee, &next, &affected, false, true)?;
    }
    Ok(())
}

/// A grant option is given neither to everybody nor back to where it came from.
fn refuse_circle(object: &Relation, grantor: &str, grantee: &str, letters: &str) -> Result<()> {
    if grantee.is_empty() {
        return Err(SqlError::new("0LP01", "grant options can only be granted to roles"));
    }
    if grantor.is_empty() {
        return Ok(());
    }
    let mut without = object.clone();
    while let Some(grant) = without.grants.iter().find(|grant| grant.grantee == grantee).cloned() {
        let all = without.kind.privileges();
        take(&mut without, &grant.grantor, grantee, all, false, true)?;
    }
    if letters.chars().all(|letter| without.may_give(grantor, letter)) {
        return Ok(());
    }
    Err(SqlError::new("0LP01", "grant options cannot be granted back to your own grantor"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::catalog::Kind;

    /// Who does what to whom, in the words of a list: `owner + wren ar*`.
    fn run(object: &mut Relation, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let roles = [words[0].to_owned()];
        let by = Grantor { superuser: words[0] == "root", roles: &roles };
        let change = Change {
            letters: words[3].trim_matches('*').to_owned(),
            named: true,
            give: words[1] == "+",
            option: words[3].ends_with('*'),
            cascade: words[1] == "--",
        };
        let grantee = [words[2].trim_matches('_').to_owned()];
        match change.apply(object, &by, &grantee) {
            Ok(None) => {
                let item = |g: &Grant| format!("{}={}/{}", g.grantee, g.privileges, g.grantor);
                object.grants.iter().map(item).collect::<Vec<_>>().join(" ")
            }
            Ok(Some(error)) | Err(error) => error.code.to_owned(),
        }
    }

    #[test]
    fn privileges_are_given_on_and_taken_back() {
        let mut table = Relation::new("t", Kind::Table, 1, "owner");
        for (line, expect) in [
            ("owner + wren ar*", "wren=a*r*/"),
            ("wren + tit r", "wren=a*r*/ tit=r/wren"),
            ("wren + tit rw", "01007"),
            ("tit + crow r", "01007"),
            ("crow + tit r", "42501"),
            ("wren + owner r", "wren=a*r*/ tit=r/wren"),
            ("root + __ r*", "0LP01"),
            ("wren + tit r*", "wren=a*r*/ tit=r*/wren"),
            ("tit + wren r*", "0LP01"),
            ("tit + crow r*", "wren=a*r*/ tit=r*/wren crow=r*/tit"),
            ("owner - wren r*", "2BP01"),
            ("owner - wren a*", "wren=ar*/ tit=r*/wren crow=r*/tit"),
            ("owner -- wren r*", "wren=ar/"),
            ("wren - tit r", "01006"),
            ("root - wren ar", ""),
        ] {
            let before = table.clone();
            assert_eq!(run(&mut table, line), expect, "{line}");
            if expect == "2BP01" {
                table = before;
            }
        }
    }
}
