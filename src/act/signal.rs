//! The one place that signals a process of the watched system, and only where the configuration names it.
//!
//! Node opens its inspector when it receives `SIGUSR1`; any other program would be ended by it. So it is looked at first:
//! whether it is the same process still, whether it is Node, and whether it catches that signal at all.

use crate::{
    collect::process::{parse, script},
    sample::Identity,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{fs, path::Path};

/// The bit of `SIGUSR1` in the masks of `status`.
const USR1_BIT: u64 = 1 << 9;
/// What Node is called among the runtimes.
const NODE: &str = "node";

/// Has a Node process open its inspector; the error follows "cannot wake its process: ".
///
/// # Errors
/// It is not there, is no Node, would be ended by the signal, or may not be signalled.
pub fn wake(procfs: &Path, identity: Identity) -> Result<(), String> {
    // Numbers of another namespace name other processes.
    let own = fs::read_link(procfs.join("self")).ok();
    if own.is_none_or(|own| own.to_string_lossy() != std::process::id().to_string()) {
        return Err(String::from("the exporter and the process are in different pid namespaces"));
    }
    let gone = || String::from("it has ended");
    let pid = i32::try_from(identity.pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
    // Held before the process is looked at: whatever happens to the pid then, this is the one that was looked at.
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|_error| gone())?;
    let directory = procfs.join(identity.pid.to_string());
    let read = |name: &str| fs::read_to_string(directory.join(name)).map_err(|_error| gone());
    if parse::start_ticks(&read("stat")?) != Some(identity.start_ticks) {
        return Err(gone());
    }
    let executable = fs::read_link(directory.join("exe")).unwrap_or_default();
    let name = executable.file_name().unwrap_or_default().to_string_lossy();
    if script::runtime(&name) != Some(NODE) {
        return Err(String::from("it does not run on Node, or its executable cannot be read"));
    }
    if !catches_usr1(&read("status")?) {
        return Err(String::from("it does not catch SIGUSR1, which would end it"));
    }
    pidfd_send_signal(process, Signal::USR1).map_err(|error| error.to_string())
}

fn catches_usr1(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & USR1_BIT != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_catches_the_signal_gets_it() {
        assert!(catches_usr1("Name:\tnode\nSigCgt:\t0000000108004602\n"));
        assert!(!catches_usr1("Name:\tsh\nSigCgt:\t0000000000010002\n"));
        assert!(!catches_usr1("Name:\tsh\n"));
    }

    #[test]
    fn nobody_but_node_is_signalled() {
        let procfs = Path::new("/proc");
        let own = Identity { pid: std::process::id(), start_ticks: 1 };
        assert_eq!(wake(procfs, own), Err("it has ended".into()), "another start is another process");
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let own = Identity { start_ticks: parse::start_ticks(&stat).unwrap(), ..own };
        assert!(wake(procfs, own).unwrap_err().contains("does not run on Node"));
        assert!(wake(Path::new("/absent"), own).unwrap_err().contains("namespaces"));
    }
}
