//! The command line, from arguments to an exit code. Each subcommand is one file.
//!
//! Exit codes: 0 all is well, 1 it could not start or failed while running, 2 the command line is wrong, 78 (`EX_CONFIG`)
//! the configuration is wrong.

mod access;
pub mod analyze;
pub mod serve;

use clap::{Parser, Subcommand};
use std::{ffi::OsString, io::Write as _, process::ExitCode};

/// The command line is wrong; nothing was started. The code of clap's own complaints.
const EXIT_USAGE: u8 = 2;
/// The configuration is wrong; nothing was started.
const EXIT_CONFIG: u8 = 78;

/// Says which part of which program leaks memory, how sure that is, how fast it grows and when it will run out.
///
/// Without any flag it watches every process of this machine, every 3 seconds, and serves the verdicts on port 10099.
#[derive(Debug, Parser)]
#[command(name = "memleak_exporter", version, max_term_width = 110, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArguments,
}

/// What to do instead of watching.
#[derive(Debug, Subcommand)]
enum Command {
    /// Judge recorded series, as the exporter would have judged them, and print the verdicts.
    Analyze(analyze::AnalyzeArguments),
}

/// Why a command ended badly.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong, in a way that its grammar does not show.
    Usage(anyhow::Error),
    /// The configuration is wrong: all its mistakes.
    Config(String),
    /// Anything else.
    Other(anyhow::Error),
}

/// Runs the command that the arguments ask for.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match CommandLine::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _nowhere_to_say_it = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE));
        }
    };
    let outcome = match arguments.command {
        Some(Command::Analyze(analyze)) => analyze.run(),
        None => arguments.serve.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => {
            complain(&format!("memleak_exporter: {error:#}"));
            ExitCode::from(EXIT_USAGE)
        }
        Err(Failure::Config(mistakes)) => {
            complain(&mistakes);
            ExitCode::from(EXIT_CONFIG)
        }
        Err(Failure::Other(error)) => {
            complain(&format!("memleak_exporter: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn complain(text: &str) {
    let _nowhere_to_say_it = writeln!(std::io::stderr(), "{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }
}
