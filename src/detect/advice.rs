//! What to do about a finding: where to look, and which command to run next.
//!
//! The [table](table::ROWS) is data, in the order of what helps first. Kinds, areas and runtimes are words, so that a new
//! kind of target or an area that a user names is advised by the rows that hold for all, until it has rows of its own.
//! Nothing here is ever run: the commands are for people.

pub mod table;

use super::{
    episode::LeakState,
    finding::{Pattern, Severity},
};
use serde::Serialize;
use table::{ROWS, Row};

/// More than this nobody reads.
pub const ADVICE_MAX: usize = 6;
/// Stands in a command for the id of a process that is not known.
const SOME_PID: &str = "PID";

/// What is known of a finding.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The kind of its target, as the label says it.
    pub kind: &'a str,
    /// The name of its target.
    pub target: &'a str,
    /// The name of its area.
    pub area: &'a str,
    /// The runtime of its target, empty if it has none or none is known.
    pub runtime: &'a str,
    /// The systemd unit of its target, empty if none.
    pub unit: &'a str,
    /// The container of its target, empty if none.
    pub container: &'a str,
    /// The process, where the finding is about one that is named.
    pub pid: Option<u32>,
    /// What people are told.
    pub state: LeakState,
    /// The shape of the growth.
    pub pattern: Pattern,
    /// How much it matters.
    pub severity: Severity,
}

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// What to look at or to do, in one or two sentences.
    pub text: &'static str,
    /// A command for a shell that shows more, where there is one. `PID` in it stands for the id of a process of the target.
    pub command: Option<String>,
}

/// At most [`ADVICE_MAX`] pieces of advice, what helps first; none where there is nothing to do.
#[must_use]
pub fn advice(about: &About<'_>) -> Vec<Advice> {
    let fitting = ROWS.iter().filter(|row| row.holds(about));
    fitting.filter_map(|row| row.advice(about)).take(ADVICE_MAX).collect()
}

impl Row {
    fn holds(&self, about: &About<'_>) -> bool {
        let is_one_of = |words: &[&str], word: &str| words.is_empty() || words.contains(&word);
        // What grows for good reasons, or not at all, needs no search for a leak.
        let is_meant = about.state > LeakState::None || !self.patterns.is_empty();
        is_meant
            && about.severity >= self.least
            && (self.patterns.is_empty() || self.patterns.contains(&about.pattern))
            && is_one_of(self.kinds, about.kind)
            && is_one_of(self.areas, about.area)
            && is_one_of(self.runtimes, about.runtime)
    }

    /// None where its command needs a name that is not known.
    fn advice(&self, about: &About<'_>) -> Option<Advice> {
        let Some(written) = self.command else { return Some(Advice { text: self.text, command: None }) };
        let pid = about.pid.map_or_else(|| String::from(SOME_PID), |pid| pid.to_string());
        let mut command = String::from(written);
        for (mark, name) in [
            ("{pid}", pid.as_str()),
            ("{unit}", about.unit),
            ("{container}", about.container),
            ("{target}", about.target),
        ] {
            if !written.contains(mark) {
                continue;
            }
            if name.is_empty() {
                return None;
            }
            command = command.replace(mark, &quoted(name));
        }
        Some(Advice { text: self.text, command: Some(command) })
    }
}

/// A name as one word of a shell, whatever it holds: programs choose their names themselves.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@._:/+=-".contains(c);
    if name.chars().all(is_plain) && !name.starts_with('-') {
        return name.to_owned();
    }
    // No control character, since it could end the line, and no brace, which could stand for the next name.
    let harmless: String =
        name.chars().map(|c| if c.is_control() || "{}".contains(c) { '?' } else { c }).collect();
    format!("'{}'", harmless.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAK: About<'static> = About {
        kind: "process",
        target: "web",
        area: "anon",
        runtime: "",
        unit: "",
        container: "",
        pid: None,
        state: LeakState::Confirmed,
        pattern: Pattern::Linear,
        severity: Severity::Medium,
    };

    fn check(about: About<'_>, command: &str) {
        let found = advice(&about);
        let has = |advice: &Advice| advice.command.as_deref().is_some_and(|found| found.contains(command));
        assert!(found.iter().any(has), "{command} for {about:?}: {found:#?}");
    }

    #[test]
    fn each_runtime_and_area_has_its_own_command() {
        check(About { runtime: "jvm", pid: Some(7), ..LEAK }, "jcmd 7 GC.class_histogram");
        check(About { runtime: "python", ..LEAK }, "memray attach PID");
        check(About { runtime: "node", ..LEAK }, "kill -USR1 PID");
        check(About { area: "fds", pid: Some(7), ..LEAK }, "/proc/7/fd");
        check(About { kind: "host", area: "slab_unreclaimable", ..LEAK }, "slabtop");
        check(About { kind: "cgroup", unit: "a.service", ..LEAK }, "systemctl status a.service");
        check(About { pattern: Pattern::Fragmentation, ..LEAK }, "smaps_rollup");
    }

    #[test]
    fn an_area_that_nobody_has_heard_of_is_advised_too() {
        assert!(!advice(&About { kind: "comet", area: "tail", ..LEAK }).is_empty());
    }

    #[test]
    fn where_nothing_leaks_there_is_nothing_to_search() {
        let quiet = About { state: LeakState::None, severity: Severity::None, ..LEAK };
        assert_eq!(advice(&quiet), []);
        assert_eq!(advice(&About { pattern: Pattern::Stable, ..quiet }), []);
        assert!(!advice(&About { pattern: Pattern::SustainedHigh, ..quiet }).is_empty());
    }

    #[test]
    fn what_is_critical_comes_first_and_the_list_stays_short() {
        let first = |severity| advice(&About { severity, ..LEAK }).first().map(|advice| advice.text);
        assert!(first(Severity::Critical).is_some_and(|text| text.contains("limit comes near")));
        assert_ne!(first(Severity::Critical), first(Severity::Medium));
        for row in ROWS {
            let word = |words: &[&'static str]| words.first().copied().unwrap_or_default();
            let about = About {
                kind: word(row.kinds),
                area: word(row.areas),
                runtime: word(row.runtimes),
                unit: "u",
                container: "c",
                pattern: row.patterns.first().copied().unwrap_or(Pattern::Linear),
                severity: Severity::Critical,
                ..LEAK
            };
            assert!(row.holds(&about) && row.advice(&about).is_some(), "{}", row.text);
            assert!(advice(&about).len() <= ADVICE_MAX);
        }
    }

    #[test]
    fn a_name_cannot_become_a_command() {
        for (name, word) in [
            ("nginx.service", "nginx.service"),
            ("a; rm -rf $HOME", "'a; rm -rf $HOME'"),
            ("it's", r"'it'\''s'"),
            ("-rf", "'-rf'"),
            ("a\nb{pid}", "'a?b?pid?'"),
        ] {
            assert_eq!(quoted(name), word);
        }
        let hostile = About { kind: "cgroup", unit: "x'; reboot #", ..LEAK };
        check(hostile, r"systemctl status 'x'\''; reboot #'");
    }
}
