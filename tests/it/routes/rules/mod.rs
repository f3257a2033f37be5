//! The rules of callback security, by their numbers in `SECURITY.md`.

mod answers;
mod binding;
mod identity;
mod secrets;
mod targets;
