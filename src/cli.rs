//! The command line, from arguments to an exit code. Each subcommand is one file.
//!
//! Exit codes: 0 all is well, 1 it could not start or failed while running, 2 the command line is wrong, 3 something grew
//! by more than it may, 4 a leak or a degraded health was found, 5 the health is critical, 78 (`EX_CONFIG`) the
//! configuration is wrong. `profile` hands on the code of its command.

mod access;
pub mod analyze;
mod client;
mod config;
mod demo;
mod look;
mod output;
mod profile;
pub mod serve;
mod shipped;
mod watch;

use clap::{
    Parser, Subcommand,
    error::{ContextKind, ContextValue},
};
use std::{ffi::OsString, io::Write as _, process::ExitCode};

/// The command line is wrong; nothing was started. The code of clap's own complaints.
const EXIT_USAGE: u8 = 2;
/// Something grew by more than it may.
const EXIT_GREW: u8 = 3;
/// The configuration is wrong; nothing was started.
const EXIT_CONFIG: u8 = 78;

/// Says which part of which program leaks memory, how sure that is, how fast it grows and when it will run out.
///
/// Without any flag it watches every process of this machine, every 3 seconds, and serves the verdicts on port 10099.
#[derive(Debug, Parser)]
#[command(name = "memleak_exporter", version, max_term_width = 110, args_conflicts_with_subcommands = true)]
#[command(after_help = EXIT_CODES)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArguments,
}

/// What `--help` says of exit codes.
const EXIT_CODES: &str = "Exit codes: 0 all is well; 1 it could not start, or failed while running; 2 the command line is \
wrong; 3 something grew by more than --max-growth; 4 `leaks --fail-on` found one, or `health` is degraded; 5 `health` is \
critical; 78 the configuration is wrong. `profile` hands on the code of its command.";

/// What to do instead of watching.
#[derive(Debug, Subcommand)]
enum Command {
    /// Judge recorded series, as the exporter would have judged them, and print the verdicts.
    Analyze(analyze::AnalyzeArguments),
    /// Ask a running exporter since when it runs and how much it watches.
    Status(client::StatusArguments),
    /// Ask a running exporter how it and its targets are; the exit code says so too.
    Health(client::HealthArguments),
    /// Print the metrics of a running exporter.
    Metrics(client::MetricsArguments),
    /// List the targets of a running exporter.
    Targets(client::TargetsArguments),
    /// List the areas of a running exporter, the worst first.
    Areas(client::AreasArguments),
    /// List what leaks; the exit code can say so too.
    Leaks(client::LeaksArguments),
    /// List what grows, by its share of itself.
    Trends(client::TrendsArguments),
    /// List what targets tell of their work: processor, collections of garbage, delays.
    Performance(client::PerformanceArguments),
    /// Say what to do about what leaks.
    Recommendations(client::RecommendationsArguments),
    /// Report on what leaks, what grows and what is over.
    Report(client::ReportArguments),
    /// Make a running exporter forget what it learned of a target.
    Reset(client::ResetArguments),
    /// Watch a few small programs, some of which leak, in fast motion: verdicts within a minute.
    Demo(demo::DemoArguments),
    /// Watch one program live on the terminal, without any server.
    Watch(watch::WatchArguments),
    /// Run a command and say what grew between its beginning and its end.
    Profile(profile::ProfileArguments),
    /// Show, check, begin or change a configuration.
    Config(config::ConfigArguments),
    /// Print the alerting rules for Prometheus.
    Rules(shipped::RulesArguments),
    /// Print the dashboards for Grafana.
    Dashboards(shipped::DashboardsArguments),
    /// Print what a shell needs to complete this command line.
    Completions(shipped::CompletionsArguments),
    /// Print the manual page.
    Man(shipped::ManArguments),
    /// A program of the demonstration.
    #[command(hide = true)]
    DemoProgram(demo::ProgramArguments),
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Analyze(analyze) => analyze.run(),
            Self::Status(status) => status.run(),
            Self::Health(health) => health.run(),
            Self::Metrics(metrics) => metrics.run(),
            Self::Targets(targets) => targets.run(),
            Self::Areas(areas) => areas.run(),
            Self::Leaks(leaks) => leaks.run(),
            Self::Trends(trends) => trends.run(),
            Self::Performance(performance) => performance.run(),
            Self::Recommendations(recommendations) => recommendations.run(),
            Self::Report(report) => report.run(),
            Self::Reset(reset) => reset.run(),
            Self::Demo(demo) => demo.run(),
            Self::Watch(watch) => watch.run(),
            Self::Profile(profile) => profile.run(),
            Self::Config(config) => config.run(),
            Self::Rules(rules) => rules.run(),
            Self::Dashboards(dashboards) => dashboards.run(),
            Self::Completions(completions) => completions.run(),
            Self::Man(man) => man.run(),
            Self::DemoProgram(program) => program.run(),
        }
    }
}

/// Why a command ended badly.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong, in a way that its grammar does not show.
    Usage(anyhow::Error),
    /// The configuration is wrong: all its mistakes.
    Config(String),
    /// Something grew by more than it may.
    Grew(String),
    /// A command that was run for somebody ended with this code, and has said why.
    Code(u8),
    /// Anything else.
    Other(anyhow::Error),
}

/// Takes the password out of a URL that is repeated to whoever wrote it: what is said lands in logs.
fn hide_password(error: &mut clap::Error) {
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else { return };
    let Some((scheme, rest)) = value.split_once("://") else { return };
    let Some((_password, host)) = rest.split_once('@') else { return };
    let hidden = ContextValue::String(format!("{scheme}://…@{host}"));
    error.insert(ContextKind::InvalidValue, hidden);
}

/// Runs the command that the arguments ask for.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match CommandLine::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(mut error) => {
            hide_password(&mut error);
            let _nowhere_to_say_it = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE));
        }
    };
    let outcome = match arguments.command {
        Some(command) => command.run(),
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
        Err(Failure::Grew(what)) => {
            complain(&format!("memleak_exporter: {what}"));
            ExitCode::from(EXIT_GREW)
        }
        Err(Failure::Code(code)) => ExitCode::from(code),
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
