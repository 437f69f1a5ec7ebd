//! What a Prometheus endpoint tells, read line by line while it arrives: text 0.0.4 and OpenMetrics.
//!
//! Nothing of the page is kept but sums: those of the well-known metrics and of those that the configuration names. Any
//! line that is none makes the whole page a mistake, for what is cut off or garbled would tell too little.

use super::{
    account,
    table::{Index, Role, TABLE, runtime},
};
use crate::{
    config::selector::{Selector, Series},
    sample::{Bucket, Buckets},
};
use std::collections::BTreeMap;

/// Longer lines are no metrics.
const LONGEST_LINE: usize = 64 * 1024;
/// Pools of one application: a JVM has ten.
const MOST_POOLS: usize = 32;
/// Buckets of one histogram: Micrometer writes 73 of a request where it is asked for percentiles.
const MOST_BUCKETS: usize = 128;
/// The label of a bucket's bound.
const BOUND: &str = "le";

/// What was told so far.
pub(super) struct Exposition<'a> {
    index: &'a Index,
    /// What the names of well-known metrics begin with.
    prefix: &'a str,
    selectors: &'a [&'a Selector],
    /// The beginning of a line whose end has not arrived.
    pending: Vec<u8>,
    lines: u64,
    told: Told,
}

/// The sums of a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// A row's terms, each where it was told; by the number of the row.
    pub(super) rows: BTreeMap<usize, Vec<Option<f64>>>,
    /// The pools of a row, by the number of the row and the name of the pool.
    pub(super) pools: BTreeMap<usize, BTreeMap<String, f64>>,
    /// The buckets of a row by their bounds, by the number of the row; one more than so many are too many.
    buckets: BTreeMap<usize, Vec<Bucket>>,
    /// The configured metrics, in their order.
    pub(super) selected: Vec<Option<f64>>,
    /// The runtime, by its metrics.
    pub(super) runtime: Option<&'static str>,
    /// How many samples there were.
    pub(super) samples: u64,
}

impl<'a> Exposition<'a> {
    pub(super) fn new(index: &'a Index, prefix: &'a str, selectors: &'a [&'a Selector]) -> Self {
        let told = Told { selected: vec![None; selectors.len()], ..Told::default() };
        Self { index, prefix, selectors, pending: Vec::new(), lines: 0, told }
    }

    /// Takes in a piece of the page; the error says what is wrong with it, to follow its URL.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Result<(), String> {
        self.feed_lines(piece, Self::take_in)
    }

    /// Takes in a piece of a heap profile of Go as text.
    pub(super) fn feed_profile(&mut self, piece: &[u8]) -> Result<(), String> {
        self.feed_lines(piece, Self::take_in_profile)
    }

    /// Takes in a value that was told otherwise, under the name of a metric.
    pub(super) fn tell(&mut self, series: &Series<'_>, value: f64) {
        self.told.samples += 1;
        if value.is_finite() {
            self.add(series, value);
        }
    }

    fn feed_lines(
        &mut self,
        piece: &[u8],
        take_in: fn(&mut Self, &[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(end);
            rest = behind.strip_prefix(b"\n").unwrap_or_default();
            if self.pending.is_empty() {
                take_in(self, line)?;
            } else {
                let mut whole = std::mem::take(&mut self.pending);
                whole.extend_from_slice(line);
                take_in(self, &whole)?;
            }
        }
        if self.pending.len() + rest.len() > LONGEST_LINE {
            return Err(self.wrong("is longer than 64 KiB"));
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// What was told, once the page is over.
    pub(super) fn finish(mut self) -> Result<Told, String> {
        let last = std::mem::take(&mut self.pending);
        self.take_in(&last)?;
        if self.told.samples == 0 {
            return Err(String::from("tells no metric; is it the URL of a Prometheus endpoint?"));
        }
        Ok(self.told)
    }

    fn wrong(&self, what: &str) -> String {
        format!("line {} {what}; is it the URL of a Prometheus endpoint?", self.lines + 1)
    }

    fn take_in(&mut self, line: &[u8]) -> Result<(), String> {
        let line = str::from_utf8(line).map_err(|_error| self.wrong("is not UTF-8"))?.trim();
        if !line.is_empty() && !line.starts_with('#') {
            let (series, value) = sample(line).ok_or_else(|| self.wrong("is no metric"))?;
            self.tell(&series, value);
        }
        self.lines += 1;
        Ok(())
    }

    fn take_in_profile(&mut self, line: &[u8]) -> Result<(), String> {
        if self.lines == 0 && !line.starts_with(b"heap profile: ") {
            return Err(String::from("is no heap profile as text; write its URL with ?debug=1"));
        }
        self.lines += 1;
        // Names of functions may be anything.
        if let Ok(line) = str::from_utf8(line) {
            account::line_of_profile(line, self);
        }
        Ok(())
    }

    fn add(&mut self, series: &Series<'_>, value: f64) {
        for (selector, sum) in self.selectors.iter().zip(&mut self.told.selected) {
            if selector.matches(series) {
                *sum = Some(sum.unwrap_or(0.0) + value);
            }
        }
        let Some(name) = series.name.strip_prefix(self.prefix) else { return };
        if self.told.runtime.is_none() {
            self.told.runtime = runtime(name);
        }
        // A limit that does not exist is -1, and nothing else here can be below 0.
        if value < 0.0 {
            return;
        }
        for &(row, number) in self.index.places(name) {
            let Some(known) = TABLE.get(row) else { continue };
            let Some(term) = known.terms.get(number) else { continue };
            if !term.takes(|label| series.label(label)) {
                continue;
            }
            if let Role::Pools(label) = known.role {
                let Some(pool) = series.label(label) else { continue };
                self.told.add_to_pool(row, pool, value);
                continue;
            }
            if known.role == Role::Answers {
                let bound = series.label(BOUND).and_then(|bound| bound.parse().ok());
                if let Some(bound) = bound.filter(|bound: &f64| !bound.is_nan()) {
                    self.told.add_to_bucket(row, bound, value);
                }
                continue;
            }
            let terms = self.told.rows.entry(row).or_insert_with(|| vec![None; known.terms.len()]);
            if let Some(sum) = terms.get_mut(number) {
                *sum = Some(sum.unwrap_or(0.0) + term.factor * value);
            }
        }
    }
}

impl Told {
    fn add_to_pool(&mut self, row: usize, pool: &str, value: f64) {
        let pools = self.pools.entry(row).or_default();
        let pool = slug(pool);
        if pools.len() < MOST_POOLS || pools.contains_key(&pool) {
            *pools.entry(pool).or_insert(0.0) += value;
        }
    }

    fn add_to_bucket(&mut self, row: usize, upper_bound: f64, count: f64) {
        let buckets = self.buckets.entry(row).or_default();
        match buckets.binary_search_by(|known| known.upper_bound.total_cmp(&upper_bound)) {
            Ok(place) => {
                if let Some(known) = buckets.get_mut(place) {
                    known.count += count;
                }
            }
            Err(place) if buckets.len() <= MOST_BUCKETS => {
                buckets.insert(place, Bucket { upper_bound, count });
            }
            Err(_) => {}
        }
    }

    /// The first histogram of how long answers take; none of one without its last bucket, or with too many.
    pub(super) fn response_times(&self) -> Option<Buckets> {
        let buckets = self.buckets.values().next()?;
        let is_whole = buckets.last().is_some_and(|last| last.upper_bound == f64::INFINITY);
        (is_whole && (2..=MOST_BUCKETS).contains(&buckets.len())).then(|| buckets.as_slice().into())
    }

    /// The value of what a role says: of its first row that was told.
    pub(super) fn value(&self, role: Role) -> Option<f64> {
        let mut rows =
            self.rows.iter().filter(|(row, _)| TABLE.get(**row).is_some_and(|row| row.role == role));
        rows.find_map(|(_, terms)| {
            terms.first().copied().flatten()?;
            Some(terms.iter().flatten().sum::<f64>().max(0.0))
        })
    }

    /// The pools of the first row that tells of any.
    pub(super) fn pools(&self) -> impl Iterator<Item = (&str, f64)> {
        let first = self.pools.values().next();
        first.into_iter().flatten().map(|(name, value)| (name.as_str(), *value))
    }
}

/// A line's series and its value; the time and the exemplar behind them are nobody's business here.
fn sample(line: &str) -> Option<(Series<'_>, f64)> {
    let (series, rest) = Series::parse(line)?;
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    let value = rest.split_ascii_whitespace().next()?;
    // Rust reads every spelling of the format: NaN, +Inf, -Inf, and numbers with exponents.
    Some((series, value.parse().ok()?))
}

/// A foreign name as the name of an area: letters and digits in lower case, and one line for everything between them.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for char in name.chars().take(64) {
        if char.is_ascii_alphanumeric() {
            slug.push(char.to_ascii_lowercase());
        } else if !slug.ends_with('_') {
            slug.push('_');
        }
    }
    slug.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, prefix: &str, selectors: &[&Selector]) -> Result<Told, String> {
        let index = Index::new();
        // In pieces of every length, as they come from a network.
        let mut told = Vec::new();
        for length in [1, 7, text.len().max(1)] {
            let mut exposition = Exposition::new(&index, prefix, selectors);
            let fed: Result<(), String> =
                text.as_bytes().chunks(length).try_for_each(|piece| exposition.feed(piece));
            told.push(fed.and_then(|()| exposition.finish()));
        }
        assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
        told.remove(0)
    }

    #[test]
    fn both_formats_are_read() {
        let text = "# HELP process_resident_memory_bytes Memory\n# TYPE process_resident_memory_bytes gauge\n\
                    process_resident_memory_bytes 1.5e+08\n\
                    nodejs_heap_size_used_bytes{pid=\"1\"} 1e7 1700000000000\n\
                    nodejs_heap_size_used_bytes{pid=\"2\"} 2e7\n\
                    nodejs_gc_duration_seconds_count{kind=\"minor\"} 5 # {trace_id=\"a\"} 0.1\n\
                    nodejs_gc_duration_seconds_count{kind=\"major\"} 2\r\n\
                    odd{x=\"a b\"} NaN\nodd 1\n# EOF\n";
        let told = read(text, "", &[]).unwrap();
        assert_eq!(told.value(Role::Bytes("rss")), Some(1.5e8));
        assert_eq!(told.value(Role::Bytes("heap")), Some(3e7));
        assert_eq!(told.value(Role::Count(crate::sample::Counter::YoungCollections)), Some(5.0));
        assert_eq!(told.value(Role::Count(crate::sample::Counter::OldCollections)), Some(2.0));
        assert_eq!((told.runtime, told.samples), (Some("node"), 7));
        assert_eq!(told.value(Role::Bytes("heap_committed")), None);
    }

    #[test]
    fn what_is_no_exposition_is_told_with_its_line() {
        for (text, message) in [
            ("<html>\n<body>", "line 1 is no metric"),
            ("up 1\nup\n", "line 2 is no metric"),
            ("up 1\nup{a=\"1\"}2\n", "line 2 is no metric"),
            ("up one\n", "line 1 is no metric"),
            ("{\"a\": 1}", "line 1 is no metric"),
            ("", "tells no metric"),
            ("# nothing\n", "tells no metric"),
        ] {
            let error = read(text, "", &[]).unwrap_err();
            assert!(error.contains(message), "{text:?}: {error}");
        }
        let endless = "x".repeat(LONGEST_LINE + 1);
        assert!(read(&endless, "", &[]).unwrap_err().contains("longer than 64 KiB"));
    }

    #[test]
    fn selected_metrics_are_summed_and_a_prefix_hides_the_well_known_ones() {
        let selector = |labels: &[(&str, &str)]| Selector {
            name: "cache_bytes".into(),
            labels: labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        };
        let (every, one, none) = (selector(&[]), selector(&[("shard", "a")]), selector(&[("shard", "c")]));
        let text = "cache_bytes{shard=\"a\",x=\"1\"} 1\ncache_bytes{shard=\"b\"} 2\nmy_process_resident_memory_bytes 7\n";
        let told = read(text, "my_", &[&every, &one, &none]).unwrap();
        assert_eq!(told.selected, [Some(3.0), Some(1.0), None]);
        assert_eq!(told.value(Role::Bytes("rss")), Some(7.0));
        assert_eq!(read(text, "", &[]).unwrap().value(Role::Bytes("rss")), None);
    }

    #[test]
    fn terms_are_taken_off_and_the_first_row_that_is_told_wins() {
        let text = "go_memstats_heap_sys_bytes 100\ngo_memstats_heap_released_bytes 30\n\
                    ruby_rss 5\nprocess_resident_memory_bytes 200\n\
                    nodejs_eventloop_delay_min_seconds 0.01\njvm_memory_max_bytes{area=\"heap\",id=\"a\"} -1\n\
                    jvm_memory_max_bytes{area=\"heap\",id=\"b\"} 64\n";
        let told = read(text, "", &[]).unwrap();
        assert_eq!(told.value(Role::Bytes("heap_committed")), Some(70.0));
        assert_eq!(told.value(Role::Bytes("rss")), Some(200.0));
        assert_eq!(told.value(Role::Lag), None, "what is taken off alone tells nothing");
        assert_eq!(told.value(Role::Limit("heap")), Some(64.0));
    }

    #[test]
    fn pools_are_named_after_the_label_and_bounded() {
        let mut text = String::from(
            "jvm_memory_pool_bytes_used{pool=\"G1 Eden Space\"} 1\n\
            jvm_memory_pool_bytes_used{pool=\"CodeHeap 'non-nmethods'\"} 2\n",
        );
        let told = read(&text, "", &[]).unwrap();
        assert_eq!(
            told.pools().collect::<Vec<_>>(),
            [("codeheap_non_nmethods", 2.0), ("g1_eden_space", 1.0)]
        );
        for number in 0..100 {
            text.push_str(&format!("jvm_memory_pool_bytes_used{{pool=\"p{number}\"}} 1\n"));
        }
        assert_eq!(read(&text, "", &[]).unwrap().pools().count(), MOST_POOLS);
    }

    #[test]
    fn buckets_of_all_pages_add_up_and_too_many_are_none() {
        let line = |of: &str, bound: &str, count: u32| {
            format!("http_request_duration_seconds_bucket{{path=\"{of}\",le=\"{bound}\"}} {count}\n")
        };
        let times = |text: &str| read(text, "", &[]).unwrap().response_times();
        let page = [
            line("/a", "+Inf", 9),
            line("/a", "0.5", 4),
            line("/b", "0.5", 1),
            line("/a", "2", 5),
            line("/b", "+Inf", 3),
            line("/b", "2.0", 1),
        ];
        let told: Vec<(f64, f64)> =
            times(&page.concat()).unwrap().iter().map(|bucket| (bucket.upper_bound, bucket.count)).collect();
        assert_eq!(told, [(0.5, 5.0), (2.0, 6.0), (f64::INFINITY, 12.0)]);
        assert_eq!(times(&page[1..4].concat()), None, "how many there are in all is not told");
        assert_eq!(times(&line("/a", "+Inf", 9)), None, "a bound is needed");
        let many = |bounds: u32| -> String {
            let bounded = (1..bounds).map(|bound| line("/", &bound.to_string(), bound));
            bounded.chain([line("/", "+Inf", bounds)]).collect()
        };
        assert_eq!(times(&many(128)).map(|told| told.len()), Some(128));
        assert_eq!(times(&many(129)), None);
    }
}
