//! Which collectors' targets a scrape wants: `?collect[]=` and `?exclude[]=`.

pub use crate::config::COLLECTORS;

use crate::sample::Kind;
use thiserror::Error;

/// The collector that sees targets of this kind.
#[must_use]
pub const fn collector_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Process => "process",
        Kind::Cgroup => "cgroup",
        Kind::Host => "host",
        Kind::Application => "application",
    }
}

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
                Ok(Self::Only(known.iter().copied().filter(|name| !out.contains(name)).collect()))
            }
            _ => Err(SelectionError::Both),
        }
    }

    /// Whether targets of this kind are shown.
    #[must_use]
    pub fn includes(&self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&collector_of(kind)),
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
        check(&["disk"], &[], Err("unknown collector \"disk\"; known: process, cgroup, host, application"));
        check(&[], &["disk"], Err("unknown collector \"disk\"; known: process, cgroup, host, application"));
    }

    #[test]
    fn every_kind_has_a_selectable_collector() {
        let selectable = [Kind::Process, Kind::Cgroup, Kind::Host, Kind::Application].map(collector_of);
        assert_eq!(selectable, COLLECTORS);
    }
}
