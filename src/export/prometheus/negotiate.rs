//! Which format a client gets: Prometheus' scrape protocol negotiation, and whether it may be compressed.
//!
//! The highest quality wins; among equals the more specific media range, then the one named first. A client that asks
//! for nothing that is spoken here gets text 0.0.4, never an error: that is what Prometheus expects of an exporter.
//! Protobuf is not spoken.

/// How a page is laid out. The versions of a format do not differ in what is written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Prometheus' text.
    Text,
    /// OpenMetrics' text.
    OpenMetrics,
}

/// The media type and version that are answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Protocol {
    Text004,
    Text100,
    OpenMetrics001,
    OpenMetrics100,
}

/// The escaping scheme for metric names. Every name of this exporter is valid without one, so that each scheme is
/// satisfied by the same page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Escaping {
    AllowUtf8,
    Underscores,
    Dots,
    Values,
}

/// A negotiated format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    protocol: Protocol,
    escaping: Option<Escaping>,
}

impl Format {
    /// Prometheus' text 0.0.4: the last resort.
    pub const TEXT: Self = Self { protocol: Protocol::Text004, escaping: None };
    /// OpenMetrics 1.0.0.
    pub const OPEN_METRICS: Self = Self { protocol: Protocol::OpenMetrics100, escaping: None };

    /// How its pages are laid out.
    #[must_use]
    pub const fn layout(self) -> Layout {
        match self.protocol {
            Protocol::Text004 | Protocol::Text100 => Layout::Text,
            Protocol::OpenMetrics001 | Protocol::OpenMetrics100 => Layout::OpenMetrics,
        }
    }

    /// The exact `Content-Type`, the client's escaping scheme echoed.
    #[must_use]
    pub fn content_type(self) -> String {
        let media = match self.protocol {
            Protocol::Text004 => "text/plain; version=0.0.4; charset=utf-8",
            Protocol::Text100 => "text/plain; version=1.0.0; charset=utf-8",
            Protocol::OpenMetrics001 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Protocol::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        };
        let scheme = match self.escaping {
            None => "",
            Some(Escaping::AllowUtf8) => "; escaping=allow-utf-8",
            Some(Escaping::Underscores) => "; escaping=underscores",
            Some(Escaping::Dots) => "; escaping=dots",
            Some(Escaping::Values) => "; escaping=values",
        };
        [media, scheme].concat()
    }
}

/// The format for a client that sent this `Accept` (several headers joined by commas).
#[must_use]
pub fn negotiate(accept: Option<&str>) -> Format {
    let mut best: Option<(Range<'_>, Format)> = None;
    for range in accept.unwrap_or("").split(',').filter_map(Range::parse) {
        let Some(format) = range.format() else { continue };
        let wins = best.as_ref().is_none_or(|(before, _)| range.rank() > before.rank());
        if wins && range.quality > 0.0 {
            best = Some((range, format));
        }
    }
    best.map_or(Format::TEXT, |(_, format)| format)
}

/// Whether a client that sent this `Accept-Encoding` takes gzip.
#[must_use]
pub fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    let ranges: Vec<Range<'_>> = accept_encoding.unwrap_or("").split(',').filter_map(Range::parse).collect();
    let quality_of = |name: &str| {
        ranges.iter().find(|range| range.name.eq_ignore_ascii_case(name)).map(|range| range.quality)
    };
    quality_of("gzip").or_else(|| quality_of("x-gzip")).or_else(|| quality_of("*")).unwrap_or(0.0) > 0.0
}

/// One element of an `Accept` or `Accept-Encoding` header.
#[derive(Debug, Default)]
struct Range<'a> {
    name: &'a str,
    quality: f32,
    version: &'a str,
    escaping: Option<Escaping>,
}

impl<'a> Range<'a> {
    /// None for an empty element or one whose quality is not a number from 0 to 1.
    fn parse(element: &'a str) -> Option<Self> {
        let mut parts = element.split(';').map(str::trim);
        let mut range = Self { quality: 1.0, name: parts.next()?, ..Self::default() };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => range.quality = value.parse().ok()?,
                "version" => range.version = value,
                "escaping" => range.escaping = escaping(value),
                _ => {}
            }
        }
        (!range.name.is_empty() && (0.0..=1.0).contains(&range.quality)).then_some(range)
    }

    /// The format that answers this range, if one does.
    fn format(&self) -> Option<Format> {
        let protocol = match (self.name.to_ascii_lowercase().as_str(), self.version) {
            ("text/plain", "" | "0.0.4") | ("text/*" | "*/*", _) => Protocol::Text004,
            ("text/plain", "1.0.0") => Protocol::Text100,
            ("application/openmetrics-text", "" | "0.0.1") => Protocol::OpenMetrics001,
            ("application/openmetrics-text", "1.0.0") => Protocol::OpenMetrics100,
            _ => return None,
        };
        let escaping = match protocol {
            // Before 1.0.0 the formats had no such parameter.
            Protocol::Text004 | Protocol::OpenMetrics001 => None,
            // Text 1.0.0 is younger than the schemes and always names one.
            Protocol::Text100 => Some(self.escaping.unwrap_or(Escaping::Underscores)),
            // OpenMetrics 1.0.0 is older: who asks for it without a scheme does not know of schemes.
            Protocol::OpenMetrics100 => self.escaping,
        };
        Some(Format { protocol, escaping })
    }

    /// Quality first, then how specific the range is; what comes later must beat it.
    fn rank(&self) -> (f32, u8) {
        let specific = match self.name {
            "*/*" => 0,
            name if name.ends_with("/*") => 1,
            _ => 2,
        };
        (self.quality, specific)
    }
}

/// A scheme by its name; an unknown one counts as none, and is never echoed.
fn escaping(name: &str) -> Option<Escaping> {
    match name {
        "allow-utf-8" => Some(Escaping::AllowUtf8),
        "underscores" => Some(Escaping::Underscores),
        "dots" => Some(Escaping::Dots),
        "values" => Some(Escaping::Values),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const OPEN_OLD: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";

    fn check(accept: &str, content_type: &str) {
        assert_eq!(negotiate(Some(accept)).content_type(), content_type, "{accept}");
    }

    #[test]
    fn what_prometheus_sends_gets_what_it_wants_most() {
        assert_eq!(negotiate(None).content_type(), TEXT);
        // Prometheus 2.42.
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPEN,
        );
        // Prometheus 2.30.
        check(
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPEN_OLD,
        );
        // Prometheus 3.
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        );
        // Prometheus 3 that prefers protobuf, which is not spoken here.
        check(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
             text/plain;version=1.0.0;escaping=underscores;q=0.4,text/plain;version=0.0.4;q=0.3",
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        );
    }

    #[test]
    fn others_get_the_best_that_they_name() {
        check("", TEXT);
        check("*/*", TEXT);
        check("text/html,application/xhtml+xml,*/*;q=0.8", TEXT);
        check("application/json", TEXT);
        check("Text/Plain; Version=0.0.4", TEXT);
        check("text/plain;version=9.9.9;q=1,application/openmetrics-text;version=1.0.0;q=0.1", OPEN);
        check("application/openmetrics-text", OPEN_OLD);
        check("application/openmetrics-text; version=\"1.0.0\"", OPEN);
        check("application/openmetrics-text;version=1.0.0;q=0.2,text/plain;q=0.3", TEXT);
        check("text/plain,application/openmetrics-text;version=1.0.0", TEXT);
        check("application/openmetrics-text;version=1.0.0,text/plain", OPEN);
        check("*/*,application/openmetrics-text;version=1.0.0", OPEN);
        check("application/openmetrics-text;version=1.0.0;q=0", TEXT);
        check("application/openmetrics-text;version=1.0.0;q=nan,text/plain;q=0.1", TEXT);
        check("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8; escaping=underscores");
    }

    #[test]
    fn a_known_escaping_is_echoed_and_an_unknown_one_never() {
        check("application/openmetrics-text;version=1.0.0;escaping=evil\r\nX: y", OPEN);
        check(
            "application/openmetrics-text;version=1.0.0;escaping=dots",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=dots",
        );
        check(
            "text/plain;version=1.0.0;escaping=values",
            "text/plain; version=1.0.0; charset=utf-8; escaping=values",
        );
    }

    #[test]
    fn gzip_is_taken_only_where_it_is_welcome() {
        for (header, welcome) in [
            (None, false),
            (Some(""), false),
            (Some("identity"), false),
            (Some("gzip"), true),
            (Some("GZIP;q=0.5, deflate"), true),
            (Some("deflate, x-gzip"), true),
            (Some("gzip;q=0"), false),
            (Some("gzip;q=0, *"), false),
            (Some("*"), true),
            (Some("*;q=0"), false),
            (Some("br, *;q=0.1"), true),
            (Some("gzip;q=2"), false),
        ] {
            assert_eq!(accepts_gzip(header), welcome, "{header:?}");
        }
    }
}
