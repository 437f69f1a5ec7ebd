//! Which target a process belongs to: a rule that a user can guess, and change.
//!
//! The first of these that is known names it: a rule of the configuration, the systemd unit, the container, the script
//! of an interpreter, the executable. Session scopes and user managers are no units: what runs in a login session is
//! named after itself. The exporter's own container is the world to it, so the processes inside are told apart too.

use super::script;
use crate::{
    config::{NameSource, Processes, Rule},
    sample::TargetInfo,
};
use regex::Captures;

/// How much of a container's id is shown, as the container tools do.
const CONTAINER_ID_SHOWN: usize = 12;

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
    let wanted = settings.include.is_empty() || settings.include.iter().any(|regex| regex.is_match(&name));
    if !wanted || settings.exclude.iter().any(|regex| regex.is_match(&name)) {
        return None;
    }
    let info = TargetInfo {
        unit: process.unit.as_str().into(),
        container: process.container.as_str().into(),
        runtime: script::runtime(&process.executable).unwrap_or_default().into(),
    };
    Some((name, info))
}

fn by_source(source: NameSource, process: &Description, script: Option<&script::Script>) -> Option<String> {
    match source {
        NameSource::Unit => not_empty(&process.unit),
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

/// The unit and the container that a control group's path names, either empty if none.
///
/// The innermost service or scope counts, since units nest (`user@1000.service/app.slice/editor.service`).
#[must_use]
pub fn unit_and_container(cgroup_path: &str) -> (String, String) {
    let parts: Vec<&str> = cgroup_path.split('/').filter(|part| !part.is_empty()).collect();
    for (index, part) in parts.iter().enumerate().rev() {
        let parent = index.checked_sub(1).and_then(|parent| parts.get(parent)).copied().unwrap_or_default();
        if let Some(container) = container(part, parent) {
            return (String::new(), container);
        }
        if is_unit(part) {
            return ((*part).to_owned(), String::new());
        }
    }
    (String::new(), String::new())
}

/// Whether a part of the path is a unit that names what runs in it. A user's manager and a session hold whatever the
/// person started, and `init.scope` is systemd itself.
fn is_unit(part: &str) -> bool {
    let named = part.ends_with(".service") || part.ends_with(".scope");
    named && part != "init.scope" && !part.starts_with("user@") && !part.starts_with("session-")
}

/// The container that a part of the path names, as `engine/shortened-id`.
fn container(part: &str, parent: &str) -> Option<String> {
    let bare = part.strip_suffix(".scope").unwrap_or(part);
    let (prefix, id) = bare.rsplit_once(['-', ':']).unwrap_or(("", bare));
    if is_container_id(id) {
        let engine = match (prefix, parent) {
            ("", "docker") => "docker",
            ("", "crio") => "crio",
            ("", parent) if parent.starts_with("pod") || parent.contains("kubepods") => "pod",
            ("", _) => "container",
            ("cri-containerd", _) => "containerd",
            (named, _) => named.rsplit_once(':').map_or(named, |(_, engine)| engine),
        };
        return Some(format!("{engine}/{}", id.chars().take(CONTAINER_ID_SHOWN).collect::<String>()));
    }
    let lxc = part.strip_prefix("lxc.payload.").or_else(|| (parent == "lxc").then_some(part))?;
    Some(format!("lxc/{lxc}"))
}

/// Container engines use 64 hexadecimal digits.
fn is_container_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn the_path_names_the_innermost_unit_or_container() {
        for (path, unit, container) in [
            ("/", "", ""),
            ("/system.slice/nginx.service", "nginx.service", ""),
            ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", ""),
            ("/user.slice/user-1000.slice/session-3.scope", "", ""),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service", "editor.service", ""),
            ("/user.slice/user-1000.slice/user@1000.service/init.scope", "", ""),
            ("/init.scope", "", ""),
            ("/docker/ID", "", "docker/0123456789ab"),
            ("/system.slice/docker-ID.scope", "", "docker/0123456789ab"),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/cri-containerd-ID.scope",
                "",
                "containerd/0123456789ab",
            ),
            ("/kubepods/besteffort/pod1b2/ID", "", "pod/0123456789ab"),
            ("/machine.slice/libpod-ID.scope", "", "libpod/0123456789ab"),
            ("/lxc.payload.web/system.slice/nginx.service", "nginx.service", ""),
            ("/lxc/web", "", "lxc/web"),
            ("/system.slice/docker.service", "docker.service", ""),
        ] {
            let found = unit_and_container(&path.replace("ID", ID));
            assert_eq!(found, (unit.to_owned(), container.to_owned()), "{path}");
        }
    }

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
