//! Where the real peers are. One that is missing fails the test that needs it, by name.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

/// The path of an installed peer.
pub(crate) fn program(name: &str) -> PathBuf {
    let peers = directory();
    [peers.join("bin").join(name), peers.join("venv/bin").join(name)]
        .into_iter()
        .find(|path| Path::is_file(path))
        .or_else(|| on_path(name))
        .unwrap_or_else(|| panic!("the peer {name} is missing: tests/peers/install provides it"))
}

/// Where tests/peers/install put them.
pub(crate) fn directory() -> PathBuf {
    std::env::var_os("MEMLEAK_TEST_PEERS").map_or_else(
        || panic!("MEMLEAK_TEST_PEERS is not set: run tests/run, or tests/peers/install and set it"),
        PathBuf::from,
    )
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// A port of this machine that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("just bound").port()
}
