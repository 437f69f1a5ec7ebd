//! `rules`, `dashboards`, `completions`, `man`: what is shipped in the binary itself, so that one file is all of it.
//!
//! The texts are in the binary as they are. They take no memory until they are printed, and what compressing them would
//! save, some 300 kB of the file, is not worth another step of the build.

use super::{CommandLine, Failure, output::print};
use anyhow::{Context as _, anyhow};
use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The alerting and recording rules.
const RULES: &str = include_str!("../../alerts/memleak.rules.yml");
/// What the rules are called as a file.
const RULES_FILE: &str = "memleak.rules.yml";
/// What they are called as a resource of the Prometheus operator.
const RESOURCE_FILE: &str = "prometheusrule.yml";
/// Where the rules begin, behind their explanation.
const RULES_BEGIN: &str = "\ngroups:\n";
/// What the resource says before the rules.
const RESOURCE_HEAD: &str = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  \
    name: memleak-exporter\n  labels:\n    app.kubernetes.io/name: memleak-exporter\nspec:\n";
/// The dashboards by their names.
const DASHBOARDS: [(&str, &str); 4] = [
    ("fleet", include_str!("../../grafana/memleak-fleet.json")),
    ("target", include_str!("../../grafana/memleak-target.json")),
    ("runtime", include_str!("../../grafana/memleak-runtime.json")),
    ("exporter", include_str!("../../grafana/memleak-exporter.json")),
];

/// Flags of `rules`.
#[derive(Debug, Args)]
pub(super) struct RulesArguments {
    /// For Prometheus' `rule_files`, or as a resource of the Prometheus operator.
    #[arg(long, value_enum, default_value = "prometheus")]
    format: RulesFormat,
    /// Write a file into this directory instead.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RulesFormat {
    Prometheus,
    Operator,
}

impl RulesArguments {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let (name, text) = match self.format {
            RulesFormat::Prometheus => (RULES_FILE, RULES.to_owned()),
            RulesFormat::Operator => (RESOURCE_FILE, resource()),
        };
        match &self.output {
            Some(directory) => write_all(directory, &[(name.to_owned(), text.into_bytes())]),
            None => print(|out| out.write_all(text.as_bytes())),
        }
    }
}

/// The rules as a resource of the Prometheus operator: the same text, one level deeper.
fn resource() -> String {
    let from = RULES.find(RULES_BEGIN).map_or(0, |at| at + 1);
    let mut resource = String::from(RESOURCE_HEAD);
    for line in RULES.get(from..).unwrap_or_default().lines() {
        if !line.is_empty() {
            resource.push_str("  ");
        }
        resource.push_str(line);
        resource.push('\n');
    }
    resource
}

/// Flags of `dashboards`.
#[derive(Debug, Args)]
pub(super) struct DashboardsArguments {
    /// Which one to print: fleet, target, runtime or exporter; without it their names are printed.
    #[arg(value_name = "NAME", value_parser = DASHBOARDS.map(|(name, _)| name), conflicts_with = "output")]
    name: Option<String>,
    /// Write all of them as files into this directory.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl DashboardsArguments {
    pub(super) fn run(&self) -> Result<(), Failure> {
        if let Some(directory) = &self.output {
            let files = DASHBOARDS.map(|(name, text)| (format!("memleak-{name}.json"), text.into()));
            return write_all(directory, &files);
        }
        let wanted = DASHBOARDS.iter().find(|(name, _)| self.name.as_deref() == Some(*name));
        print(|out| match wanted {
            Some((_, text)) => out.write_all(text.as_bytes()),
            None => DASHBOARDS.iter().try_for_each(|(name, _)| writeln!(out, "{name}")),
        })
    }
}

/// Flags of `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArguments {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut script = Vec::new();
        let mut command = CommandLine::command();
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        print(|out| out.write_all(&script))
    }
}

/// Flags of `man`.
#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Write the pages of all commands into this directory; without it that of the exporter itself is printed.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl ManArguments {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut command = CommandLine::command();
        // So that the pages of subcommands have names of their own.
        command.build();
        let Some(directory) = &self.output else {
            let page = page(command)?;
            return print(|out| out.write_all(&page));
        };
        let mut files = Vec::new();
        collect_pages(&command, &mut files)?;
        write_all(directory, &files)
    }
}

fn collect_pages(command: &clap::Command, files: &mut Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    files.push((format!("{name}.1"), page(command.clone().name(name))?));
    command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
        .try_for_each(|inner| collect_pages(inner, files))
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(|error| Failure::Other(error.into()))?;
    Ok(page)
}

/// Writes files into a directory, which is made where it is missing, and says their names.
fn write_all(directory: &Path, files: &[(String, Vec<u8>)]) -> Result<(), Failure> {
    let write = || -> anyhow::Result<Vec<PathBuf>> {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        let one = |(name, text): &(String, Vec<u8>)| {
            let path = directory.join(name);
            fs::write(&path, text).map_err(|error| anyhow!("cannot write {}: {error}", path.display()))?;
            Ok(path)
        };
        files.iter().map(one).collect()
    };
    let written = write().map_err(Failure::Other)?;
    print(|out| written.iter().try_for_each(|path| writeln!(out, "{}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_is_the_shipped_one() {
        let shipped = include_str!("../../alerts/prometheusrule.yml");
        let (_how_it_was_written, shipped) = shipped.split_once('\n').unwrap();
        assert_eq!(resource(), shipped);
    }

    #[test]
    fn every_command_that_is_shown_has_a_page() {
        let mut command = CommandLine::command();
        command.build();
        let mut files = Vec::new();
        assert!(collect_pages(&command, &mut files).is_ok());
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["memleak_exporter.1", "memleak_exporter-analyze.1", "memleak_exporter-man.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("demo-program")), "{names:?}");
    }
}
