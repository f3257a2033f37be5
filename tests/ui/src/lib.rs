//! Compiler messages for mistakes in the use of `notion-auth`. See `tests/messages.rs`.
