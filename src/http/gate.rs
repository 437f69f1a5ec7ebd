//! The gate: whether a request may come in at all, by the web file. First the rate of requests, then who asks.
//!
//! Comparing a password with its bcrypt hash is meant to take long, so it is done on another thread, one at a time, and
//! what was right is remembered as a hash under a key of this process. An unknown name is compared like a known one, so
//! that the time tells nobody which names there are. One address never takes all places of those who wait for it.

use super::{access::Who, answer::Answer, seats::Seats};
use crate::web::{Rate, Web};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use ring::{hmac, rand::SystemRandom};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{sync::Semaphore, time::Instant};

/// Requests that wait at once for their password to be compared: at the usual cost the last one waits some seconds.
const WAITING_MAX: usize = 32;
/// Salt and digest of the hash that unknown names are compared with. The digest is that of no password anyone knows, and
/// a match would not let in either.
const NOBODYS_DIGEST: &str = ".....................................................";
/// The cost of that hash where there is no other.
const USUAL_COST: &str = "10";

/// A web file that is in force, with what it makes the gate remember.
#[derive(Default)]
pub(super) struct InForce {
    pub(super) web: Web,
    /// For each user the keyed hash of the password that was right.
    known: Mutex<BTreeMap<String, hmac::Tag>>,
    bucket: Option<Mutex<Bucket>>,
    nobody: String,
}

/// Requests that are allowed at once, filled up as time goes by.
struct Bucket {
    rate: Rate,
    tokens: f64,
    at: Instant,
}

/// Who asks.
pub(super) struct Visitor<'a> {
    pub(super) peer: IpAddr,
    pub(super) headers: &'a HeaderMap,
    /// Whether the client showed a certificate.
    pub(super) has_certificate: bool,
}

/// Compares passwords.
pub(super) struct Gate {
    key: Option<hmac::Key>,
    one_at_a_time: Arc<Semaphore>,
    waiting: Arc<Seats>,
}

impl InForce {
    pub(super) fn new(web: Web) -> Self {
        let bucket = web
            .rate
            .map(|rate| Mutex::new(Bucket { rate, tokens: f64::from(rate.burst), at: Instant::now() }));
        // As costly as the costliest, by the two digits behind `$2y$`.
        let cost = web.users.values().filter_map(|hash| hash.get(4..6)).max().unwrap_or(USUAL_COST);
        let nobody = format!("$2b${cost}${NOBODYS_DIGEST}");
        Self { bucket, nobody, known: Mutex::default(), web }
    }

    /// Whether one more request is allowed now.
    fn allows_one_more(&self) -> bool {
        let Some(bucket) = &self.bucket else { return true };
        bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
    }

    fn remembers(&self, key: Option<&hmac::Key>, user: &str, attempt: &[u8]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = known.get(user).zip(key);
        tag.is_some_and(|(tag, key)| hmac::verify(key, attempt, tag.as_ref()).is_ok())
    }

    fn remember(&self, key: Option<&hmac::Key>, user: String, attempt: &[u8]) {
        if let Some(key) = key {
            let tag = hmac::sign(key, attempt);
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(user, tag);
        }
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64() / self.rate.interval.as_secs_f64();
        self.tokens = (self.tokens + passed).min(f64::from(self.rate.burst));
        self.at = now;
        let is_allowed = self.tokens >= 1.0;
        if is_allowed {
            self.tokens -= 1.0;
        }
        is_allowed
    }
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            // Without randomness nothing is remembered, and everything is compared anew.
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            one_at_a_time: Arc::new(Semaphore::new(1)),
            waiting: Seats::new(WAITING_MAX),
        }
    }

    /// Lets a request in, and says what is known of who asks.
    ///
    /// # Errors
    ///
    /// The answer for who stays outside.
    pub(super) async fn admit(&self, in_force: &InForce, visitor: &Visitor<'_>) -> Result<Who, Box<Answer>> {
        if !in_force.allows_one_more() {
            let sentence = "Too many requests (rate_limit in the web file); try again in a moment.";
            return Err(Box::new(
                Answer::text(StatusCode::TOO_MANY_REQUESTS, sentence).with(RETRY_AFTER, "1"),
            ));
        }
        if in_force.web.users.is_empty() {
            let is_verified = in_force.web.tls.as_ref().is_some_and(|tls| tls.clients.is_verified());
            let is_known = is_verified && visitor.has_certificate;
            return Ok(if is_known { Who::Known } else { Who::Stranger });
        }
        let Some((user, password)) = credentials(visitor.headers) else { return Err(who_are_you()) };
        let changers = &in_force.web.changers;
        let who = match changers.contains(&user) {
            true => Who::Changer,
            false if changers.is_empty() => Who::Known,
            false => Who::Reader,
        };
        if self.is_right(in_force, visitor.peer, user, password).await? {
            Ok(who)
        } else {
            Err(who_are_you())
        }
    }

    async fn is_right(
        &self,
        in_force: &InForce,
        peer: IpAddr,
        user: String,
        password: Vec<u8>,
    ) -> Result<bool, Box<Answer>> {
        let known = in_force.web.users.get(&user);
        let hash = known.unwrap_or(&in_force.nobody).clone();
        let attempt = attempt(&user, &hash, &password);
        let key = self.key.as_ref();
        if in_force.remembers(key, &user, &attempt) {
            return Ok(true);
        }
        let Some(_place) = self.waiting.take(peer) else { return Err(busy()) };
        let turn = Arc::clone(&self.one_at_a_time).acquire_owned().await;
        // Somebody else may have had the same password compared in the meantime.
        if in_force.remembers(key, &user, &attempt) {
            return Ok(true);
        }
        let compared = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            bcrypt::verify(&password, &hash)
        });
        let is_right = known.is_some() && matches!(compared.await, Ok(Ok(true)));
        if is_right {
            in_force.remember(key, user, &attempt);
        }
        Ok(is_right)
    }
}

/// Name and password of an Authorization header, if it is a good one of the basic kind.
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let password = decoded.split_off(colon + 1);
    decoded.truncate(colon);
    Some((String::from_utf8(decoded).ok()?, password))
}

/// The three as one, each with its length, so that none can be taken for the start of the next. The hash is among
/// them: a new password in the file makes the old one unknown.
fn attempt(user: &str, hash: &str, password: &[u8]) -> Vec<u8> {
    let parts = [user.as_bytes(), hash.as_bytes(), password];
    parts.into_iter().flat_map(|part| [&(part.len() as u64).to_le_bytes()[..], part].concat()).collect()
}

fn who_are_you() -> Box<Answer> {
    let sentence = "Name and password are needed here (basic_auth_users in the web file).";
    let challenge = "Basic realm=\"memleak_exporter\", charset=\"UTF-8\"";
    Box::new(Answer::text(StatusCode::UNAUTHORIZED, sentence).with(WWW_AUTHENTICATE, challenge))
}

fn busy() -> Box<Answer> {
    let sentence = "Too many passwords are being compared at once; try again in a moment.";
    Box::new(Answer::text(StatusCode::SERVICE_UNAVAILABLE, sentence).with(RETRY_AFTER, "1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use std::{net::Ipv4Addr, time::Duration};

    fn said(value: &str) -> Option<(String, Vec<u8>)> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
        credentials(&headers)
    }

    #[test]
    fn credentials_are_those_of_the_basic_scheme() {
        let found = |user: &str, password: &[u8]| Some((user.to_owned(), password.to_vec()));
        assert_eq!(said("Basic YWxpY2U6cmlnaHQ="), found("alice", b"right"));
        assert_eq!(said("bASIC  YWxpY2U6YTpi"), found("alice", b"a:b"));
        assert_eq!(said("Basic Og=="), found("", b""));
        for wrong in ["Basic", "Basic YWxpY2U=", "Basic %", "Bearer YWxpY2U6cmlnaHQ=", "Basic /zpi", ""] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn parts_of_an_attempt_do_not_run_into_each_other() {
        assert_ne!(attempt("ab", "c", b"d"), attempt("a", "bc", b"d"));
        assert_ne!(attempt("a", "b", b"cd"), attempt("a", "bc", b"d"));
    }

    #[test]
    fn a_bucket_fills_up_with_time_and_no_further() {
        let began = Instant::now();
        let rate = Rate { interval: Duration::from_secs(10), burst: 2 };
        let mut bucket = Bucket { rate, tokens: 2.0, at: began };
        let mut taken = |secs: u64| bucket.take(began + Duration::from_secs(secs));
        assert_eq!([0, 0, 0, 9].map(&mut taken), [true, true, false, false]);
        assert_eq!([10, 11, 19, 20].map(&mut taken), [true, false, false, true]);
        assert_eq!([9000, 9000, 9000].map(&mut taken), [true, true, false]);
        assert!(!taken(0), "the clock went back");
    }

    /// Otherwise an unknown name would be refused sooner than a known one.
    #[test]
    fn nobodys_hash_can_be_compared_with_and_costs_as_much_as_the_costliest() {
        for costs in [&[][..], &[4], &[4, 6, 5]] {
            let users = costs.iter().map(|cost| (cost.to_string(), bcrypt::hash("a", *cost).unwrap()));
            let in_force = InForce::new(Web { users: users.collect(), ..Web::default() });
            assert!(matches!(bcrypt::verify("a", &in_force.nobody), Ok(false)), "{}", in_force.nobody);
            let cost = in_force.nobody.parse::<bcrypt::HashParts>().unwrap().get_cost();
            assert_eq!(cost, costs.iter().copied().max().unwrap_or(10));
        }
    }

    #[tokio::test]
    async fn what_was_right_is_remembered_and_nothing_else() {
        let users = BTreeMap::from([("alice".to_owned(), bcrypt::hash("right", 4).unwrap())]);
        let in_force = InForce::new(Web { users, ..Web::default() });
        let gate = Gate::new();
        let peer = Ipv4Addr::LOCALHOST.into();
        let compared = async |user: &str, password: &[u8]| {
            gate.is_right(&in_force, peer, user.to_owned(), password.to_vec()).await.unwrap()
        };
        assert!(!compared("alice", b"wrong").await && !compared("nobody", b"right").await);
        assert!(in_force.known.lock().unwrap().is_empty());
        assert!(compared("alice", b"right").await);
        assert_eq!(in_force.known.lock().unwrap().keys().collect::<Vec<_>>(), ["alice"]);
        // Nothing is compared any more: whoever is not remembered would wait for ever.
        let all = gate.one_at_a_time.acquire().await.unwrap();
        assert!(compared("alice", b"right").await);
        drop(all);
        assert!(!compared("alice", b"wrong").await && compared("alice", b"right").await);
    }

    #[tokio::test]
    async fn one_address_leaves_places_in_the_queue_to_others() {
        let users = BTreeMap::from([("alice".to_owned(), bcrypt::hash("right", 4).unwrap())]);
        let (in_force, gate) = (InForce::new(Web { users, ..Web::default() }), Gate::new());
        let flooding = Ipv4Addr::new(192, 0, 2, 1).into();
        let held: Vec<_> = std::iter::from_fn(|| gate.waiting.take(flooding)).collect();
        assert_eq!(held.len(), 24);
        let ask = |peer| gate.is_right(&in_force, peer, "alice".to_owned(), b"right".to_vec());
        assert_eq!(ask(flooding).await.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(ask(Ipv4Addr::new(192, 0, 2, 2).into()).await.unwrap());
    }
}
