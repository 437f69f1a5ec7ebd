//! What the descriptors of a process are: the kernel's links say it of all but sockets.

/// What was not looked at.
pub(super) const UNREAD: &str = "unread";
/// What is none of the others.
const OTHER: &str = "other";

/// What a link in `/proc/PID/fd` points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// A socket, by its number.
    Socket(u64),
    /// Anything else, as the part it belongs to.
    Kind(&'static str),
}

/// Understands a link.
pub(super) fn link(text: &[u8]) -> Link {
    let anonymous = text.strip_prefix(b"anon_inode:").map(|name| name.strip_prefix(b"[").unwrap_or(name));
    if let Some(name) = anonymous {
        let kinds =
            [("eventfd", "eventfd"), ("eventpoll", "epoll"), ("inotify", "inotify"), ("timerfd", "timerfd")];
        let known = kinds.iter().find(|(word, _)| name.starts_with(word.as_bytes()));
        return Link::Kind(known.map_or(OTHER, |(_, kind)| kind));
    }
    if let Some(socket) = text.strip_prefix(b"socket:[") {
        return number(socket).map_or(Link::Kind(OTHER), Link::Socket);
    }
    let begins = |prefix: &str| text.starts_with(prefix.as_bytes());
    let kind = match () {
        () if begins("pipe:[") => "pipe",
        () if begins("/memfd:") => "memfd",
        () if begins("/dev/") && !begins("/dev/shm/") => "device",
        () if begins("/") => "file",
        () => OTHER,
    };
    Link::Kind(kind)
}

/// The digits before the closing bracket.
fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.strip_suffix(b"]")?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_tell_what_a_descriptor_is() {
        for (text, kind) in [
            ("/var/log/a b.log", "file"),
            ("/tmp/x (deleted)", "file"),
            ("/dev/shm/x", "file"),
            ("/dev/null", "device"),
            ("/memfd:x (deleted)", "memfd"),
            ("pipe:[17]", "pipe"),
            ("anon_inode:[eventfd]", "eventfd"),
            ("anon_inode:[eventpoll]", "epoll"),
            ("anon_inode:inotify", "inotify"),
            ("anon_inode:[inotify]", "inotify"),
            ("anon_inode:[timerfd]", "timerfd"),
            ("anon_inode:[perf_event]", "other"),
            ("pidfd:[3]", "other"),
            ("socket:[x]", "other"),
            ("", "other"),
        ] {
            assert_eq!(link(text.as_bytes()), Link::Kind(kind), "{text}");
        }
        assert_eq!(link(b"socket:[4711]"), Link::Socket(4711));
    }
}
