//! Who may ask for what.
//!
//! Without authentication only the machine itself is trusted: a client from beyond loopback gets the metrics and the
//! two health checks, as from any exporter. The rest names programs and their troubles (the page) or changes
//! something (the reload, samples at once). Who has shown a password or a verified certificate may read everything, from
//! wherever; to change something remains with the machine itself, or with the users whom the web file names for it.
//!
//! Two things can make a stranger look like loopback, and both are refused. A reverse proxy on the same machine
//! speaks for strangers, so a request that says it was forwarded counts as remote. A web page in a browser on the
//! same machine can send requests to loopback, by a name of its own that it has pointed there (DNS rebinding) or
//! across origins; so the names under which the exporter is asked, and the origin of a change, must be its own.

use hyper::{
    HeaderMap,
    header::{FORWARDED, HOST, HeaderName, HeaderValue, ORIGIN, VIA},
    http::uri::Authority,
};
use std::net::IpAddr;

/// Headers by which a proxy says that it speaks for somebody else.
const FORWARDING_HEADERS: [HeaderName; 4] =
    [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// How a browser says from where a request comes, whatever the page that sends it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Anyone who can connect.
    Everyone,
    /// Readers: this machine, or everyone where reading from afar is allowed.
    Readers,
    /// Readers who keep a stream open: no web page of another origin, which the rules for requests do not keep out of it.
    Listeners,
    /// Those who may tell of their own memory: this machine, and who is known.
    Pushers,
    /// Those who may change something: this machine alone, or else whom the web file names.
    Changers,
}

/// What is known of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'a> {
    /// The other end of its connection.
    pub(super) peer: IpAddr,
    /// Its request: who it says it speaks for, under which name it knows the exporter, and from where it comes.
    pub(super) headers: &'a HeaderMap,
    /// The host named in the request line itself, which a proxy's client may do.
    pub(super) uri_host: Option<&'a str>,
    /// Whether it has shown who it is. No page can make a browser do so under a name that a stranger owns.
    pub(super) who: Who,
}

/// What is known of who asks, by the web file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Who {
    /// Nothing.
    #[default]
    Stranger,
    /// It is known who it is; who may change something is not said.
    Known,
    /// It is known, and others may change something.
    Reader,
    /// It is known, and may change something.
    Changer,
}

impl Who {
    fn is_known(self) -> bool {
        self != Self::Stranger
    }
}

/// The rule, from the flags.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    /// Whether everyone may read.
    pub(super) remote_read: bool,
    /// The host of the external URL.
    pub(super) external_host: Option<String>,
}

const NOT_FROM_AFAR: &str = "Only this machine may read this. The metrics, /-/healthy and /-/ready are open to all; \
     to let everyone who can connect read the rest, start the exporter with --web.remote-read; to let some do so, \
     give them passwords or certificates in a --web.config.file.";
const NO_PUSH_FROM_AFAR: &str = "Only this machine may push. To take in what others push, start the exporter with a web \
     file (--web.config.file) that names users or verifies certificates.";
const NO_CHANGE_FROM_AFAR: &str = "Only this machine may change anything: send the request from the machine on which \
     the exporter runs, to its loopback address and not through a proxy; or name users who may, as basic_auth_changers in the \
     --web.config.file.";
const NO_CHANGER: &str =
    "This user may not change anything. Ask as one whom basic_auth_changers in the web file names.";
const UNKNOWN_NAME: &str = "The exporter is not known by the name in the Host header. Ask for it as localhost, as \
     127.0.0.1 or [::1], or under the name given with --web.external-url.";
const OTHER_PAGE: &str = "A web page of another origin may not listen here.";
const OTHER_ORIGIN: &str = "A web page of another origin may not change anything here.";

impl Rule {
    /// Whether this client belongs to this audience.
    ///
    /// # Errors
    ///
    /// A sentence for the client that says why not and what would help.
    pub(super) fn admit(&self, audience: Audience, client: &Client<'_>) -> Result<(), &'static str> {
        match audience {
            Audience::Everyone => Ok(()),
            Audience::Listeners if !client.is_of_same_origin() => Err(OTHER_PAGE),
            Audience::Readers | Audience::Listeners if self.remote_read || client.who.is_known() => Ok(()),
            Audience::Readers | Audience::Listeners if !client.is_local() => Err(NOT_FROM_AFAR),
            // A browser sends a password along that it knows, whoever wrote the page.
            Audience::Pushers if client.who.is_known() && client.is_of_same_origin() => Ok(()),
            Audience::Pushers if !client.is_local() => Err(NO_PUSH_FROM_AFAR),
            Audience::Changers if client.who == Who::Reader => Err(NO_CHANGER),
            Audience::Changers if client.who == Who::Changer && client.is_of_same_origin() => Ok(()),
            Audience::Changers if !client.is_local() => Err(NO_CHANGE_FROM_AFAR),
            _ if !self.knows_host(client) => Err(UNKNOWN_NAME),
            Audience::Readers | Audience::Listeners => Ok(()),
            Audience::Pushers | Audience::Changers if !client.is_of_same_origin() => Err(OTHER_ORIGIN),
            Audience::Pushers | Audience::Changers => Ok(()),
        }
    }

    fn knows_host(&self, client: &Client<'_>) -> bool {
        let mut named = client.headers.get_all(HOST).iter();
        let (Some(Ok(host)), None) = (named.next().map(|value| value.to_str()), named.next()) else {
            return false;
        };
        host_of(host).is_some_and(|host| self.is_own_host(&host))
            && client.uri_host.is_none_or(|host| self.is_own_host(host))
    }

    /// Whether a host, without its port, is a name of this exporter that no stranger can point elsewhere.
    fn is_own_host(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return is_loopback(address) || self.is_external(host);
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        name.eq_ignore_ascii_case("localhost") || self.is_external(name)
    }

    fn is_external(&self, host: &str) -> bool {
        self.external_host.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(host))
    }
}

impl Client<'_> {
    fn is_local(&self) -> bool {
        is_loopback(self.peer) && !FORWARDING_HEADERS.iter().any(|name| self.headers.contains_key(name))
    }

    /// Whether the request comes from no web page at all, or from one of the very host and port that it asks.
    fn is_of_same_origin(&self) -> bool {
        let site = self.headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
            return false;
        }
        let Some(origin) = self.headers.get(ORIGIN) else { return true };
        let asked = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        let from = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        from.zip(asked).is_some_and(|(from, asked)| from.eq_ignore_ascii_case(asked))
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The host of a Host header, without its port; none if it is not one.
fn host_of(header: &str) -> Option<String> {
    let authority: Authority = header.parse().ok().filter(|_| !header.contains('@'))?;
    Some(authority.host().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFAR: &str = "192.0.2.7";

    struct Case {
        peer: &'static str,
        headers: &'static [(&'static str, &'static str)],
        rule: Rule,
        who: Who,
    }

    impl Case {
        fn admits(&self, audience: Audience) -> bool {
            let headers: HeaderMap = self
                .headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            let client =
                Client { peer: self.peer.parse().unwrap(), headers: &headers, uri_host: None, who: self.who };
            self.rule.admit(audience, &client).is_ok()
        }
    }

    fn check(peer: &'static str, headers: &'static [(&'static str, &'static str)], expected: [bool; 4]) {
        check_under(Rule::default(), peer, headers, expected);
    }

    /// Everyone, readers, changers.
    fn check_under(
        rule: Rule,
        peer: &'static str,
        headers: &'static [(&'static str, &'static str)],
        expected: [bool; 4],
    ) {
        let case = Case { peer, headers, rule, who: Who::Stranger };
        let found = [Audience::Everyone, Audience::Readers, Audience::Pushers, Audience::Changers]
            .map(|a| case.admits(a));
        assert_eq!(found, expected, "{peer} {headers:?}");
    }

    #[test]
    fn only_loopback_reads_and_changes() {
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            check(peer, &[("host", "localhost:10099")], [true; 4]);
        }
        for peer in [AFAR, "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.7", "0.0.0.0", "::", "::127.0.0.1"] {
            check(peer, &[("host", "localhost:10099")], [true, false, false, false]);
        }
    }

    #[test]
    fn reading_from_afar_is_a_choice_and_changing_is_not() {
        let rule = Rule { remote_read: true, ..Rule::default() };
        check_under(rule.clone(), AFAR, &[("host", "node7:10099")], [true, true, false, false]);
        check_under(rule, "127.0.0.1", &[("host", "node7:10099")], [true, true, false, false]);
    }

    #[test]
    fn who_is_known_reads_everything_and_pushes_from_anywhere_and_changes_nothing() {
        for (peer, may_change) in [(AFAR, false), ("127.0.0.1", true)] {
            let headers = &[("host", "localhost:10099")];
            let case = Case { peer, headers, rule: Rule::default(), who: Who::Known };
            let found = [Audience::Everyone, Audience::Readers, Audience::Pushers, Audience::Changers]
                .map(|a| case.admits(a));
            assert_eq!(found, [true, true, true, may_change], "{peer}");
        }
        let headers = &[("host", "node7:10099"), ("x-forwarded-for", "192.0.2.7")];
        let case = Case { peer: "127.0.0.1", headers, rule: Rule::default(), who: Who::Known };
        assert!(case.admits(Audience::Readers) && !case.admits(Audience::Changers));
        let headers = &[("host", "node7:10099"), ("origin", "https://evil.example")];
        let case = Case { peer: AFAR, headers, rule: Rule::default(), who: Who::Known };
        assert!(!case.admits(Audience::Pushers));
    }

    #[test]
    fn whom_the_web_file_names_changes_something_from_anywhere_and_no_other_user_does() {
        for (who, peer, origin, may_change) in [
            (Who::Changer, AFAR, "http://node7:10099", true),
            (Who::Changer, AFAR, "https://evil.example", false),
            (Who::Reader, AFAR, "http://node7:10099", false),
            (Who::Reader, "127.0.0.1", "http://node7:10099", false),
            (Who::Known, AFAR, "http://node7:10099", false),
        ] {
            let headers: &'static [(&str, &str)] =
                Box::leak(Box::new([("host", "node7:10099"), ("origin", origin)]));
            let case = Case { peer, headers, rule: Rule::default(), who };
            assert_eq!(case.admits(Audience::Changers), may_change, "{who:?} {peer} {origin}");
        }
    }

    #[test]
    fn a_browser_says_itself_from_where_a_request_comes() {
        for (site, is_same) in
            [("same-origin", true), ("none", true), ("cross-site", false), ("same-site", false)]
        {
            let headers: &'static [(&str, &str)] =
                Box::leak(Box::new([("host", "localhost:10099"), ("sec-fetch-site", site)]));
            check("::1", headers, [true, true, is_same, is_same]);
        }
    }

    #[test]
    fn a_proxy_speaks_for_strangers() {
        for headers in [
            &[("host", "localhost"), ("x-forwarded-for", "192.0.2.7")],
            &[("host", "localhost"), ("forwarded", "for=192.0.2.7")],
            &[("host", "localhost"), ("x-real-ip", "192.0.2.7")],
            &[("host", "localhost"), ("via", "1.1 edge")],
        ] {
            check("127.0.0.1", headers, [true, false, false, false]);
        }
    }

    #[test]
    fn a_name_that_a_stranger_may_own_is_refused() {
        for own in ["LOCALHOST", "localhost.", "127.0.0.1:1", "127.3.2.1", "[::1]:10099", "[::1]"] {
            let case = Case { peer: "::1", headers: &[], rule: Rule::default(), who: Who::Stranger };
            assert!(case.rule.is_own_host(&host_of(own).unwrap()), "{own}");
        }
        check("::1", &[], [true, false, false, false]);
        check("::1", &[("host", "evil.example")], [true, false, false, false]);
        check("::1", &[("host", "localhost.evil.example")], [true, false, false, false]);
        check("::1", &[("host", "evil.example@localhost")], [true, false, false, false]);
        check("::1", &[("host", "192.0.2.7:10099")], [true, false, false, false]);
        check("::1", &[("host", "127.0.0.1.evil.example")], [true, false, false, false]);
        check("::1", &[("host", "localhost"), ("host", "evil.example")], [true, false, false, false]);
        let rule = Rule { external_host: Some("leaks.example".into()), ..Rule::default() };
        check_under(rule.clone(), "::1", &[("host", "Leaks.Example:443")], [true; 4]);
        check_under(rule, "::1", &[("host", "other.example")], [true, false, false, false]);
    }

    #[test]
    fn a_web_page_changes_only_what_it_came_from() {
        let host = ("host", "localhost:10099");
        for (origin, same) in [
            ("http://localhost:10099", true),
            ("http://localhost:8080", false),
            ("https://evil.example", false),
            ("null", false),
        ] {
            let headers: &'static [(&str, &str)] = Box::leak(Box::new([host, ("origin", origin)]));
            check("::1", headers, [true, true, same, same]);
        }
    }
}
