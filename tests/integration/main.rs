//! The exporter from outside: the real binary, on a fixture tree and against real peers.
//!
//! One binary for all, so that it links once. `tests/run` installs the peers and sets `MEMLEAK_TEST_PEERS` and
//! `MEMLEAK_TEST_PROGRAMS`; a peer that is missing fails its tests by name. `MEMLEAK_TEST_LONG=1` runs the long forms.

#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::string_slice,
    clippy::float_cmp,
    reason = "tests fail loudly, say what they saw, and compare numbers that were written and not computed"
)]

mod exporter;
mod exposition;
mod peers;
mod process;
mod programs;

mod alerts_fire;
mod analyze;
mod analyze_prometheus;
mod api;
mod applications;
mod attribution;
mod client;
mod command_line;
mod commands;
mod dashboards;
mod detector;
mod directories;
mod examples;
mod explained;
mod golden;
mod leaks;
mod otlp_receivers;
mod page;
mod pushers;
mod pushes;
mod reloads;
mod repository;
mod restarts;
mod shipped_files;
mod soak;
mod storage;
mod streams;
mod web_file;
