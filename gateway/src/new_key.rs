//! `notion-auth-gateway key new`: a key, and its line for the file of keys.

use std::time::SystemTime;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use notion_auth::{BoxError, Subject};

use crate::{
    cli::NewKey,
    key_lines,
    keys::{GatewayKey, Owner, Rights, fingerprint},
};

/// The line goes to standard output, so that it can be appended to the file. The key goes to standard error.
pub(crate) fn print(options: &NewKey) -> Result<(), BoxError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    let text = BASE64_URL_SAFE_NO_PAD.encode(random);
    let key = key_of(options)?;
    let line = key_lines::line(&fingerprint(&text), &key, options.expires.as_deref());
    println!("{line}");
    eprintln!("The key, which is shown only now: {text}");
    Ok(())
}

fn key_of(options: &NewKey) -> Result<GatewayKey, BoxError> {
    let id = match &options.id {
        Some(id) => {
            key_lines::check_id(id).map_err(|_| "--id: letters, digits, `-`, `_` and `.` only")?;
            id.clone()
        }
        None => {
            let mut random = [0; 4];
            getrandom::fill(&mut random)?;
            format!("key-{:08x}", u32::from_be_bytes(random))
        }
    };
    if options.subject.trim().is_empty() {
        return Err("--subject: it is empty".into());
    }
    if options.subject.trim() != options.subject {
        return Err("--subject: it has a blank at an end, which no header can carry".into());
    }
    if options.connect && options.paths.is_some() {
        return Err("--paths: a key that connects calls no path".into());
    }
    Ok(GatewayKey {
        id: id.into(),
        owner: match options.subject.as_str() {
            "*" => Owner::Service,
            subject => Owner::Subject(Subject::new(subject)),
        },
        rights: match options.connect {
            true => Rights::CONNECT,
            false => Rights::CALL,
        },
        expires: match &options.expires {
            Some(time) => match key_lines::parse_time(time)? {
                time if time > SystemTime::now() => Some(time),
                _ => return Err("--expires: the time is in the past".into()),
            },
            None => None,
        },
        paths: match &options.paths {
            Some(paths) => key_lines::parse_paths(paths)?,
            None => Vec::new(),
        },
    })
}
