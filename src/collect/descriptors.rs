//! How many files the collectors may keep open: one for each process and control group needs more than the usual 1024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that stay free for the rest of the exporter: sockets, logs, files being read.
const RESERVED: u64 = 256;
/// The share of the processes, of the ones that are left.
pub(super) const OF_PROCESSES: f64 = 0.75;
/// The share of the control groups.
pub(super) const OF_GROUPS: f64 = 0.25;

/// How many files may be kept open by whoever has this share.
#[expect(clippy::cast_precision_loss, reason = "nobody keeps 2^53 files open")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count, rounded down"
)]
pub(super) fn most_kept(share: f64) -> u64 {
    (raise_limit().saturating_sub(RESERVED) as f64 * share) as u64
}

/// Raises our own soft limit on descriptors to the hard one and returns what is in force.
fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current.unwrap_or(u64::MAX),
        Err(_refused) => limit.current.unwrap_or(u64::MAX),
    }
}
