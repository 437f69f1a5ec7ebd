//! JSON lines: one line for each thing that is told, while it is told.

use super::{
    course::{Audience, Occasion, Series, Standing},
    json::{Estimates, in_unit},
};
use crate::{
    detect::episode::{LeakState, Tempo},
    sample::Seconds,
};
use serde::Serialize;
use std::io::{self, Write};

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    series: &'a str,
    t: Seconds,
    state: &'static str,
    confidence: f64,
    #[serde(flatten)]
    estimates: Option<Estimates>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaked_bytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaked_objects: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tempo: Option<Tempo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_bytes: Option<usize>,
}

/// Writes the lines of one series.
pub(super) struct Lines<'a, W> {
    out: &'a mut W,
    series: &'a Series,
    every_look: bool,
    /// The time of the last line that shows a look: a full hour right after it has nothing to add.
    said_at: Option<Seconds>,
}

impl<'a, W: Write> Lines<'a, W> {
    /// Writes to `out`: each change of state, each full hour and the end; or, beside these, every look.
    pub(super) fn new(out: &'a mut W, series: &'a Series, every_look: bool) -> Self {
        Self { out, series, every_look, said_at: None }
    }

    fn is_worth_a_line(&self, standing: &Standing<'_>) -> bool {
        match standing.occasion {
            Occasion::Look => self.every_look,
            Occasion::Change(_) => true,
            Occasion::Restart(before) => before > LeakState::None,
            Occasion::Hour | Occasion::End => self.said_at != Some(standing.at),
        }
    }
}

impl<W: Write> Audience for Lines<'_, W> {
    fn hear(&mut self, standing: &Standing<'_>) -> io::Result<()> {
        if !self.is_worth_a_line(standing) {
            return Ok(());
        }
        let unit = self.series.area.unit;
        // Who reads every look wants to repeat the decision, and that needs neither estimates nor words.
        let is_short = self.every_look && standing.occasion == Occasion::Look;
        let [leaked_bytes, leaked_objects] =
            standing.leaked().filter(|_| !is_short).map_or([None, None], |leaked| in_unit(leaked, unit));
        let look = Some(standing).filter(|standing| standing.finding.is_some() && self.is_look(standing));
        let line = Line {
            series: &self.series.name,
            t: standing.at,
            state: state_word(standing),
            confidence: standing.confidence,
            estimates: standing.finding.filter(|_| !is_short).map(|finding| Estimates::of(finding, unit)),
            since: standing.episode.filter(|_| !is_short).map(|episode| episode.since),
            leaked_bytes,
            leaked_objects,
            tempo: look.map(|look| look.tempo),
            state_bytes: (self.every_look && standing.occasion == Occasion::End)
                .then_some(standing.state_bytes),
        };
        self.said_at = Some(standing.at);
        serde_json::to_writer(&mut *self.out, &line)?;
        self.out.write_all(b"\n")
    }
}

impl<W: Write> Lines<'_, W> {
    fn is_look(&self, standing: &Standing<'_>) -> bool {
        self.every_look && matches!(standing.occasion, Occasion::Look | Occasion::Change(_))
    }
}

/// What people are told, and `resolved` where a confirmed episode ends.
fn state_word(standing: &Standing<'_>) -> &'static str {
    match standing.occasion {
        Occasion::Change(LeakState::Confirmed) | Occasion::Restart(LeakState::Confirmed)
            if standing.state == LeakState::None =>
        {
            "resolved"
        }
        _ => standing.state.as_str(),
    }
}
