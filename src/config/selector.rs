//! A series as Prometheus writes it, `name{label="value"}`: in a configuration, and in an exposition.

use std::borrow::Cow;

/// Which series of a metric are meant: those that have all of these labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The name of the metric.
    pub name: String,
    /// Labels with their values; others may stand beside them.
    pub labels: Vec<(String, String)>,
}

/// A series as it is written, borrowed from its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series<'a> {
    /// The name of the metric.
    pub name: &'a str,
    /// Its labels with their values, unescaped, in their order.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
}

impl Selector {
    /// Reads a selector; the error follows the text that was written.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match Series::parse(text.trim()) {
            Some((series, "")) => Ok(Self {
                name: series.name.to_owned(),
                labels: series
                    .labels
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.into_owned()))
                    .collect(),
            }),
            _ => Err(String::from(
                "is no metric; write its name, and if need be labels with =, such as 'cache_bytes{shard=\"a\"}'",
            )),
        }
    }

    /// Whether a series of this metric is meant.
    #[must_use]
    pub fn matches(&self, series: &Series<'_>) -> bool {
        let has = |(name, value): &(String, String)| series.label(name) == Some(value);
        self.name == series.name && self.labels.iter().all(has)
    }
}

impl<'a> Series<'a> {
    /// Reads the series that a text begins with; with it what stands behind, untouched.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<(Self, &'a str)> {
        let end = text.find(|c: char| !is_of_name(c) && c != ':').unwrap_or(text.len());
        let (name, mut rest) = text.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let mut labels = Vec::new();
        let Some(inside) = rest.strip_prefix('{') else { return Some((Self { name, labels }, rest)) };
        rest = inside.trim_start();
        while !rest.starts_with('}') {
            let (label, behind) = rest.split_once('=')?;
            let label = label.trim_end();
            if label.is_empty() || !label.chars().all(is_of_name) {
                return None;
            }
            let (value, behind) = quoted(behind.trim_start())?;
            labels.push((label, value));
            rest = behind.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if rest.starts_with('}') => rest,
                None => return None,
            };
        }
        Some((Self { name, labels }, rest.strip_prefix('}')?))
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Text in quotes, unescaped, and what stands behind it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let text = text.strip_prefix('"')?;
    let plain = text.find(['"', '\\'])?;
    let (value, rest) = text.split_at(plain);
    if let Some(rest) = rest.strip_prefix('"') {
        return Some((Cow::Borrowed(value), rest));
    }
    let mut value = value.to_owned();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return Some((Cow::Owned(value), chars.as_str())),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                escaped => escaped,
            }),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_with_their_labels() {
        let check = |text: &str, name: &str, labels: &[(&str, &str)], rest: &str| {
            let (series, behind) = Series::parse(text).unwrap_or_else(|| panic!("{text}"));
            let found: Vec<(&str, &str)> =
                series.labels.iter().map(|(name, value)| (*name, &**value)).collect();
            assert_eq!((series.name, found.as_slice(), behind), (name, labels, rest), "{text}");
        };
        check("up 1", "up", &[], " 1");
        check("a:b_c{} 1 2", "a:b_c", &[], " 1 2");
        check(r#"a{x="1",y="}{,\\\"\n"} 3"#, "a", &[("x", "1"), ("y", "}{,\\\"\n")], " 3");
        check(r#"a{ x = "1" , y="2", }"#, "a", &[("x", "1"), ("y", "2")], "");
        for text in [
            "",
            "9a 1",
            "<html>",
            "a{",
            "a{x}",
            "a{x=1}",
            "a{x=\"1}",
            "a{x=\"1\"y=\"2\"}",
            "a{=\"1\"}",
            "a{x=\"\\",
            "a{x!=\"1\"}",
        ] {
            assert_eq!(Series::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_selector_means_series_that_have_its_labels() {
        let selector = Selector::parse("a{x=\"1\"}").unwrap();
        for (text, expected) in [
            ("a{x=\"1\"}", true),
            ("a{y=\"2\",x=\"1\"}", true),
            ("a", false),
            ("a{x=\"2\"}", false),
            ("b{x=\"1\"}", false),
        ] {
            let (series, _) = Series::parse(text).unwrap();
            assert_eq!(selector.matches(&series), expected, "{text}");
        }
        assert!(Selector::parse("a{x=\"1\"} 5").is_err());
    }
}
