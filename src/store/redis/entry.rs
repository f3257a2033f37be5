use std::str;

use crate::store::Filter;

const SUBJECT: &str = "subject:";
const BOT: &str = "bot:";

/// What an index says of a record: that it is there, or also that it is of a bot. All entries that begin
/// alike stand together, in the byte order of their subjects. The length before a bot's id tells where
/// that ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) subject: &'a str,
    pub(super) bot: Option<&'a str>,
}

impl<'a> Entry<'a> {
    pub(super) fn parse(member: &'a [u8]) -> Option<Self> {
        let member = str::from_utf8(member).ok()?;
        if let Some(subject) = member.strip_prefix(SUBJECT) {
            return Some(Self { subject, bot: None });
        }
        let (length, rest) = member.strip_prefix(BOT)?.split_once(':')?;
        let (bot, rest) = rest.split_at_checked(length.parse().ok()?)?;
        Some(Self {
            subject: rest.strip_prefix(':')?,
            bot: Some(bot),
        })
    }

    pub(super) fn member(&self) -> String {
        format!("{}{}", beginning(self.bot), self.subject)
    }
}

fn beginning(bot: Option<&str>) -> String {
    match bot {
        Some(bot) => format!("{BOT}{}:{bot}:", bot.len()),
        None => SUBJECT.to_owned(),
    }
}

/// The bounds, as `ZRANGEBYLEX` takes them, of the entries that a filter is about.
pub(super) fn bounds(filter: &Filter, after: Option<&str>) -> (Vec<u8>, Vec<u8>) {
    let bot = match filter {
        Filter::Bot(bot) => Some(bot.as_str()),
        _ => None,
    };
    let beginning = beginning(bot);
    let from = match after {
        Some(after) => format!("({beginning}{after}"),
        None => format!("[{beginning}"),
    };
    // What comes after all that begins so: a semicolon is the next character after a colon.
    let to = format!("({};", beginning.trim_end_matches(':'));
    (from.into_bytes(), to.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_back_and_other_members_are_not() {
        for (subject, bot) in [
            ("ann", None),
            ("", None),
            ("bot:1:a:b", None),
            ("ann", Some("1")),
            (":é:", Some("a:b")),
            ("", Some("")),
        ] {
            let entry = Entry { subject, bot };
            assert_eq!(Entry::parse(entry.member().as_bytes()), Some(entry));
        }
        for member in ["", "ann", "bot:", "bot:9:a:b", "bot:x:a:b", "bot:1:éa:b"] {
            assert_eq!(Entry::parse(member.as_bytes()), None, "{member}");
        }
        assert_eq!(Entry::parse(b"subject:\xff"), None);
    }
}
