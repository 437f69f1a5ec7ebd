//! What a summary says to people: the same words in the table, in Markdown and on the page.

use super::summary::{Ending, EpisodeSummary, Summary};
use crate::{
    detect::{
        episode::LeakState,
        finding::{Estimate, Finding},
        words::{Amount, Span},
    },
    sample::Seconds,
    text::{Change, Moment, Plural, Share, pattern_words},
};
use std::fmt::{self, Write as _};

/// From here on a time counts from 1970 (it is 1979), and before it from some start.
const EPOCH_FROM_SECS: f64 = 3e8;
const HOUR_SECS: f64 = 3600.0;
/// The columns of every table, and whether they hold numbers.
pub(super) const COLUMNS: [(&str, bool); 9] = [
    ("Series", false),
    ("Verdict", false),
    ("Confidence", true),
    ("Growth per hour", true),
    ("Pattern", false),
    ("Size", true),
    ("Time to limit", true),
    ("Samples", true),
    ("Length", true),
];

/// What is said of a whole series, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    /// There never was enough evidence for a verdict, or it has gone with the last restart.
    Unknown,
    /// No leak.
    NoLeak,
    /// There was a confirmed leak, and it is over.
    Resolved,
    /// Perhaps a leak.
    Suspected,
    /// A leak.
    Confirmed,
}

impl Word {
    /// The word for a series.
    pub(super) fn of(summary: &Summary) -> Self {
        match summary.state {
            LeakState::Confirmed => Self::Confirmed,
            LeakState::Suspected => Self::Suspected,
            LeakState::None if summary.leaks().next().is_some() => Self::Resolved,
            LeakState::None if summary.finding.is_some() => Self::NoLeak,
            LeakState::None => Self::Unknown,
        }
    }

    /// As it is written.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "too little evidence",
            Self::NoLeak => "no leak",
            Self::Resolved => "resolved",
            Self::Suspected => "suspected",
            Self::Confirmed => "confirmed",
        }
    }
}

/// The row of a series, one text for each of [`COLUMNS`]. The name is as it came: each format makes it harmless itself.
pub(super) fn row(summary: &Summary) -> [String; COLUMNS.len()] {
    let bytes = summary.is_bytes();
    let of_finding =
        |say: &dyn Fn(&Finding) -> String| summary.finding.as_ref().map_or_else(|| String::from("–"), say);
    [
        summary.series.name.to_string(),
        Word::of(summary).as_str().to_owned(),
        of_finding(&|finding| Share(finding.confidence).to_string()),
        of_finding(&|finding| Change { value: finding.growth.value * HOUR_SECS, bytes }.to_string()),
        of_finding(&|finding| pattern_words(finding.pattern).to_owned()),
        Amount { value: summary.last.size, bytes }.to_string(),
        of_finding(&|finding| {
            finding.time_to_limit.map_or_else(|| String::from("–"), |time| Span(time.value).to_string())
        }),
        summary.samples.to_string(),
        Span(summary.span_secs()).to_string(),
    ]
}

/// A time of a series: a date where it counts from 1970, else the time since its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct When(pub(super) Seconds);

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Some(self.0).filter(|at| *at >= EPOCH_FROM_SECS).and_then(Moment::of) {
            Some(moment) => moment.fmt(f),
            None => Span(self.0).fmt(f),
        }
    }
}

/// The verdict on a whole series as a sentence or two.
pub(super) fn verdict(summary: &Summary) -> String {
    let bytes = summary.is_bytes();
    let mut text = match Word::of(summary) {
        Word::Unknown => String::from("Too little evidence for a verdict."),
        Word::NoLeak => String::from("No leak."),
        Word::Resolved => String::from("There was a leak, and it is over."),
        Word::Suspected => String::from("Perhaps a leak."),
        Word::Confirmed => String::from("A leak."),
    };
    let Some(finding) = &summary.finding else { return text };
    if summary.state > LeakState::None {
        let growth = Amount { value: (finding.growth.value * HOUR_SECS).max(0.0), bytes };
        let _never_fails = write!(text, " It grows by {growth} an hour{}.", limit_clause(summary, finding));
    }
    let _never_fails = write!(text, " What was seen last: {}.", finding.evidence);
    text
}

fn limit_clause(summary: &Summary, finding: &Finding) -> String {
    let (Some(limit), Some(Estimate { value, lower, .. })) = (summary.series.limit, finding.time_to_limit)
    else {
        return String::new();
    };
    let limit = Amount { value: limit, bytes: summary.is_bytes() };
    if value < 1.0 {
        return format!(" and has reached the limit of {limit}");
    }
    format!(" and reaches the limit of {limit} in {}, in {} at the earliest", Span(value), Span(lower))
}

/// An episode in two lines: what happened when, and the evidence.
pub(super) fn episode(summary: &Summary, episode: &EpisodeSummary) -> [String; 2] {
    let bytes = summary.is_bytes();
    let EpisodeSummary { onset_at, opened_at, finding, .. } = episode;
    let mut text = match episode.confirmed_at {
        Some(at) => format!(
            "leak that began at {}, confirmed at {} ({} later)",
            When(*onset_at),
            When(at),
            Span((at - onset_at).max(0.0)),
        ),
        None => {
            format!("perhaps a leak that began at {}, suspected at {}", When(*onset_at), When(*opened_at))
        }
    };
    text += &match episode.ended {
        Some((at, Ending::Stopped)) => format!(", over at {}", When(at)),
        Some((at, Ending::Restart)) => format!(", ended by the restart at {}", When(at)),
        None => String::from(", going on"),
    };
    let Estimate { value, lower, upper } = finding.growth;
    let [growth, least, most] = [value, lower, upper].map(|pace| Change { value: pace * HOUR_SECS, bytes });
    let leaked = Amount { value: episode.leaked, bytes };
    let pattern = pattern_words(finding.pattern);
    let _never_fails = write!(
        text,
        ": {growth} an hour ({least} to {most}), {leaked} in all, {pattern}{}",
        time_clause(finding)
    );
    [text, finding.evidence.to_string()]
}

/// How long it was to the limit, with its interval.
fn time_clause(finding: &Finding) -> String {
    let Some(Estimate { value, lower, upper }) = finding.time_to_limit else { return String::new() };
    format!(", {} to the limit ({} to {})", Span(value), Span(lower), Span(upper))
}

/// The episodes worth telling: those that were confirmed, and the open one.
pub(super) fn told_episodes(summary: &Summary) -> impl Iterator<Item = &EpisodeSummary> {
    summary.episodes.iter().filter(|episode| episode.confirmed_at.is_some() || episode.ended.is_none())
}

/// How many episodes are not told, in words; none where all are.
pub(super) fn untold(summary: &Summary) -> Option<String> {
    let told = told_episodes(summary).count();
    let passed = summary.episodes.len() - told;
    let suspicions = |count| Plural { count, thing: "suspicion" };
    match (passed, summary.episodes_left_out) {
        (0, 0) => None,
        (passed, 0) => Some(format!("{} that passed", suspicions(passed))),
        (0, more) => Some(format!("{more} more episodes")),
        (passed, more) => Some(format!("{} that passed, {more} more episodes", suspicions(passed))),
    }
}

/// A text for a terminal: control characters, which could steer it, are replaced.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_count_from_1970_are_dates() {
        assert_eq!(When(1_709_208_005.0).to_string(), "2024-02-29 12:00:05 UTC");
        assert_eq!(When(7500.0).to_string(), "2 h 5 min");
    }

    #[test]
    fn no_name_steers_a_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }
}
