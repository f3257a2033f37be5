use std::io::{IsTerminal as _, Write as _};

/// Says on a terminal, in one line that changes, what is being done.
pub(crate) fn show(what: &str) {
    write(&format!("\r\x1b[K{what}"));
}

pub(crate) fn clear() {
    write("\r\x1b[K");
}

fn write(text: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // Progress is no reason to fail.
        let _ = stderr.write_all(text.as_bytes());
    }
}
