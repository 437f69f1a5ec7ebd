//! Export: renders the snapshot for whoever asks. It never samples and never judges.

pub mod metric;
pub mod own;
pub mod prometheus;
pub mod exposition;
pub mod otlp;
