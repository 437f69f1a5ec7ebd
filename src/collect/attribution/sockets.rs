//! Whom the sockets of a process talk to, by the tables in `/proc/PID/net`: those of the process's own network
//! namespace, which a question by netlink would not be.
//!
//! A connection is named after the service that usually listens on the port of its peer; one that came in through a
//! listening port is `socket_accepted`, whatever it speaks. What is spoken inside is not visible: a web-socket is a
//! connection by http or https, or an accepted one.

use std::collections::{HashMap, HashSet};

/// A socket that is in no table: of another family, or of TCP before it is connected.
pub(super) const OTHER: &str = "socket_other";
const TCP: &str = "socket_tcp";
const UDP: &str = "socket_udp";
const UNIX: &str = "socket_unix";
const LISTENING: &str = "socket_listening";
const ACCEPTED: &str = "socket_accepted";

/// The state of a socket that listens, as the table writes it.
const STATE_LISTEN: &str = "0A";

/// The ports that services usually listen on: those that IANA registered for them, and the habits of their packages.
const SERVICES: &[(&str, &[u16])] = &[
    ("socket_postgres", &[5432, 5433, 6432]),
    ("socket_mysql", &[3306, 33060]),
    ("socket_mssql", &[1433]),
    ("socket_oracle", &[1521]),
    ("socket_redis", &[6379, 6380, 16379, 26379]),
    ("socket_memcached", &[11211]),
    ("socket_mongodb", &[27017, 27018, 27019]),
    ("socket_cassandra", &[9042, 9142]),
    ("socket_elasticsearch", &[9200, 9300]),
    ("socket_kafka", &[9092, 9093, 9094]),
    ("socket_amqp", &[5671, 5672]),
    ("socket_nats", &[4222]),
    ("socket_mqtt", &[1883, 8883]),
    ("socket_zookeeper", &[2181]),
    ("socket_etcd", &[2379]),
    ("socket_ldap", &[389, 636]),
    ("socket_smtp", &[25, 465, 587]),
    ("socket_dns", &[53, 853]),
    ("socket_otlp", &[4317, 4318]),
    ("socket_http", &[80, 3000, 8000, 8008, 8080, 8081, 8888]),
    ("socket_https", &[443, 8443]),
];

/// A table of the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Tcp,
    Udp,
    Unix,
}

/// All tables by their files, below the directory of the process. Unix sockets come last: there are the most of them.
pub(super) const TABLES: [(&str, Table); 5] = [
    ("net/tcp", Table::Tcp),
    ("net/tcp6", Table::Tcp),
    ("net/udp", Table::Udp),
    ("net/udp6", Table::Udp),
    ("net/unix", Table::Unix),
];

/// What is known of some sockets of one process.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// Those that were not found yet, by their numbers.
    pub(super) wanted: HashSet<u64>,
    /// How many there are of each sort, and how many bytes wait in their buffers.
    pub(super) found: HashMap<&'static str, (u64, u64)>,
    listening: HashSet<u16>,
}

impl Sockets {
    /// Takes in a line of a table. What makes no sense is passed over.
    pub(super) fn line(&mut self, line: &[u8], table: Table) {
        let Ok(line) = std::str::from_utf8(line) else { return };
        let mut fields = line.split_ascii_whitespace();
        match table {
            Table::Unix => {
                let Some(inode) = fields.nth(6).and_then(|inode| inode.parse().ok()) else { return };
                self.count(inode, UNIX, 0);
            }
            Table::Tcp | Table::Udp => {
                let Some(row) = Row::read(fields) else { return };
                if table == Table::Tcp && row.listens {
                    // Those that listen come first in the table.
                    self.listening.insert(row.local_port);
                }
                let sort = match table {
                    Table::Udp => service(row.peer_port).unwrap_or(UDP),
                    _ if row.listens => LISTENING,
                    _ if self.listening.contains(&row.local_port) => ACCEPTED,
                    _ => service(row.peer_port).unwrap_or(TCP),
                };
                self.count(row.inode, sort, row.waiting_bytes);
            }
        }
    }

    fn count(&mut self, inode: u64, sort: &'static str, waiting_bytes: u64) {
        if self.wanted.remove(&inode) {
            let (sockets, bytes) = self.found.entry(sort).or_default();
            *sockets += 1;
            *bytes += waiting_bytes;
        }
    }
}

/// What a line of a table of TCP or UDP says.
struct Row {
    local_port: u16,
    peer_port: u16,
    listens: bool,
    /// Sent and not acknowledged, and received and not read.
    waiting_bytes: u64,
    inode: u64,
}

impl Row {
    fn read<'a>(mut fields: impl Iterator<Item = &'a str>) -> Option<Self> {
        let local_port = port(fields.nth(1)?)?;
        let peer_port = port(fields.next()?)?;
        let listens = fields.next()? == STATE_LISTEN;
        let (sending, receiving) = fields.next()?.split_once(':')?;
        let [sending, receiving] = [sending, receiving].map(|digits| u64::from_str_radix(digits, 16).ok());
        // Of a socket that listens this is the length of its queue.
        let waiting_bytes = if listens { 0 } else { sending?.saturating_add(receiving?) };
        let inode = fields.nth(4)?.parse().ok()?;
        Some(Self { local_port, peer_port, listens, waiting_bytes, inode })
    }
}

/// The port of `ADDRESS:PORT`, both in hexadecimal.
fn port(endpoint: &str) -> Option<u16> {
    u16::from_str_radix(endpoint.rsplit_once(':')?.1, 16).ok()
}

/// Whether a sort of sockets is named after the port of the peer.
pub(super) fn is_by_port(sort: &str) -> bool {
    SERVICES.iter().any(|(name, _)| *name == sort)
}

/// Whether the tables tell what waits in the buffers of such sockets.
pub(super) fn has_buffers(sort: &str) -> bool {
    ![UNIX, LISTENING].contains(&sort)
}

fn service(port: u16) -> Option<&'static str> {
    SERVICES.iter().find(|(_, ports)| ports.contains(&port)).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.18 shows them.
    const TCP_TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000005 00:00000000 00000000     0        0 100 1 0000000000000000 100 0 0 10 0
   1: 0100007F:D3C0 0100007F:1538 01 00000010:00000020 00:00000000 00000000     0        0 101 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:1F90 0100007F:D3C1 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:D3C2 0100007F:1538 01 00000000:00000000 00:00000000 00000000     0        0 999 1 0000000000000000 20 4 30 10 -1
   4: 0100007F:D3C3 0100007F:C001 08 00000000:00000001 00:00000000 00000000     0        0 103 1 0000000000000000 20 4 30 10 -1
";
    const TCP6_TABLE: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:D3C4 00000000000000000000000001000000:01BB 01 00000000:00000000 00:00000000 00000000     0        0 104 1 0000000000000000 20 4 30 10 -1
";
    const UDP_TABLE: &str = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  373: 0100007F:8001 0100007F:0035 01 00000000:00000200 00:00000000 00000000     0        0 105 2 0000000000000000 0
  374: 0100007F:8002 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 106 2 0000000000000000 0
";
    const UNIX_TABLE: &str = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 107 /run/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 108
";

    #[test]
    fn sockets_are_told_apart_by_their_peers() {
        let mut sockets = Sockets { wanted: (100..=109).collect(), ..Sockets::default() };
        for (text, table) in [
            (TCP_TABLE, Table::Tcp),
            (TCP6_TABLE, Table::Tcp),
            (UDP_TABLE, Table::Udp),
            (UNIX_TABLE, Table::Unix),
        ] {
            text.lines().for_each(|line| sockets.line(line.as_bytes(), table));
        }
        for damaged in ["", "0:", "   1: 0100007F:D3C0 x 01", "\u{fffd} :::: ::"] {
            sockets.line(damaged.as_bytes(), Table::Tcp);
            sockets.line(damaged.as_bytes(), Table::Unix);
        }
        let mut found: Vec<(&str, (u64, u64))> = sockets.found.into_iter().collect();
        found.sort_unstable();
        let expected = [
            ("socket_accepted", (1, 0)),
            ("socket_dns", (1, 512)),
            ("socket_https", (1, 0)),
            ("socket_listening", (1, 0)),
            ("socket_postgres", (1, 48)),
            ("socket_tcp", (1, 1)),
            ("socket_udp", (1, 0)),
            ("socket_unix", (2, 0)),
        ];
        assert_eq!(found, expected);
        assert_eq!(sockets.wanted, HashSet::from([109]), "in no table");
    }

    #[test]
    fn no_port_has_two_services() {
        let ports: Vec<u16> = SERVICES.iter().flat_map(|(_, ports)| ports.iter().copied()).collect();
        assert_eq!(ports.len(), ports.iter().collect::<HashSet<_>>().len());
    }
}
