//! What is wrong with a configuration: all of it at once, each with its place and what to do.
//!
//! Messages never hold the value of a header or of an endpoint: both may carry a secret.

use std::fmt;

/// Everything that is wrong with a configuration; shown one problem a line, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.file_name, .problems))]
pub struct ConfigErrors {
    /// The name of the file as messages show it.
    pub file_name: String,
    /// At least one, sorted by place.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is written.
    pub place: Place,
    /// The path of the key, such as `processes.rules[2].command_line`, or the name of the variable; empty where the
    /// file as a whole is meant.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Where a problem is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole.
    File,
    /// A position in the file, both counted from one, columns in characters.
    At {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A variable of the environment.
    Environment,
}

impl Place {
    /// The line; 0 where it has none.
    pub(super) const fn line(self) -> usize {
        match self {
            Self::At { line, .. } => line,
            Self::File | Self::Environment => 0,
        }
    }

    /// The column; 0 where it has none.
    pub(super) const fn column(self) -> usize {
        match self {
            Self::At { column, .. } => column,
            Self::File | Self::Environment => 0,
        }
    }
}

impl ConfigErrors {
    /// Sorts the problems by place.
    pub(super) fn new(file_name: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.place);
        Self { file_name: String::from(file_name), problems }
    }

    /// One problem of the file as a whole.
    pub(super) fn of_file(file_name: &str, message: String) -> Self {
        Self::new(file_name, vec![Problem { place: Place::File, key: String::new(), message }])
    }
}

fn lines(file_name: &str, problems: &[Problem]) -> String {
    let shown: Vec<String> = problems.iter().map(|problem| Line { file_name, problem }.to_string()).collect();
    shown.join("\n")
}

struct Line<'a> {
    file_name: &'a str,
    problem: &'a Problem,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { place, key, message } = self.problem;
        match place {
            Place::File => write!(f, "{}: ", self.file_name)?,
            Place::At { line, column } => write!(f, "{}:{line}:{column}: ", self.file_name)?,
            Place::Environment => f.write_str("environment: ")?,
        }
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        f.write_str(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(place: Place, key: &str, message: &str) -> Problem {
        Problem { place, key: key.into(), message: message.into() }
    }

    #[test]
    fn problems_are_shown_one_a_line_in_the_order_of_the_file_and_the_environment_last() {
        let errors = ConfigErrors::new(
            "a.yml",
            vec![
                problem(Place::Environment, "OTEL_X", "third"),
                problem(Place::At { line: 10, column: 1 }, "b", "second"),
                problem(Place::At { line: 9, column: 7 }, "", "first"),
            ],
        );
        assert_eq!(errors.to_string(), "a.yml:9:7: first\na.yml:10:1: b: second\nenvironment: OTEL_X: third");
    }

    #[test]
    fn a_problem_of_the_whole_file_names_the_file_alone() {
        assert_eq!(ConfigErrors::of_file("a.yml", "is missing".into()).to_string(), "a.yml: is missing");
    }
}
