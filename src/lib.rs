//! `memleak_exporter` says which part of which program leaks memory, how sure that is, how fast it grows and when it
//! will run out.

pub mod sample;
pub mod config;
pub mod collect;
pub mod series;
pub mod detect;
pub mod snapshot;
pub mod export {
    //! Export.
    pub mod exposition;
    pub mod metric;
    pub mod own;
    pub mod prometheus;
}
