//! A small reader of the text format, written apart from the exporter's own writer.

use std::collections::BTreeMap;

/// One series of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A whole scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrape(pub(crate) Vec<Series>);

impl Scrape {
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(series).collect())
    }

    /// The value of the series with this name and at least these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.all(name, labels).next().map(|series| series.value)
    }

    /// All series with this name and at least these labels.
    pub(crate) fn all<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Series> {
        self.0.iter().filter(move |series| {
            series.name == name
                && labels
                    .iter()
                    .all(|(key, value)| series.labels.get(*key).is_some_and(|found| found == value))
        })
    }

    /// The value of an area's metric.
    pub(crate) fn area(&self, name: &str, target: &str, area: &str) -> Option<f64> {
        self.value(name, &[("target", target), ("area", area)])
    }
}

fn series(line: &str) -> Series {
    let Some((name, rest)) = line.split_once('{') else {
        let (name, value) = line.split_once(' ').expect("a name and a value");
        return Series { name: name.to_owned(), labels: BTreeMap::new(), value: number(value) };
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    while !rest.starts_with('}') {
        let (key, behind) = rest.split_once("=\"").expect("a label and its value");
        let (value, behind) = quoted(behind);
        labels.insert(key.to_owned(), value);
        rest = behind.strip_prefix(',').unwrap_or(behind);
    }
    let value = rest.strip_prefix("} ").expect("a value behind the labels");
    Series { name: name.to_owned(), labels, value: number(value) }
}

/// The value up to the closing quote, unescaped, and what stands behind the quote.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            other => value.push(other),
        }
    }
    panic!("no closing quote in {text:?}");
}

fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}
