//! The rules of the routes, by their numbers in `SECURITY.md`.

mod answers;
mod binding;
mod identity;
mod secrets;
mod starts;
mod targets;
