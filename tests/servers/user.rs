//! User of servers that refuse to run as root.

use std::fs;

pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    pub(super) fn named(name: &str) -> Self {
        let users = fs::read_to_string("/etc/passwd").expect("the list of users");
        users
            .lines()
            .find_map(|line| {
                let mut fields = line.split(':');
                let found = fields.next() == Some(name);
                let mut number = || fields.next()?.parse().ok();
                let _password = number();
                let user = Self {
                    uid: number()?,
                    gid: number()?,
                };
                found.then_some(user)
            })
            .unwrap_or_else(|| panic!("not as root, nor is there a user {name}: use another user"))
    }
}
