//! Which target a process belongs to: a rule that a user can guess, and change.
//!
//! The first of these that is known names it: a rule of the configuration, the systemd unit, the container, the script
//! of an interpreter, the executable. Session scopes and user managers are no units: what runs in a login session is
//! named after itself. A unit inside of a container carries the container's name too, or two containers and the host
//! would share one target. The exporter's own container is the world to it, so the processes inside are told apart too.
//!
//! Names come from whoever starts processes. They end up in labels, logs and mails, so their length and characters are
//! bounded.

use super::script;
use crate::{
    collect::names::bounded,
    config::{NameSource, Processes, Rule},
    sample::TargetInfo,
};
use regex::Captures;

/// What is known about a process before it has a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The process id.
    pub pid: u32,
    /// The base name of the executable.
    pub executable: String,
    /// Its arguments, the program's own name first.
    pub arguments: Vec<String>,
    /// The systemd unit, empty if none.
    pub unit: String,
    /// The container, empty if none (or if it is the exporter's own).
    pub container: String,
    /// The uid of the Kubernetes pod, empty if none.
    pub pod_uid: String,
}

/// The name of the target and what else is known; none where the configuration leaves the process out.
#[must_use]
pub fn name(process: &Description, settings: &Processes) -> Option<(String, TargetInfo)> {
    let script = script::of(&process.executable, &process.arguments);
    let name = settings
        .rules
        .iter()
        .find_map(|rule| by_rule(rule, process, script.as_ref()))
        .or_else(|| settings.group_by.iter().find_map(|source| by_source(*source, process, script.as_ref())))
        .unwrap_or_else(|| process.executable.clone());
    let name = bounded(name);
    let wanted = settings.include.is_empty() || settings.include.iter().any(|regex| regex.is_match(&name));
    if !wanted || settings.exclude.iter().any(|regex| regex.is_match(&name)) {
        return None;
    }
    let info = TargetInfo {
        unit: bounded(process.unit.clone()).into(),
        container: bounded(process.container.clone()).into(),
        pod_uid: process.pod_uid.clone().into(),
        runtime: script::runtime(&process.executable).unwrap_or_default().into(),
        ..TargetInfo::default()
    };
    Some((name, info))
}

fn by_source(source: NameSource, process: &Description, script: Option<&script::Script>) -> Option<String> {
    match source {
        NameSource::Unit if process.unit.is_empty() => None,
        NameSource::Unit if process.container.is_empty() => Some(process.unit.clone()),
        NameSource::Unit => Some(format!("{} {}", process.container, process.unit)),
        NameSource::Container => not_empty(&process.container),
        NameSource::Script => script.map(script::Script::name),
        NameSource::Executable => not_empty(&process.executable),
    }
}

fn not_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The name that a rule gives, if all of its conditions hold.
fn by_rule(rule: &Rule, process: &Description, script: Option<&script::Script>) -> Option<String> {
    let command_line = process.arguments.join(" ");
    let conditions = [
        (&rule.executable, process.executable.as_str()),
        (&rule.command_line, command_line.as_str()),
        (&rule.unit, process.unit.as_str()),
        (&rule.container, process.container.as_str()),
    ];
    let mut captured = Vec::new();
    for (regex, text) in conditions {
        if let Some(regex) = regex {
            captured.push((regex, regex.captures(text)?));
        }
    }
    Some(fill(&rule.name, |placeholder| match placeholder {
        "unit" => process.unit.clone(),
        "container" => process.container.clone(),
        "script" => script.map(script::Script::name).unwrap_or_default(),
        "executable" => process.executable.clone(),
        "pid" => process.pid.to_string(),
        group => captured.iter().find_map(|(_, captures)| named(captures, group)).unwrap_or_default(),
    }))
}

fn named(captures: &Captures<'_>, group: &str) -> Option<String> {
    captures.name(group).map(|found| found.as_str().to_owned())
}

/// Replaces each `{word}` of a template.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((word, after)) = behind.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(&value(word));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::names::LONGEST_NAME;
    use regex::Regex;

    fn process(executable: &str, command_line: &str) -> Description {
        Description {
            pid: 7,
            executable: executable.into(),
            arguments: command_line.split(' ').map(str::to_owned).collect(),
            ..Description::default()
        }
    }

    #[test]
    fn names_follow_the_configured_order() {
        let mut node = process("node", "node /srv/server.js");
        node.unit = "shop.service".into();
        let mut settings = Processes::default();
        assert_eq!(name(&node, &settings).map(|(name, _)| name), Some("shop.service".into()));
        settings.group_by = vec![NameSource::Script, NameSource::Executable];
        assert_eq!(name(&node, &settings).map(|(name, _)| name), Some("node server.js".into()));
        settings.group_by = vec![NameSource::Executable];
        assert_eq!(name(&node, &settings).map(|(name, _)| name), Some("node".into()));
    }

    #[test]
    fn a_unit_inside_a_container_is_not_the_host_s_unit_of_that_name() {
        let (script, executable) = (NameSource::Script, NameSource::Executable);
        for (unit, container, group_by, expected) in [
            ("nginx.service", "", vec![NameSource::Unit, NameSource::Container], "nginx.service"),
            (
                "nginx.service",
                "lxc/web",
                vec![NameSource::Unit, NameSource::Container],
                "lxc/web nginx.service",
            ),
            ("nginx.service", "lxc/web", vec![NameSource::Unit, executable], "lxc/web nginx.service"),
            ("nginx.service", "lxc/web", vec![NameSource::Container, NameSource::Unit], "lxc/web"),
            ("nginx.service", "lxc/web", vec![executable, NameSource::Unit], "nginx"),
            ("", "lxc/web", vec![NameSource::Unit, script, NameSource::Container], "lxc/web"),
        ] {
            let mut nginx = process("nginx", "nginx");
            nginx.unit = unit.into();
            nginx.container = container.into();
            let settings = Processes { group_by, ..Processes::default() };
            let (name, info) = name(&nginx, &settings).unwrap();
            assert_eq!(name, expected, "{:?}", settings.group_by);
            assert_eq!((&*info.unit, &*info.container), (unit, container));
        }
    }

    #[test]
    fn whatever_names_a_target_is_bounded() {
        let rule = Rule {
            name: "{role}".into(),
            executable: None,
            command_line: Some(Regex::new("(?s)--role=(?P<role>.*)").unwrap()),
            unit: None,
            container: None,
        };
        let settings = Processes { rules: vec![rule], ..Processes::default() };
        let long = "x".repeat(300);
        let executable = process(&long, &long);
        let script = process("node", &format!("node {}.js\n", "y".repeat(100)));
        let ruled = process("node", &format!("node a.js --role={long}\n"));
        let mut unit = process("a", "a");
        unit.unit = format!("{long}\n.service");
        let mut container = process("a", "a");
        container.container = format!("lxc/{long}\n");
        for process in [executable, script, ruled, unit, container] {
            let (name, info) = name(&process, &settings).unwrap();
            for text in [name.as_str(), &*info.unit, &*info.container] {
                assert!(text.chars().count() <= LONGEST_NAME, "{text}");
                assert!(!text.contains(char::is_control), "{text:?}");
            }
        }
    }

    #[test]
    fn a_rule_names_what_matches_all_of_its_conditions() {
        let rule = Rule {
            name: "{role} of {executable} ({pid})".into(),
            executable: Some(Regex::new("^(?:node)$").unwrap()),
            command_line: Some(Regex::new("--role=(?P<role>[a-z]+)").unwrap()),
            unit: None,
            container: None,
        };
        let settings = Processes { rules: vec![rule], ..Processes::default() };
        let named = |p: &Description| name(p, &settings).map(|(name, _)| name);
        assert_eq!(named(&process("node", "node a.js --role=worker")), Some("worker of node (7)".into()));
        assert_eq!(named(&process("node", "node a.js")), Some("node a.js".into()));
        assert_eq!(named(&process("ruby", "ruby a.rb --role=worker")), Some("ruby a.rb".into()));
    }

    #[test]
    fn include_and_exclude_decide_what_is_watched() {
        let settings = Processes {
            include: vec![Regex::new("^(?:node .*)$").unwrap()],
            exclude: vec![Regex::new("^(?:node b.js)$").unwrap()],
            ..Processes::default()
        };
        assert!(name(&process("node", "node a.js"), &settings).is_some());
        assert!(name(&process("node", "node b.js"), &settings).is_none());
        assert!(name(&process("bash", "bash"), &settings).is_none());
    }
}
