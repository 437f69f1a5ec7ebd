//! The users and the hashes of their passwords.

use super::super::{
    reader::{Field, Problems},
    tree::clip,
};
use bcrypt::HashParts;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

/// Who has more users needs a proxy that knows them.
const USERS_MAX: usize = 1_000;
/// The least that bcrypt knows, and what takes a processor some seconds: one comparison is made at a time, and each
/// guess of a stranger costs one.
const COSTS: RangeInclusive<u32> = 4..=16;
const EXPECTED: &str = "a bcrypt hash of the password, as `htpasswd -nBC 10 \"\"` prints it behind the colon";

/// Reads the section `basic_auth_users`.
pub(super) fn users(field: &Field<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut users = BTreeMap::new();
    let Some(section) = field.mapping(problems, "names with the hashes of their passwords") else {
        return users;
    };
    if section.fields().nth(USERS_MAX).is_some() {
        section.wrong(problems, format!("holds more than {USERS_MAX} users; keep fewer"));
        return users;
    }
    for (entry, field) in section.fields() {
        if entry.key.contains(':') || entry.key.chars().any(char::is_control) {
            let message = "no client can send this name; leave out colons and control characters";
            section.wrong_key(entry, problems, message);
        }
        let Some(hash) = field.text(EXPECTED, problems) else { continue };
        match check(hash) {
            Ok(()) => {
                users.insert(entry.key.clone(), hash.to_owned());
            }
            Err(message) => field.wrong(problems, message),
        }
    }
    users
}

/// Reads the list `basic_auth_changers`, each of whom must be one of the users.
pub(super) fn changers(
    field: &Field<'_>,
    users: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> BTreeSet<String> {
    let mut changers = BTreeSet::new();
    for item in field.list(USERS_MAX, problems).unwrap_or_default() {
        let Some(name) = item.text("the name of a user", problems) else { continue };
        if users.contains_key(name) {
            changers.insert(name.to_owned());
        } else {
            let name = clip(name);
            item.wrong(problems, format!("`{name}` is no user; name one of `basic_auth_users`"));
        }
    }
    changers
}

fn check(hash: &str) -> Result<(), String> {
    let cost = hash.parse::<HashParts>().map(|parts| parts.get_cost());
    match cost {
        Ok(cost) if COSTS.contains(&cost) => Ok(()),
        Ok(cost) => Err(format!(
            "is a bcrypt hash of cost {cost}; write one of cost {} to {}, such as `htpasswd -nBC 10 \"\"` prints",
            COSTS.start(),
            COSTS.end()
        )),
        Err(_what_would_show_it) => Err(format!("is no bcrypt hash; write {EXPECTED}")),
    }
}
