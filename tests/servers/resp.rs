//! Redis's protocol, as far as the tests of its servers need it.

use std::{
    io::{self, BufRead, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

/// Another program may have the port, and never respond.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends a command on a new connection. An error response is an error. A number is returned as text, and
/// nil as an empty text.
pub(super) fn ask(port: u16, command: &[&str]) -> io::Result<String> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut request = format!("*{}\r\n", command.len());
    for word in command {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    connection.write_all(request.as_bytes())?;
    answer(&mut BufReader::new(connection))
}

fn answer(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.trim_end();
    let kind = line.chars().next().ok_or(io::ErrorKind::UnexpectedEof)?;
    let rest = &line[kind.len_utf8()..];
    match kind {
        '+' | ':' => Ok(rest.to_owned()),
        '-' => Err(io::Error::other(rest)),
        '$' => {
            let length = rest.parse().unwrap_or(0);
            let mut text = String::new();
            from.take(length).read_to_string(&mut text)?;
            Ok(text)
        }
        _ => Err(io::Error::other(format!("unexpected: {line}"))),
    }
}
