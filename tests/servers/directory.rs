//! Directories of servers, and their removal.

use std::{
    env,
    ffi::OsStr,
    fs::{self, DirBuilder, File},
    io::Write as _,
    os::unix::{
        fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{authority::Issued, user::User};

/// File name of the certificate of [`Directory::write_certificate`].
pub(super) const CERTIFICATE: &str = "server.crt";
pub(super) const KEY: &str = "server.key";

/// A shell script that reads process IDs from its input, of which the last one counts, until the input is
/// closed.
///
/// The input is also closed if the tests are killed. The script then ends the process and removes the
/// directory. A zombie counts as ended, because its parent is gone and the system may reap it later.
const KEEPER: &str = r#"
directory=$1 signal=$2 process= tries=100
runs() {
    kill -s 0 "$process" && ! grep -qs "^State:.Z" "/proc/$process/status"
}

while read -r line; do process=$line; done
if [ -n "$process" ]; then
    kill -s "$signal" "$process"
    while runs && [ "$tries" -gt 0 ]; do
        sleep 0.1
        tries=$((tries - 1))
    done
    runs && kill -s KILL "$process"
fi
rm -rf "$directory"
"#;

/// A new directory, which is removed on drop or when the tests end.
pub(crate) struct Directory {
    path: PathBuf,
    /// The owner of the directory and user of its programs, if it is not the user of the tests.
    user: Option<User>,
    keeper: Child,
}

impl Directory {
    /// Creates a directory. The keeper ends its server with this signal.
    pub(super) fn new(signal: &str) -> Self {
        let name = format!("notion-auth-{:016x}", fastrand::u64(..));
        let path = env::temp_dir().join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .expect("a directory for a server");
        // In its own process group, it does not receive the terminal's signals, which end the tests.
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .args([path.as_os_str(), OsStr::new(signal)])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell starts");
        Self {
            path,
            user: None,
            keeper,
        }
    }

    /// Creates a directory for a server that refuses to run as root. If the tests run as root, it runs as
    /// another user.
    pub(super) fn without_root(signal: &str) -> Self {
        let mut directory = Self::new(signal);
        let owner = directory.path.metadata().expect("it exists").uid();
        if owner == 0 {
            let user = User::named("postgres");
            chown(&directory.path, Some(user.uid), Some(user.gid)).expect("root may");
            directory.user = Some(user);
        }
        directory
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the command of a program that runs in the directory as its user. Its output is kept.
    pub(super) fn command(&self, program: &Path) -> Command {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .expect("a file for what is printed");
        let mut command = program_without_settings(program);
        command
            .current_dir(&self.path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("another handle of it"))
            .stderr(log);
        if let Some(user) = &self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Writes the certificate and key, readable by the directory's user alone, as PostgreSQL requires.
    pub(super) fn write_certificate(&self, issued: &Issued) {
        for (name, text) in [(CERTIFICATE, &issued.certificate), (KEY, &issued.key)] {
            let path = self.path.join(name);
            let mut options = File::options();
            options.create_new(true).write(true).mode(0o600);
            let mut file = options.open(&path).expect("a new file");
            file.write_all(text.as_bytes()).expect("it is ours");
            if let Some(user) = &self.user {
                chown(&path, Some(user.uid), Some(user.gid)).expect("root may");
            }
        }
    }

    /// Returns the output of the programs.
    pub(super) fn said(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Sets the process that the keeper ends. If the keeper was killed, only the directory is left behind.
    pub(super) fn runs(&mut self, process: Option<u32>) {
        let line = process.map(|id| id.to_string()).unwrap_or_default();
        let mut ear = self.keeper.stdin.as_ref().expect("it listens");
        let _ = writeln!(ear, "{line}");
    }

    fn log(&self) -> PathBuf {
        self.path.join("log")
    }
}

/// Creates the command of a server's or client's program, without the `PG…` variables of the machine.
pub(crate) fn program_without_settings(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closes the keeper's input, for which it waits.
        let _ = self.keeper.wait();
    }
}
