use std::sync::LazyLock;

use redis::{ErrorKind, Pipeline, RedisError, ServerErrorKind};

/// A script that Redis runs in one step, on one key.
pub(super) struct Script {
    text: &'static str,
    /// Computes the hash.
    named: LazyLock<redis::Script>,
}

pub(super) static LOAD: Script = Script {
    text: include_str!("load.lua"),
    named: LazyLock::new(|| redis::Script::new(include_str!("load.lua"))),
};

pub(super) static REPLACE: Script = Script {
    text: include_str!("replace.lua"),
    named: LazyLock::new(|| redis::Script::new(include_str!("replace.lua"))),
};

pub(super) static PURGE: Script = Script {
    text: include_str!("purge.lua"),
    named: LazyLock::new(|| redis::Script::new(include_str!("purge.lua"))),
};

/// How Redis is told which script is meant.
#[derive(Clone, Copy)]
pub(super) enum By {
    /// Of that it knows nothing after a restart, among other times.
    Hash,
    /// From that it knows the hash.
    Text,
}

/// The way that is tried first, and then the other.
pub(super) const WAYS: [By; 2] = [By::Hash, By::Text];

/// Whether it was not run because only its hash was said.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

impl Script {
    /// Adds a call of it; the script's own arguments come after that.
    pub(super) fn call<'a>(
        &self,
        commands: &'a mut Pipeline,
        by: By,
        key: &str,
    ) -> &'a mut Pipeline {
        match by {
            By::Hash => commands.cmd("EVALSHA").arg(self.named.get_hash()),
            By::Text => commands.cmd("EVAL").arg(self.text),
        };
        commands.arg(1).arg(key)
    }
}
