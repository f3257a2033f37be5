//! Credentials in PostgreSQL, for processes on any number of hosts.
//!
//! - [`store`]: the type, and how it is made; [`url`]: the connection URL and the variables `PG…`, checked
//! - [`contract`]: what it does, one statement for each operation
//! - [`names`]: which schema and tables; [`statements`]: what is said to the server about them
//! - [`row`]: a record as parameters of a statement, and as a row of an answer
//! - [`transaction`]: every operation is one, so that it works through a pooler, and whoever is suspended
//!   or lets go of it in the middle holds nobody up
//! - [`schema`]: the tables, how they are made, and by what they are known
//! - [`health`]: whether the server keeps what it was given
//! - [`failure`]: what errors mean, and what to do about them

mod contract;
mod failure;
mod health;
mod names;
mod row;
mod schema;
mod statements;
mod store;
mod transaction;
mod url;

pub use self::store::PostgresStore;
