//! What the queries found, put together by labels.

use super::{
    super::{
        super::complain,
        csv::{Point, checked},
        parallel::Intake,
        recording::{Recording, Samples, Told},
    },
    answer::{Labels, Piece},
};
use crate::{sample::Seconds, text::Plural};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Series at most.
const MOST_SERIES: usize = 10_000;
/// Samples in all: half a gigabyte.
const MOST_SAMPLES: usize = 30_000_000;
/// What stands for no limit lies above this.
const LARGEST_LIMIT: f64 = 1e15;
/// Starts that are this near to each other are one: exporters compute them from the uptime.
const SAME_START_SECS: f64 = 2.0;
/// The label that holds the metric's name.
const NAME: &str = "__name__";

/// Labels as they are kept.
type Kept = BTreeMap<Box<str>, Box<str>>;

/// The series that are to be judged.
pub(in super::super) struct Gathered {
    step_secs: f64,
    query: Box<str>,
    index: HashMap<Kept, usize>,
    series: Vec<Series>,
    samples: usize,
    /// Values that are no sizes.
    left_out: usize,
}

struct Series {
    labels: Kept,
    points: Vec<Point>,
    limit: Option<f64>,
    restarts: Option<Vec<Seconds>>,
}

impl Gathered {
    /// Nothing yet, of this query at this distance of samples.
    pub(super) fn new(step_secs: f64, query: &str) -> Self {
        let (index, series) = (HashMap::new(), Vec::new());
        Self { step_secs, query: query.into(), index, series, samples: 0, left_out: 0 }
    }

    /// Whether there is nothing to be judged.
    pub(super) fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// Takes in values of a series, later than those before. The error follows the URL.
    pub(super) fn take(&mut self, piece: &Piece<'_>) -> Result<(), String> {
        let labels = kept(&piece.labels);
        let position = match self.index.get(&labels) {
            Some(position) => *position,
            None if self.series.len() == MOST_SERIES => {
                return Err(format!("has more than {MOST_SERIES} series; narrow the query by labels"));
            }
            None => {
                self.index.insert(labels.clone(), self.series.len());
                self.series.push(Series { labels, points: Vec::new(), limit: None, restarts: None });
                self.series.len() - 1
            }
        };
        let Some(series) = self.series.get_mut(position) else { return Ok(()) };
        for (at, size) in piece.values() {
            let is_later = series.points.last().is_none_or(|last| at > last.at);
            match checked(Point { at, size }) {
                Ok(point) if is_later => {
                    series.points.push(point);
                    self.samples += 1;
                }
                Ok(_again) => {}
                Err(_no_size) => self.left_out += 1,
            }
        }
        if self.samples > MOST_SAMPLES {
            return Err(format!("has more than {MOST_SAMPLES} samples; shorten --range or lengthen --step"));
        }
        Ok(())
    }

    /// Gives each series the limit that has the most of its labels, and of several the lowest.
    pub(super) fn limit(&mut self, limits: &Marks) {
        for series in &mut self.series {
            let values = limits.of(&series.labels).map(|(_, value)| *value);
            series.limit = values.filter(|limit| (1.0..LARGEST_LIMIT).contains(limit)).reduce(f64::min);
        }
    }

    /// Gives each series the starts that have the most of its labels.
    pub(super) fn start(&mut self, starts: &Starts) {
        for series in &mut self.series {
            series.restarts = starts.0.of(&series.labels).next().map(|(_, starts)| starts.clone());
        }
    }

    /// Hands all series over, in the order of their names.
    pub(in super::super) fn hand_over(self, intake: &mut Intake) {
        if self.left_out > 0 {
            let values = Plural { count: self.left_out, thing: "value" };
            complain(&format!("memleak_exporter: {values} below 0 or without end left out"));
        }
        let (query, step_secs) = (&self.query, self.step_secs);
        let mut series: Vec<(Arc<str>, Series)> =
            self.series.into_iter().map(|series| (name(&series.labels, query).into(), series)).collect();
        series.sort_by(|one, other| one.0.cmp(&other.0));
        for (name, Series { points, limit, restarts, .. }) in series {
            // All of it was no size.
            if points.is_empty() {
                continue;
            }
            let told = Told { unit: None, limit, restarts, interval_secs: Some(step_secs) };
            let (label, samples) = (Arc::clone(&name), Samples::Memory(points.into_iter()));
            if !intake.take(Ok(Recording { name, label, told, samples })) {
                return;
            }
        }
    }
}

/// Values by labels, the metric's name left out.
pub(super) struct Marked<T>(Vec<(Kept, T)>);

impl<T> Default for Marked<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// One value for each.
pub(super) type Marks = Marked<f64>;

impl<T> Marked<T> {
    /// Those that apply to a series: all of their labels are the series', and no others have more of them.
    fn of(&self, labels: &Kept) -> impl Iterator<Item = &(Kept, T)> {
        let applies =
            |marked: &&(Kept, T)| marked.0.iter().all(|(name, value)| labels.get(name) == Some(value));
        let most = self.0.iter().filter(applies).map(|(labels, _)| labels.len()).max();
        self.0.iter().filter(applies).filter(move |(labels, _)| Some(labels.len()) == most)
    }
}

impl Marks {
    /// Takes in the last value of a series.
    pub(super) fn take(&mut self, piece: &Piece<'_>) -> Result<(), String> {
        if let Some((_, value)) = piece.values().last() {
            self.0.push((unnamed(&piece.labels), value));
        }
        Ok(())
    }
}

/// When processes were started, by labels.
#[derive(Default)]
pub(super) struct Starts(Marked<Vec<Seconds>>);

impl Starts {
    /// Takes in values of a series, later than those before.
    pub(super) fn take(&mut self, piece: &Piece<'_>) -> Result<(), String> {
        let labels = unnamed(&piece.labels);
        let known = &mut self.0.0;
        let position = known.iter().position(|(known, _)| *known == labels).unwrap_or_else(|| {
            known.push((labels, Vec::new()));
            known.len() - 1
        });
        let Some((_, starts)) = known.get_mut(position) else { return Ok(()) };
        for (_, start) in piece.values().filter(|(_, start)| start.is_finite()) {
            if starts.last().is_none_or(|last| start - last > SAME_START_SECS) {
                starts.push(start);
            }
        }
        Ok(())
    }
}

fn kept(labels: &Labels<'_>) -> Kept {
    labels.iter().map(|(name, value)| ((&**name).into(), (&**value).into())).collect()
}

fn unnamed(labels: &Labels<'_>) -> Kept {
    let mut kept = kept(labels);
    kept.remove(NAME);
    kept
}

/// A series as PromQL writes it; the query where it has no label at all.
fn name(labels: &Kept, query: &str) -> String {
    let metric = labels.get(NAME).map_or("", |name| name);
    let others: Vec<String> = labels
        .iter()
        .filter(|(name, _)| ***name != *NAME)
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    match (metric, others.as_slice()) {
        ("", []) => query.to_owned(),
        (metric, []) => metric.to_owned(),
        (metric, others) => format!("{metric}{{{}}}", others.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str) -> Piece<'_> {
        serde_json::from_str(text).unwrap()
    }

    fn gathered(labels: &[&str]) -> Gathered {
        let mut gathered = Gathered::new(30.0, "sum(x)");
        for labels in labels {
            let text = format!(r#"{{"metric":{labels},"values":[[0,"5"],[30,"NaN"],[60,"6"]]}}"#);
            gathered.take(&piece(&text)).unwrap();
        }
        gathered
    }

    #[test]
    fn pieces_of_a_series_become_one_without_what_is_no_size() {
        let mut gathered = gathered(&[r#"{"a":"1"}"#]);
        gathered
            .take(&piece(r#"{"metric":{"a":"1"},"values":[[60,"6"],[90,"-1"],[120,"+Inf"],[150,"7"]]}"#))
            .unwrap();
        let times: Vec<f64> = gathered.series[0].points.iter().map(|point| point.at).collect();
        assert_eq!((times, gathered.left_out, gathered.series.len()), (vec![0.0, 60.0, 150.0], 3, 1));
    }

    #[test]
    fn series_are_named_as_in_promql() {
        let names = |labels: &str| name(&gathered(&[labels]).series[0].labels, "sum(x)");
        assert_eq!(names(r#"{"__name__":"m","b":"x\"","a":"1"}"#), r#"m{a="1",b="x\""}"#);
        assert_eq!((names("{}").as_str(), names(r#"{"__name__":"m"}"#).as_str()), ("sum(x)", "m"));
    }

    #[test]
    fn limits_apply_by_their_labels_the_most_specific_first_and_then_the_lowest() {
        let mut gathered =
            gathered(&[r#"{"__name__":"m","i":"1","j":"x"}"#, r#"{"i":"2","j":"x"}"#, r#"{"i":"3"}"#]);
        let mut limits = Marks::default();
        for (labels, value) in [
            (r#"{"j":"x"}"#, "100"),
            (r#"{"__name__":"l","i":"1","j":"x"}"#, "70"),
            (r#"{"__name__":"k","i":"1","j":"x"}"#, "60"),
            (r#"{"i":"3"}"#, "9.2e18"),
        ] {
            limits.take(&piece(&format!(r#"{{"metric":{labels},"value":[0,"{value}"]}}"#))).unwrap();
        }
        gathered.limit(&limits);
        let found: Vec<Option<f64>> = gathered.series.iter().map(|series| series.limit).collect();
        assert_eq!(found, [Some(60.0), Some(100.0), None]);
    }

    #[test]
    fn each_new_start_is_a_restart() {
        let mut gathered = gathered(&[r#"{"i":"1"}"#, r#"{"i":"2"}"#]);
        let mut starts = Starts::default();
        for values in [r#"[[0,"-500"],[30,"-499.5"]]"#, r#"[[60,"45"],[90,"45.1"]]"#] {
            starts.take(&piece(&format!(r#"{{"metric":{{"i":"1"}},"values":{values}}}"#))).unwrap();
        }
        gathered.start(&starts);
        assert_eq!(gathered.series[0].restarts.as_deref(), Some(&[-500.0, 45.0][..]));
        assert_eq!(gathered.series[1].restarts, None);
    }
}
