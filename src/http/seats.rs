//! Seats: how many of something may be taken at once, in all and by one client.
//!
//! One address never takes the last quarter of the seats (nor any of the last three where there are few), so that a
//! client that opens connections without end, or asks and does not read, leaves room for the others.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// A number of seats.
#[derive(Debug)]
pub(super) struct Seats {
    /// How many there are; none is no limit.
    total: Option<usize>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Only of addresses that hold at least one, so that the map is never larger than the number of seats.
    by_peer: HashMap<IpAddr, usize>,
}

/// One taken seat, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    peer: IpAddr,
}

impl Seats {
    /// So many seats; 0 is no limit.
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { total: (total > 0).then_some(total), taken: Mutex::default() })
    }

    /// Takes a seat for this peer, if one is free for it.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let peer = peer.to_canonical();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_peer.get(&peer).copied().unwrap_or(0);
        if self.total.is_some_and(|total| taken.all >= total || own >= total - total / 4) {
            return None;
        }
        taken.all += 1;
        taken.by_peer.insert(peer, own + 1);
        drop(taken);
        Some(Seat { seats: Arc::clone(self), peer })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        let own = taken.by_peer.get(&self.peer).copied().unwrap_or(0);
        if own > 1 {
            taken.by_peer.insert(self.peer, own - 1);
        } else {
            taken.by_peer.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn peer(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[test]
    fn one_peer_leaves_a_quarter_to_the_others() {
        let seats = Seats::new(8);
        let first: Vec<Seat> = std::iter::from_fn(|| seats.take(peer(1))).collect();
        assert_eq!(first.len(), 6);
        assert!(seats.take(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().into()).is_none(), "the same, mapped");
        let second: Vec<Seat> = std::iter::from_fn(|| seats.take(peer(2))).collect();
        assert_eq!(second.len(), 2);
        drop(first);
        assert!(seats.take(peer(3)).is_some());
    }

    #[test]
    fn few_seats_are_for_anyone_and_zero_is_no_limit() {
        for total in [1, 2, 3] {
            let seats = Seats::new(total);
            let held: Vec<Seat> = std::iter::from_fn(|| seats.take(peer(1))).take(9).collect();
            assert_eq!(held.len(), total);
        }
        let seats = Seats::new(0);
        let held: Vec<Seat> = (0..1000).map_while(|_| seats.take(peer(1))).collect();
        assert_eq!(held.len(), 1000);
        drop(held);
        assert!(seats.taken.lock().unwrap().by_peer.is_empty(), "the map gives memory back");
    }
}
