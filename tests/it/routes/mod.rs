//! The routes by which users connect. Tests named `rule_…` check the rules of `SECURITY.md`.

mod answers;
mod flow;
mod identity;
mod pages;
mod property;
mod rules;
mod servers;
mod site;
