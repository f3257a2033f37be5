//! The routes by which users connect. Tests named `rule_…` hold the rules of callback security, by
//! their numbers in `SECURITY.md`; `tests/mutants/run` takes the rules' checks away, one at a time.

mod answers;
mod flow;
mod identity;
mod property;
mod rules;
mod servers;
mod site;
