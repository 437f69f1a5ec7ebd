//! Names out of the paths of control groups: systemd units, containers, Kubernetes pods.
//!
//! Names come from whoever starts programs. They end up in labels, logs and mails, so their length and characters are
//! bounded here.

use crate::sample::TargetInfo;

/// How much of a container's id is shown, as the container tools do.
const CONTAINER_ID_SHOWN: usize = 12;
/// Characters of the longest name: more than any unit needs that a person has named, little enough for a label.
pub(super) const LONGEST_NAME: usize = 128;
/// What a clipped name ends in: `~` and eight digits.
const CLIPPED_MARK: usize = 9;

/// The lengths of a pod's uid: of one that the cluster gave, and of a static pod's, which is a hash.
const POD_UID_LENGTHS: [usize; 2] = [36, 32];

/// A name without control characters and of [`LONGEST_NAME`] at most. What is clipped ends in a hash of the whole, so
/// that two of them stay apart; it is the same after a restart, or alerts would lose their targets.
pub(super) fn bounded(name: String) -> String {
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

/// The unit and the container that a control group's path names, either empty if none.
///
/// The innermost service or scope counts, since units nest (`user@1000.service/app.slice/editor.service`). It belongs
/// to the container around it, if there is one; a unit around a container only runs it, and is left out.
#[must_use]
pub fn unit_and_container(cgroup_path: &str) -> (String, String) {
    let (named, _) = find(cgroup_path);
    (named.unit.to_owned(), named.container)
}

/// What a path names.
#[derive(Debug, Default)]
struct Named<'a> {
    unit: &'a str,
    container: String,
}

/// What a path names, and the number of its parts up to the innermost that does.
fn find(cgroup_path: &str) -> (Named<'_>, usize) {
    let parts: Vec<&str> = parts(cgroup_path).collect();
    let mut named = Named::default();
    let mut depth = 0;
    for (index, part) in parts.iter().enumerate().rev() {
        let parent = index.checked_sub(1).and_then(|parent| parts.get(parent)).copied().unwrap_or_default();
        if let Some(container) = container(part, parent) {
            named.container = container;
            return (named, depth.max(index + 1));
        }
        if named.unit.is_empty() && is_unit(part) {
            named.unit = part;
            depth = index + 1;
        }
    }
    (named, depth)
}

fn parts(cgroup_path: &str) -> impl Iterator<Item = &str> {
    cgroup_path.split('/').filter(|part| !part.is_empty())
}

/// The uid of the Kubernetes pod that a path leads into, empty if none; with it the number of parts up to the pod.
fn find_pod(cgroup_path: &str) -> (String, usize) {
    let mut is_below_kubepods = false;
    for (index, part) in parts(cgroup_path).enumerate() {
        let bare = part.strip_suffix(".slice").unwrap_or(part);
        let id = bare.strip_prefix("pod").or_else(|| bare.rsplit_once("-pod").map(|(_, id)| id));
        is_below_kubepods |= bare.contains("kubepods");
        let is_uid = |id: &&str| {
            POD_UID_LENGTHS.contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-' || byte == b'_')
        };
        if let Some(id) = id.filter(|_| is_below_kubepods).filter(is_uid) {
            return (id.replace('_', "-"), index + 1);
        }
    }
    (String::new(), 0)
}

/// The uid of the Kubernetes pod that a control group's path leads into, empty if none.
#[must_use]
pub fn pod_uid(cgroup_path: &str) -> String {
    find_pod(cgroup_path).0
}

/// The name of a control group as a target, and what else its path tells.
///
/// A unit and a container have the names that their processes have; what lies below them in the path is appended, since
/// a group inside of another is another target. A pod is named by its uid, everything else by its path.
#[must_use]
pub fn group(cgroup_path: &str) -> (String, TargetInfo) {
    let (Named { unit, container }, depth) = find(cgroup_path);
    let (pod_uid, pod_depth) = find_pod(cgroup_path);
    let (name, depth) = match (container.as_str(), unit) {
        ("", "") if pod_uid.is_empty() => (String::new(), 0),
        ("", "") => (format!("pod/{pod_uid}"), pod_depth),
        ("", unit) => (unit.to_owned(), depth),
        (container, "") => (container.to_owned(), depth),
        (container, unit) => (format!("{container} {unit}"), depth),
    };
    let mut name = name;
    for part in parts(cgroup_path).skip(depth) {
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(part);
    }
    if name.is_empty() {
        name.push('/');
    }
    let info = TargetInfo {
        unit: bounded(unit.to_owned()).into(),
        container: bounded(container).into(),
        pod_uid: pod_uid.into(),
        runtime: "".into(),
    };
    (bounded(name), info)
}

/// Whether the last part of a path is what names it: a unit, a container or a pod, and no group inside of one.
#[must_use]
pub fn is_named(cgroup_path: &str) -> bool {
    let depth = find(cgroup_path).1.max(find_pod(cgroup_path).1);
    depth > 0 && depth == parts(cgroup_path).count()
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

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "01234567-89ab-cdef-0123-456789abcdef";

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
    fn a_group_is_named_after_its_unit_container_or_pod_and_what_lies_below() {
        let underscored = UID.replace('-', "_");
        for (path, name, is_it) in [
            ("/", "/", false),
            ("/system.slice", "system.slice", false),
            ("/system.slice/nginx.service", "nginx.service", true),
            ("/system.slice/nginx.service/workers/1", "nginx.service/workers/1", false),
            (
                "/user.slice/user-1000.slice/session-3.scope",
                "user.slice/user-1000.slice/session-3.scope",
                false,
            ),
            ("/system.slice/docker-ID.scope", "docker/0123456789ab", true),
            ("/docker/ID/system.slice/nginx.service", "docker/0123456789ab nginx.service", true),
            ("/docker/ID/system.slice", "docker/0123456789ab/system.slice", false),
            ("/machine.slice/libpod-ID.scope/container", "libpod/0123456789ab/container", false),
            ("/kubepods/burstable/podUID", "pod/UID", true),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUNDERSCORED.slice",
                "pod/UID",
                true,
            ),
            ("/kubepods.slice/kubepods-podUNDERSCORED.slice", "pod/UID", true),
            ("/kubepods.slice/kubepods-podUNDERSCORED.slice/sandbox", "pod/UID/sandbox", false),
            (
                "/kubepods.slice/kubepods-podUNDERSCORED.slice/cri-containerd-ID.scope",
                "containerd/0123456789ab",
                true,
            ),
            ("/kubepods/besteffort/podUID/crio-ID", "crio/0123456789ab", true),
            ("/kubepods/besteffort", "kubepods/besteffort", false),
            ("/podcasts/podUID", "podcasts/podUID", false),
        ] {
            let full = |text: &str| {
                text.replace("UNDERSCORED", &underscored)
                    .replace("podUID", &format!("pod{UID}"))
                    .replace("ID", ID)
            };
            let path = full(path);
            let expected = name.replace("pod/UID", &format!("pod/{UID}"));
            assert_eq!((group(&path).0, is_named(&path)), (full(&expected), is_it), "{path}");
            let has_pod = path.contains("kubepods") && path.contains("01234567");
            assert_eq!(&*group(&path).1.pod_uid, if has_pod { UID } else { "" }, "{path}");
        }
        assert_eq!(
            pod_uid("/kubepods/pod0123456789abcdef0123456789abcdef/x"),
            "0123456789abcdef0123456789abcdef"
        );
        assert_eq!(pod_uid("/kubepods/podnonsense"), "");
    }
}
