//! What Kubernetes calls pods and containers: from the directories in which the kubelet keeps their logs.
//!
//! The kernel knows only the uid of a pod and the id of a container. On each node the kubelet keeps
//! `/var/log/pods/NAMESPACE_POD_UID` and links `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log`, whose names alone are
//! read: no connection and no secret is needed, and where there is no kubelet there is nothing to find. The names are
//! those of the domain name system, without underscores, so that they come apart again.

use super::names::{CONTAINER_ID_SHOWN, bounded};
use crate::sample::{Member, Seconds, TargetInfo};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The directories are not read more often than this, in seconds, however many are looked for in vain.
const LEAST_BETWEEN_SECS: f64 = 10.0;
/// Entries of a directory that are looked at: a node has some hundred pods, and links of dead containers beside theirs.
const MOST_ENTRIES: usize = 20_000;

/// The names that the kubelet of this machine gives.
pub(super) struct Kubernetes {
    pods_at: PathBuf,
    containers_at: PathBuf,
    read_at: Seconds,
    /// Pods by their uid.
    pods: HashMap<Box<str>, Pod>,
    /// The container's name by the first digits of its id.
    containers: HashMap<Box<str>, Box<str>>,
}

/// What a pod is called.
struct Pod {
    namespace: Box<str>,
    name: Box<str>,
}

impl Kubernetes {
    /// The names on the machine whose root directory this is.
    pub(super) fn of_machine(rootfs: &Path) -> Self {
        Self {
            pods_at: rootfs.join("var/log/pods"),
            containers_at: rootfs.join("var/log/containers"),
            read_at: f64::NEG_INFINITY,
            pods: HashMap::new(),
            containers: HashMap::new(),
        }
    }

    /// Writes what is known of its pod and its container into `info`; says whether that is new. Asks the directories
    /// again where something is missing, since a container has its name a moment after its start.
    pub(super) fn name(&mut self, info: &mut TargetInfo, at: Seconds) -> bool {
        if !lacks_names(info) {
            return false;
        }
        let found = self.put(info);
        if lacks_names(info) && at - self.read_at >= LEAST_BETWEEN_SECS {
            self.read_at = at;
            self.read();
            return self.put(info) || found;
        }
        found
    }

    /// Does so for a member that was met before its names were there.
    pub(super) fn name_member(&mut self, member: &mut Arc<Member>, at: Seconds) {
        if !lacks_names(&member.info) {
            return;
        }
        let mut info = member.info.clone();
        if self.name(&mut info, at) {
            *member = Arc::new(member.with_info(info));
        }
    }

    fn put(&self, info: &mut TargetInfo) -> bool {
        let before = (info.namespace.is_empty(), info.container_name.is_empty());
        if let Some(Pod { namespace, name }) = self.pods.get(&info.pod_uid) {
            info.namespace.clone_from(namespace);
            info.pod.clone_from(name);
            info.workload = workload(name).into();
        }
        let id = info.container.rsplit_once('/').map(|(_, id)| id);
        if let Some(name) = id.and_then(|id| self.containers.get(id)) {
            info.container_name.clone_from(name);
        }
        before != (info.namespace.is_empty(), info.container_name.is_empty())
    }

    fn read(&mut self) {
        self.pods = entries(&self.pods_at).filter_map(|name| pod(&name)).collect();
        self.containers = entries(&self.containers_at).filter_map(|name| container(&name)).collect();
    }
}

/// What a pod belongs to, by its name: a set of numbered pods, a deployment, a job that runs again and again, or another set.
fn workload(pod: &str) -> &str {
    // Names that Kubernetes makes up use neither vowels nor what looks like another letter.
    let is_made_up = |part: &str| part.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte));
    let Some((before, last)) = pod.rsplit_once('-') else { return pod };
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) && last.len() < 5 {
        return before;
    }
    if last.len() != 5 || !is_made_up(last) {
        return pod;
    }
    match before.rsplit_once('-') {
        // A deployment's revision, or the minute of a job that runs again and again.
        Some((name, revision)) if (8..=10).contains(&revision.len()) && is_made_up(revision) => name,
        Some((name, minute)) if minute.len() == 8 && minute.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => before,
    }
}

/// Whether it belongs to a pod and a name of that is missing.
fn lacks_names(info: &TargetInfo) -> bool {
    let lacks_container = !info.container.is_empty() && info.container_name.is_empty();
    !info.pod_uid.is_empty() && (info.namespace.is_empty() || lacks_container)
}

/// The names in a directory; none where it cannot be read, as on every machine without a kubelet.
fn entries(directory: &Path) -> impl Iterator<Item = String> {
    let read = match fs::read_dir(directory) {
        Ok(read) => Some(read),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            let directory = directory.display();
            tracing::debug!(%directory, %error, "the names of pods and containers are not known");
            None
        }
    };
    let entries = read.into_iter().flatten().take(MOST_ENTRIES).filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// A pod and its uid, out of `NAMESPACE_POD_UID`.
fn pod(directory: &str) -> Option<(Box<str>, Pod)> {
    let (names, uid) = directory.rsplit_once('_')?;
    let (namespace, name) = names.split_once('_')?;
    Some((uid.into(), Pod { namespace: shown(namespace), name: shown(name) }))
}

/// The first digits of a container's id and its name, out of `POD_NAMESPACE_CONTAINER-ID.log`.
fn container(link: &str) -> Option<(Box<str>, Box<str>)> {
    let (names, id) = link.strip_suffix(".log")?.rsplit_once('-')?;
    let (_, name) = names.rsplit_once('_')?;
    Some((id.get(..CONTAINER_ID_SHOWN)?.into(), shown(name)))
}

fn shown(name: &str) -> Box<str> {
    bounded(name.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const UID: &str = "01234567-89ab-cdef-0123-456789abcdef";
    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn info(pod_uid: &str, container: &str) -> TargetInfo {
        TargetInfo { pod_uid: pod_uid.into(), container: container.into(), ..TargetInfo::default() }
    }

    fn names(info: &TargetInfo) -> [&str; 3] {
        [&info.namespace, &info.pod, &info.container_name]
    }

    #[test]
    fn names_come_out_of_the_kubelets_directories() {
        for (directory, expected) in [
            ("shop_cart-5d4f-x2x_UID", Some(("UID", ("shop", "cart-5d4f-x2x")))),
            ("shop_UID", None),
            ("lost+found", None),
        ] {
            let found = pod(directory);
            let found = found.as_ref().map(|(uid, pod)| (&**uid, (&*pod.namespace, &*pod.name)));
            assert_eq!(found, expected, "{directory}");
        }
        for (link, expected) in [
            ("cart-5d4f-x2x_shop_web-server-ID.log", Some(("0123456789ab", "web-server"))),
            ("cart_shop_web.log", None),
            ("cart_shop_web-short.log", None),
            ("cart_shop_web-ID", None),
        ] {
            let found = container(&link.replace("ID", ID));
            assert_eq!(found.as_ref().map(|(id, name)| (&**id, &**name)), expected, "{link}");
        }
    }

    #[test]
    fn a_container_has_its_name_as_soon_as_the_kubelet_links_it() {
        let root = std::env::temp_dir().join(format!("memleak-kubernetes-{}", std::process::id()));
        let logs = root.join("var/log");
        let mut kubernetes = Kubernetes::of_machine(&root);
        let mut web = info(UID, "containerd/0123456789ab");
        assert!(!kubernetes.name(&mut web, 0.0), "no kubelet");
        fs::create_dir_all(logs.join(format!("pods/shop_cart-0_{UID}"))).unwrap();
        assert!(!kubernetes.name(&mut web, 1.0), "not asked again so soon");
        assert!(kubernetes.name(&mut web, 10.0));
        assert_eq!(names(&web), ["shop", "cart-0", ""]);
        fs::create_dir_all(logs.join("containers")).unwrap();
        symlink("/nowhere", logs.join(format!("containers/cart-0_shop_web-{ID}.log"))).unwrap();
        assert!(kubernetes.name(&mut web, 20.0));
        assert_eq!(names(&web), ["shop", "cart-0", "web"]);
        assert!(!kubernetes.name(&mut web, 30.0), "nothing is missing");
        let mut pod = info(UID, "");
        assert!(kubernetes.name(&mut pod, 30.0));
        assert_eq!(names(&pod), ["shop", "cart-0", ""]);
        assert!(!kubernetes.name(&mut info("", "docker/0123456789ab"), 60.0), "in no pod");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_pod_tells_what_it_belongs_to() {
        for (pod, expected) in [
            ("checkout-7d9c5b6f4d-x2x9z", "checkout"),
            ("web-front-5f7b9d8c4-abcde", "web-front-5f7b9d8c4-abcde"),
            ("web-front-5f7b9d8c4-bc2de", "web-front-5f7b9d8c4-bc2de"),
            ("web-front-5f7b9d8c4-bc2df", "web-front"),
            ("node-agent-k8s4z", "node-agent"),
            ("postgres-0", "postgres"),
            ("postgres-12", "postgres"),
            ("nightly-28934421-r4zsv", "nightly"),
            ("alone", "alone"),
            ("my-tool", "my-tool"),
            ("-", "-"),
        ] {
            assert_eq!(workload(pod), expected, "{pod}");
        }
    }
}
