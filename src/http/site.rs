//! Where the routes are: the prefix, the path of the metrics and the address that people use, all of them checked.

use super::ListenOptions;
use anyhow::{Context as _, bail, ensure};
use hyper::Uri;

/// The checked paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// What every path begins with: empty, or with a slash at its start and none at its end.
    pub(super) prefix: String,
    /// Where the metrics are, without the prefix.
    pub(super) telemetry_path: String,
    /// What links on the page begin with, as seen from outside; like `prefix`.
    pub(super) link_prefix: String,
    /// The host of the external URL.
    pub(super) external_host: Option<String>,
}

/// Paths that the telemetry path may not take.
const OWN_PATHS: [&str; 2] = ["/-/", "/api/"];
/// What a path may hold without percent-encoding; anything else would be another path in a browser than in a
/// configuration.
const PATH_PUNCTUATION: &str = "/-._~!$&'()*+,;=:@";

impl Site {
    /// Checks the paths.
    ///
    /// # Errors
    ///
    /// Names the flag, its value and what it should be.
    pub(super) fn new(options: &ListenOptions) -> anyhow::Result<Self> {
        let external = options.external_url.as_deref().map(External::parse).transpose()?;
        let external_path = external.as_ref().map(|external| external.path.clone());
        let prefix = match &options.route_prefix {
            Some(prefix) => trimmed(prefix),
            None => external_path.clone().unwrap_or_default(),
        };
        check_path("--web.route-prefix", &prefix)?;
        let telemetry_path = options.telemetry_path.clone();
        check_path("--web.telemetry-path", &telemetry_path)?;
        ensure!(
            !telemetry_path.is_empty() && !OWN_PATHS.iter().any(|own| telemetry_path.starts_with(own)),
            "--web.telemetry-path {telemetry_path:?} cannot be used: it must not be empty, and paths below /-/ and \
             /api/ are the exporter's own; the usual path is /metrics"
        );
        Ok(Self {
            link_prefix: external_path.unwrap_or_else(|| prefix.clone()),
            prefix,
            telemetry_path,
            external_host: external.map(|external| external.host),
        })
    }

    /// The path below the prefix, with its slash; none for a path elsewhere.
    pub(super) fn below_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        match path.strip_prefix(self.prefix.as_str())? {
            "" => Some("/"),
            rest if rest.starts_with('/') => Some(rest),
            _longer_name => None,
        }
    }
}

struct External {
    host: String,
    path: String,
}

impl External {
    fn parse(url: &str) -> anyhow::Result<Self> {
        let advice = "write it as http://HOST[:PORT][/PATH] or https://…";
        let uri: Uri =
            url.parse().with_context(|| format!("--web.external-url {url:?} is not a URL: {advice}"))?;
        let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            bail!("--web.external-url {url:?} is not the URL of a web page: {advice}");
        };
        ensure!(
            uri.query().is_none() && !url.contains(['#', '@']),
            "--web.external-url {url:?} has a query, a fragment or a user, which it cannot have: {advice}"
        );
        let path = trimmed(uri.path());
        check_path("--web.external-url", &path)?;
        Ok(Self { host: authority.host().to_owned(), path })
    }
}

/// Without slashes at its end, and empty for the root; a missing slash at the start is given, as Prometheus does.
fn trimmed(path: &str) -> String {
    match path.trim_matches('/') {
        "" => String::new(),
        inner => format!("/{inner}"),
    }
}

fn check_path(flag: &str, path: &str) -> anyhow::Result<()> {
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || PATH_PUNCTUATION.contains(c));
    let whole = !path.contains("//") && !path.split('/').any(|part| matches!(part, "." | ".."));
    ensure!(
        path.is_empty() || (path.starts_with('/') && plain && whole),
        "{flag} has the path {path:?}, which cannot be used: begin it with one slash and use letters, digits and \
         {PATH_PUNCTUATION:?} only"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(prefix: Option<&str>, external: Option<&str>, telemetry: &str) -> anyhow::Result<Site> {
        Site::new(&ListenOptions {
            route_prefix: prefix.map(Into::into),
            external_url: external.map(Into::into),
            telemetry_path: telemetry.into(),
            ..ListenOptions::default()
        })
    }

    #[test]
    fn the_prefix_comes_from_the_external_url_unless_it_is_given() {
        for (prefix, external, expected) in [
            (None, None, ("", "", None)),
            (Some("/"), None, ("", "", None)),
            (Some("leaks/"), None, ("/leaks", "/leaks", None)),
            (None, Some("http://a.example:1/x/y/"), ("/x/y", "/x/y", Some("a.example"))),
            (Some("/"), Some("https://a.example/x"), ("", "/x", Some("a.example"))),
            (None, Some("http://[::1]:1"), ("", "", Some("[::1]"))),
        ] {
            let site = site(prefix, external, "/metrics").unwrap();
            let found = (site.prefix.as_str(), site.link_prefix.as_str(), site.external_host.as_deref());
            assert_eq!(found, expected, "{prefix:?} {external:?}");
        }
    }

    #[test]
    fn a_path_is_below_the_prefix_as_a_whole_name() {
        let site = site(Some("/leaks"), None, "/metrics").unwrap();
        for (path, below) in [
            ("/leaks", Some("/")),
            ("/leaks/", Some("/")),
            ("/leaks/metrics", Some("/metrics")),
            ("/leaksmetrics", None),
            ("/metrics", None),
            ("", None),
        ] {
            assert_eq!(site.below_prefix(path), below, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_its_flag() {
        for (prefix, external, telemetry, part) in [
            (None, None, "metrics", "--web.telemetry-path has the path \"metrics\""),
            (None, None, "", "must not be empty"),
            (None, None, "/-/healthy", "the exporter's own"),
            (None, None, "/api/v1/status", "the exporter's own"),
            (None, None, "/a b", "letters, digits"),
            (None, None, "/a//b", "letters, digits"),
            (None, None, "/../b", "letters, digits"),
            (Some("/a?b"), None, "/metrics", "--web.route-prefix has the path"),
            (None, Some("a.example"), "/metrics", "--web.external-url \"a.example\" is not the URL"),
            (None, Some("ftp://a.example/"), "/metrics", "not the URL of a web page"),
            (None, Some("http://a.example/?x=1"), "/metrics", "a query"),
            (None, Some("http://me@a.example/"), "/metrics", "a user"),
            (None, Some("http://a b/"), "/metrics", "not a URL"),
        ] {
            let error = site(prefix, external, telemetry).expect_err(telemetry);
            assert!(format!("{error:#}").contains(part), "{error:#}");
        }
    }
}
