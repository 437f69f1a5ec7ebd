//! `memleak_exporter` says **which part of which program leaks memory, how sure that is, how fast it grows and when it
//! will run out**, as Prometheus metrics and OTLP.
//!
//! This page is the map. The code is five rooms with one direction, and the modules stand below in the order of the
//! flow:
//!
//! ```text
//! collect ──▶ series ──▶ detect ──▶ snapshot ──▶ export (/metrics, OTLP) ──▶ http (listener, page)
//! ```
//!
//! - [`sample`]: the nouns that travel: target, area, sample, limit.
//! - [`inbox`]: what programs push, the last value of each area, between the listener and the next tick.
//! - [`budget`]: plain rules beside the model and their numbers in the presets, as data.
//! - [`severity`]: how much a finding matters, as a table of rows, as data.
//! - [`web`]: TLS, users and the rate of requests, as data.
//! - [`config`]: what was meant by the configuration; what was written is read there too, all its errors at once.
//! - `fetch` asks others over HTTP: one request, bounded, with credentials from files.
//! - [`collect`] reads the world and returns samples. It computes no rate and remembers no previous value.
//! - [`series`] remembers an area's past in bounded memory.
//! - [`detect`] is a pure function of the series: no clock, no file, no global, no log.
//! - `text` puts numbers, dates and foreign names into words for people.
//! - [`snapshot`] is the immutable result of one tick, swapped in whole. Everything that shows anything reads only it.
//! - [`export`] holds the one table of metrics and renders it; it never samples.
//! - [`http`] answers from memory; a scrape never waits for a collector.
//! - [`act`] starts programs, and nothing else does.
//! - [`run`] builds the parts and ties them together; it alone reads the clock.
//! - [`cli`] turns a command line into an exit code.
//!
//! Invariants are often absences: nothing points back against this order (a test reads the imports), `detect` never
//! reads a clock, no file but [`export::metric`] spells a metric's name, nothing but [`act`] starts a process or sends a signal, and
//! too little evidence is an absent finding, never a zero.

pub mod sample;
pub mod inbox;
pub mod budget;
pub mod severity;
pub mod web;
pub mod config;
pub(crate) mod fetch;
pub mod collect;
pub mod series;
pub mod detect;
pub(crate) mod text;
pub mod snapshot;
pub mod export;
pub mod http;
pub mod act;
pub mod run;
pub mod cli;
