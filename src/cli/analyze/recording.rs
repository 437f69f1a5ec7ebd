//! One series to be judged: its samples, wherever they come from, and what was said about it there.

use super::{
    csv::{Point, Reader},
    lines::ReadError,
};
use crate::sample::{Seconds, Unit};
use std::{io::BufRead, sync::Arc, vec};

/// A series before it is judged.
pub(super) struct Recording {
    /// What outputs call it.
    pub(super) name: Arc<str>,
    /// What labels call it.
    pub(super) label: Arc<str>,
    /// What its source told of it.
    pub(super) told: Told,
    /// Its samples.
    pub(super) samples: Samples,
}

/// What a source tells of a series beside its samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// What is counted.
    pub(super) unit: Option<Unit>,
    /// The limit, in that unit.
    pub(super) limit: Option<f64>,
    /// When the process was started anew, in rising order; the first may lie before the first sample.
    pub(super) restarts: Option<Vec<Seconds>>,
    /// The distance of two samples, in seconds.
    pub(super) interval_secs: Option<f64>,
}

/// Samples in rising order of time, at least one.
pub(super) enum Samples {
    /// Read as they are needed.
    File(Box<Reader<Box<dyn BufRead + Send>>>),
    /// Read already.
    Memory(vec::IntoIter<Point>),
}

impl Samples {
    /// The next sample; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Point>, ReadError> {
        match self {
            Self::File(reader) => reader.next(),
            Self::Memory(points) => Ok(points.next()),
        }
    }
}
