//! Detect: a pure function of the series. No clock, no file, no global, no log: the same samples give the same finding,
//! live, in a test and over old data.

pub mod finding;
pub mod words;
pub mod robust;
pub mod shape;
pub mod horizon;
pub mod features;
pub mod model;
pub mod pattern;
pub mod pair;
pub mod daily;
pub mod limit;
pub mod severity;
pub mod judgement;
pub mod episode;
pub mod judge;
pub mod explain;
pub mod attribution;
pub mod quantile;
pub mod advice;
pub mod budget;
