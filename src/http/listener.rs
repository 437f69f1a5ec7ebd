//! Takes the listening addresses, before anything else of the program runs.
//!
//! `:PORT` is every address of the machine: IPv6 and IPv4 on one socket where the kernel maps them, on two where it
//! does not, IPv4 alone where there is no IPv6.

use super::{Door, ListenOptions, serve::Limits, site::Site};
use anyhow::{Context as _, anyhow, bail, ensure};
use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs},
};

/// The flags that name addresses.
const WEB_FLAG: &str = "--web.listen-address";
const OTLP_FLAG: &str = "--otlp.listen-address";

/// Listening sockets that nobody serves yet; clients already queue there.
#[derive(Debug)]
pub struct Bound {
    pub(super) listeners: Vec<TcpListener>,
    /// For OTLP over gRPC.
    pub(super) otlp_listeners: Vec<TcpListener>,
    pub(super) options: ListenOptions,
    pub(super) site: Site,
    pub(super) limits: Limits,
    pub(super) door: Door,
}

/// Checks the options and takes the addresses.
///
/// # Errors
///
/// Names the flag that is wrong, or the address that could not be taken with the cause and what to do.
pub fn bind(options: &ListenOptions) -> anyhow::Result<Bound> {
    check_addresses(options)?;
    let site = Site::new(options)?;
    let listeners =
        if options.systemd_socket { from_systemd()? } else { from_addresses(&options.addresses, WEB_FLAG)? };
    let otlp_listeners = from_addresses(&options.otlp_addresses, OTLP_FLAG)?;
    for listener in listeners.iter().chain(&otlp_listeners) {
        listener.set_nonblocking(true).context("cannot prepare a listening socket")?;
    }
    Ok(Bound {
        listeners,
        otlp_listeners,
        options: options.clone(),
        site,
        limits: Limits::default(),
        door: Door::default(),
    })
}

impl Bound {
    /// Puts a door before everything that is served.
    #[must_use]
    pub fn behind(self, door: Door) -> Self {
        Self { door, ..self }
    }

    /// Where OTLP over gRPC is taken in, with the real port where port 0 was asked for.
    #[must_use]
    pub fn otlp_addresses(&self) -> Vec<SocketAddr> {
        self.otlp_listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// The addresses taken, with the real port where port 0 was asked for.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }
}

/// Checks the form of the addresses.
///
/// # Errors
///
/// Names the address and the forms that are understood.
pub(super) fn check_addresses(options: &ListenOptions) -> anyhow::Result<()> {
    ensure!(
        options.systemd_socket || !options.addresses.is_empty(),
        "there is no address to listen on: give one with --web.listen-address, such as :10099"
    );
    let of_flag = |addresses: &[String], flag: &str| {
        addresses.iter().try_for_each(|address| Address::parse(address, flag).map(drop))
    };
    of_flag(&options.addresses, WEB_FLAG)?;
    of_flag(&options.otlp_addresses, OTLP_FLAG)
}

/// An address as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    /// `:PORT`.
    Every(u16),
    /// `HOST:PORT` or `[IPv6]:PORT`, without the brackets.
    Host(String, u16),
}

impl Address {
    fn parse(written: &str, flag: &str) -> anyhow::Result<Self> {
        let wrong = |why: &str| {
            anyhow!("{flag} {written:?} {why}: write :PORT, HOST:PORT or [IPv6]:PORT, such as :10099")
        };
        let (host, port) = written.rsplit_once(':').ok_or_else(|| wrong("names no port"))?;
        let port: u16 = port
            .parse()
            .ok()
            .filter(|_| !port.starts_with('+'))
            .ok_or_else(|| wrong("has a port that is not a number from 0 to 65535"))?;
        if host.is_empty() {
            return Ok(Self::Every(port));
        }
        if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inner.parse::<Ipv6Addr>().map_err(|_not_one| wrong("has no IPv6 address in its brackets"))?;
            return Ok(Self::Host(inner.to_owned(), port));
        }
        if host.contains(':') {
            return Err(wrong("has an IPv6 address without brackets"));
        }
        if host.contains(|c: char| c.is_whitespace() || c == '/' || c == '[' || c == ']') {
            return Err(wrong("has a host that is not a name"));
        }
        Ok(Self::Host(host.to_owned(), port))
    }
}

fn from_addresses(written: &[String], flag: &str) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for text in written {
        let taken = match Address::parse(text, flag)? {
            Address::Every(port) => every_address(port),
            Address::Host(host, port) => named_address(&host, port),
        };
        listeners.extend(taken.map_err(|cause| cannot_listen(text, flag, cause))?);
    }
    Ok(listeners)
}

fn cannot_listen(address: &str, flag: &str, cause: io::Error) -> anyhow::Error {
    let advice = match cause.kind() {
        ErrorKind::AddrInUse => {
            "another program, perhaps another exporter, listens there: stop it, or choose another port with"
        }
        ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose a higher one with",
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address: choose one of its own, or :PORT for all, with"
        }
        _ => "check",
    };
    anyhow::Error::new(cause).context(format!("cannot listen on {address} ({advice} {flag})"))
}

fn every_address(port: u16) -> io::Result<Vec<TcpListener>> {
    let listener = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Err(error) if !is_taken_or_forbidden(&error) => {
            return Ok(vec![TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?]);
        }
        tried => tried?,
    };
    // Where the kernel keeps IPv4 apart (net.ipv6.bindv6only), the same port is still free there; where it maps IPv4
    // onto the first socket, it is not, and nothing is missing.
    let port = listener.local_addr()?.port();
    let apart = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).ok();
    Ok([Some(listener), apart].into_iter().flatten().collect())
}

/// Takes every address that the host's name stands for. Those that this machine lacks are left out, such as `::1` of
/// `localhost` where there is no IPv6, as long as one remains.
fn named_address(host: &str, port: u16) -> io::Result<Vec<TcpListener>> {
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    addresses.sort();
    addresses.dedup();
    all_of(addresses)
}

fn all_of(addresses: Vec<SocketAddr>) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut missing = io::Error::new(ErrorKind::AddrNotAvailable, "the name has no address");
    for mut address in addresses {
        if let Some(first) = listeners.first() {
            address.set_port(first.local_addr()?.port());
        }
        match TcpListener::bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_taken_or_forbidden(&error) => return Err(error),
            Err(error) => missing = error,
        }
    }
    if listeners.is_empty() { Err(missing) } else { Ok(listeners) }
}

/// Whether the address exists and cannot be had, so that another one in its place would hide the trouble.
fn is_taken_or_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

fn from_systemd() -> anyhow::Result<Vec<TcpListener>> {
    let mut handed_over = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..handed_over.len() {
        let listener = handed_over.take_tcp_listener(index).with_context(|| {
            format!("socket {index} from systemd cannot be used: it must be a ListenStream= of TCP")
        })?;
        listeners.extend(listener);
    }
    if listeners.is_empty() {
        bail!(
            "--web.systemd-socket is given, but systemd handed over no socket: start the exporter by its .socket \
             unit, or use --web.listen-address"
        );
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(addresses: &[&str]) -> ListenOptions {
        ListenOptions {
            addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
            ..ListenOptions::default()
        }
    }

    #[test]
    fn addresses_are_read_in_three_forms() {
        for (written, expected) in [
            (":10099", Address::Every(10099)),
            ("localhost:0", Address::Host("localhost".into(), 0)),
            ("192.0.2.1:80", Address::Host("192.0.2.1".into(), 80)),
            ("[::1]:65535", Address::Host("::1".into(), 65535)),
        ] {
            assert_eq!(Address::parse(written, WEB_FLAG).unwrap(), expected);
        }
    }

    #[test]
    fn an_address_that_cannot_be_meant_is_refused_in_words() {
        for (written, part) in [
            ("10099", "names no port"),
            ("", "names no port"),
            (":", "not a number"),
            (":65536", "not a number"),
            (":+80", "not a number"),
            ("localhost:http", "not a number"),
            ("::1:80", "without brackets"),
            ("[::1]", "not a number"),
            ("[localhost]:80", "no IPv6 address in its brackets"),
            ("http://localhost:80", "without brackets"),
            ("a b:80", "not a name"),
        ] {
            let error = options(&[written]).check().expect_err(written).to_string();
            assert!(error.contains(part) && error.contains(&format!("{written:?}")), "{error}");
        }
        assert!(options(&[]).check().unwrap_err().to_string().contains("no address to listen on"));
    }

    #[test]
    fn every_address_answers_on_both_families() {
        let bound = bind(&options(&[":0"])).unwrap();
        let port = bound.local_addresses()[0].port();
        assert_ne!(port, 0);
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        if bound.local_addresses()[0].is_ipv6() {
            assert!(std::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok());
        }
    }

    #[test]
    fn a_taken_port_is_named_with_the_cause_and_what_to_do() {
        let first = bind(&options(&["127.0.0.1:0"])).unwrap();
        let address = first.local_addresses()[0].to_string();
        for written in [address, format!("localhost:{}", first.local_addresses()[0].port())] {
            let error = format!("{:#}", bind(&options(&[&written])).unwrap_err());
            assert!(error.contains(&format!("cannot listen on {written}")), "{error}");
            assert!(error.contains("another program") && error.contains("in use"), "{error}");
        }
        let error = format!("{:#}", bind(&options(&["192.0.2.1:0"])).unwrap_err());
        assert!(error.contains("no such address"), "{error}");
    }

    #[test]
    fn a_name_with_several_addresses_has_one_port_and_hides_no_trouble() {
        let addresses = |texts: [&str; 2]| texts.map(|text| text.parse().unwrap()).to_vec();
        let both = all_of(addresses(["127.0.0.1:0", "127.0.0.2:0"])).unwrap();
        let ports: Vec<u16> = both.iter().map(|one| one.local_addr().unwrap().port()).collect();
        assert_eq!(ports, [ports[0]; 2]);
        assert_eq!(all_of(addresses(["192.0.2.1:0", "127.0.0.1:0"])).unwrap().len(), 1, "one is not ours");
        let taken = format!("127.0.0.1:{}", ports[0]);
        let error = all_of(addresses([&taken, "127.0.0.3:0"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn several_addresses_are_all_taken() {
        let bound = bind(&options(&["127.0.0.1:0", "127.0.0.2:0"])).unwrap();
        assert_eq!(bound.local_addresses().len(), 2);
    }

    #[test]
    fn without_a_socket_from_systemd_the_error_says_how_to_start() {
        let from_systemd = ListenOptions { systemd_socket: true, ..options(&[]) };
        let error = bind(&from_systemd).unwrap_err().to_string();
        assert!(error.contains("handed over no socket"), "{error}");
    }
}
