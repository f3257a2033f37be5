//! What the benchmarks share: repeated processes, interleaved cases, goals, figures.
//!
//! A single process is not believed: the addresses that its code and heap happen to get make the same
//! case 20 % faster or slower. So a benchmark starts itself several times and takes the median of what
//! those processes report; within one, all cases run in turn, and a ratio is that of two cases in the
//! same round.

// Each benchmark uses its own part of this.
#![allow(dead_code, reason = "shared by several benchmarks")]

pub(crate) mod cpu;
pub(crate) mod figure;
pub(crate) mod goal;
pub(crate) mod inner;
pub(crate) mod interleave;
pub(crate) mod prepared;
pub(crate) mod processes;
pub(crate) mod progress;
pub(crate) mod resident;
pub(crate) mod residents;
pub(crate) mod rivals;
pub(crate) mod statistics;
pub(crate) mod table;
