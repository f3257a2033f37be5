//! A token answer that arrived is used: for an exchange and for a refresh alike, in whatever form it
//! arrives.

mod arrival;
mod configuration;
mod deadlines;
mod invalid_tokens;
mod other_calls;
mod rows;
mod table;
