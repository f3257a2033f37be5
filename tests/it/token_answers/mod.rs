//! A token response is used in whatever form it arrives, for an exchange and for a refresh.

mod arrival;
mod configuration;
mod deadlines;
mod invalid_tokens;
mod other_calls;
mod rows;
mod table;
