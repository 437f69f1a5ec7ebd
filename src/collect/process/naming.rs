//! Which target a process belongs to: a rule that a user can guess, and change.
//!
//! The first of these that is known names it: a rule of the configuration, the systemd unit, the container, the script
//! of an interpreter, the executable. Session scopes and user managers are no units: what runs in a login session is
//! named after itself. A unit inside of a container carries the container's name too, or two containers and the host
//! would share one target. The exporter's own container is the world to it, so the processes inside are told apart too.
//!
//! Names come from whoever starts processes. They end up in labels, logs and mails, so their length and characters are
//! bounded here.

use super::script;
use crate::{
    config::{NameSource, Processes, Rule},
    sample::TargetInfo,
};
use regex::Captures;

/// How much of a container's id is shown, as the container tools do.
const CONTAINER_ID_SHOWN: usize = 12;
/// Characters of the longest name: more than any unit needs that a person has named, little enough for a label.
const LONGEST_NAME: usize = 128;
/// What a clipped name ends in: `~` and eight digits.
const CLIPPED_MARK: usize = 9;

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
    let name = bounded(name);
    let wanted = settings.include.is_empty() || settings.include.iter().any(|regex| regex.is_match(&name));
    if !wanted || settings.exclude.iter().any(|regex| regex.is_match(&name)) {
        return None;
    }
    let info = TargetInfo {
        unit: bounded(process.unit.clone()).into(),
        container: bounded(process.container.clone()).into(),
        runtime: script::runtime(&process.executable).unwrap_or_default().into(),
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

/// A name without control characters and of [`LONGEST_NAME`] at most. What is clipped ends in a hash of the whole, so
/// that two of them stay apart; it is the same after a restart, or alerts would lose their targets.
fn bounded(name: String) -> String {
    if name.chars().count() <= LONGEST_NAME && !name.contains(char::is_control) {
        return name;
    }
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    if name.chars().count() <= LONGEST_NAME {
        return name.chars().map(printable).collect();
    }
    let kept: String = name.chars().take(LONGEST_NAME - CLIPPED_MARK).map(printable).collect();
    format!("{kept}~{:08x}", fnv1a(name.as_bytes()))
}

/// FNV-1a with 32 bits (Fowler, Noll, Vo), which unlike the standard library's hash never changes.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
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
/// The innermost service or scope counts, since units nest (`user@1000.service/app.slice/editor.service`). It belongs
/// to the container around it, if there is one; a unit around a container only runs it, and is left out.
#[must_use]
pub fn unit_and_container(cgroup_path: &str) -> (String, String) {
    let parts: Vec<&str> = cgroup_path.split('/').filter(|part| !part.is_empty()).collect();
    let mut unit = "";
    for (index, part) in parts.iter().enumerate().rev() {
        let parent = index.checked_sub(1).and_then(|parent| parts.get(parent)).copied().unwrap_or_default();
        if let Some(container) = container(part, parent) {
            return (unit.to_owned(), container);
        }
        if unit.is_empty() && is_unit(part) {
            unit = part;
        }
    }
    (unit.to_owned(), String::new())
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
            ("/lxc/web", "", "lxc/web"),
            ("/lxc/web.service", "", "lxc/web.service"),
            ("/lxc.payload.web/system.slice/nginx.service", "nginx.service", "lxc/web"),
            ("/lxc.payload.web/user.slice/user-0.slice/session-c1.scope", "", "lxc/web"),
            ("/lxc.payload.web/init.scope", "", "lxc/web"),
            ("/lxc.payload.web/system.slice/docker-ID.scope", "", "docker/0123456789ab"),
            ("/docker/ID/system.slice/nginx.service", "nginx.service", "docker/0123456789ab"),
            (
                "/machine.slice/libpod-ID.scope/container/system.slice/app.service",
                "app.service",
                "libpod/0123456789ab",
            ),
            ("/system.slice/containerd.service/docker/ID", "", "docker/0123456789ab"),
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
    fn names_are_bounded_and_stay_apart() {
        let long = |last: &str| format!("{}{last}", "ä".repeat(200));
        for (raw, expected) in [
            ("nginx.service".to_owned(), "nginx.service".to_owned()),
            (String::new(), String::new()),
            ("a\nb\u{1b}[31m\u{85}".to_owned(), "a\u{fffd}b\u{fffd}[31m\u{fffd}".to_owned()),
            ("é".repeat(128), "é".repeat(128)),
            (long("1"), format!("{}~e0a5af5c", "ä".repeat(119))),
            (long("2"), format!("{}~e3a5b415", "ä".repeat(119))),
            (long("\n"), format!("{}~bba5751d", "ä".repeat(119))),
        ] {
            assert_eq!(bounded(raw.clone()), expected, "{raw:?}");
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
