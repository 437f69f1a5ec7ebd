//! Which collectors' targets a scrape wants: `?collect[]=` and `?exclude[]=`.

pub use crate::config::COLLECTORS;

use crate::sample::Kind;
use thiserror::Error;

/// The collectors that see targets of this kind. Applications are asked, or tell of their own accord.
#[must_use]
pub const fn collectors_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Process => &["process"],
        Kind::Cgroup => &["cgroup"],
        Kind::Host => &["host"],
        Kind::Directory => &["directory"],
        Kind::Application => &["application", "push"],
    }
}

/// The collector that sees what processes are made of; it has no targets of its own.
pub const COLLECTOR_OF_PARTS: &str = "attribution";

/// The collector whose areas stand beside those that `process` sees, and are shown with them; it has no targets either.
#[cfg(test)]
const COLLECTOR_BESIDE_PROCESSES: &str = "jvm";

/// Which targets a page shows. The exporter's own metrics are always on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Those of every collector.
    #[default]
    All,
    /// Those of the named collectors.
    Only(Vec<&'static str>),
}

/// A selection that cannot be served; the client is answered with 400 and these words.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SelectionError {
    /// Both parameters were given.
    #[error("collect[] and exclude[] cannot be used together; use one of them")]
    Both,
    /// No collector has this name.
    #[error("unknown collector {name:?}; known: {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
}

impl Selection {
    /// The selection that the values of `collect[]` and `exclude[]` ask for, out of the `known` collectors.
    ///
    /// # Errors
    /// Both are given, or a name is unknown.
    pub fn new<S: AsRef<str>>(
        collect: &[S],
        exclude: &[S],
        known: &[&'static str],
    ) -> Result<Self, SelectionError> {
        let find = |name: &S| {
            let found = known.iter().copied().find(|known| *known == name.as_ref());
            found.ok_or_else(|| SelectionError::Unknown {
                name: name.as_ref().to_owned(),
                known: known.join(", "),
            })
        };
        match (collect, exclude) {
            ([], []) => Ok(Self::All),
            (names, []) => names.iter().map(find).collect::<Result<_, _>>().map(Self::Only),
            ([], names) => {
                let out = names.iter().map(find).collect::<Result<Vec<_>, _>>()?;
                // Targets that two collectors see are left out with either.
                let together = collectors_of(Kind::Application);
                let is_shared_out = together.iter().any(|name| out.contains(name));
                let stays = |name: &&str| !(out.contains(name) || is_shared_out && together.contains(name));
                Ok(Self::Only(known.iter().copied().filter(stays).collect()))
            }
            _ => Err(SelectionError::Both),
        }
    }

    /// Whether targets of this kind are shown.
    #[must_use]
    pub fn includes(&self, kind: Kind) -> bool {
        collectors_of(kind).iter().any(|collector| self.names(collector))
    }

    /// Whether the parts of targets are shown.
    #[must_use]
    pub fn includes_parts(&self) -> bool {
        self.names(COLLECTOR_OF_PARTS)
    }

    fn names(&self, collector: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&collector),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(collect: &[&str], exclude: &[&str], expected: Result<bool, &str>) {
        let shown =
            Selection::new(collect, exclude, &COLLECTORS).map(|selection| selection.includes(Kind::Process));
        assert_eq!(shown.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    }

    #[test]
    fn collect_and_exclude_select_by_name() {
        check(&[], &[], Ok(true));
        check(&["process"], &[], Ok(true));
        check(&[], &["process"], Ok(false));
        check(
            &["process"],
            &["process"],
            Err("collect[] and exclude[] cannot be used together; use one of them"),
        );
        let unknown = "unknown collector \"disk\"; known: process, cgroup, host, application, attribution, jvm, directory, push";
        check(&["disk"], &[], Err(unknown));
        check(&[], &["disk"], Err(unknown));
    }

    #[test]
    fn targets_of_two_collectors_are_shown_with_either_and_left_out_with_either() {
        let shows = |collect: &[&str], exclude: &[&str]| {
            Selection::new(collect, exclude, &COLLECTORS).unwrap().includes(Kind::Application)
        };
        assert!(shows(&["push"], &[]) && shows(&["application"], &[]) && shows(&[], &["process"]));
        assert!(!shows(&[], &["push"]) && !shows(&[], &["application"]) && !shows(&["process"], &[]));
    }

    #[test]
    fn every_kind_has_a_selectable_collector() {
        let kinds = [Kind::Process, Kind::Cgroup, Kind::Host, Kind::Application, Kind::Directory];
        let mut selectable: Vec<&str> = kinds.into_iter().flat_map(collectors_of).copied().collect();
        selectable.extend([COLLECTOR_OF_PARTS, COLLECTOR_BESIDE_PROCESSES]);
        selectable.sort_unstable();
        let mut known = COLLECTORS.to_vec();
        known.sort_unstable();
        assert_eq!(selectable, known);
    }
}
