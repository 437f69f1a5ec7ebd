//! The one table of rules with their numbers in the presets. `docs/sensitivity.md` is written from it.
//!
//! Some numbers are decided elsewhere. They stand here all the same, so that a preset is one thing; they are neither
//! judged nor exported.

use super::{Areas, Level, Measure, Preset, Quantity, Rule, Threshold};
use std::fmt;

const KB: f64 = 1e3;
const MB: f64 = 1e6;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;

/// Numbers of one level.
macro_rules! warning {
    ($value:expr) => {
        &[(Level::Warning, $value)]
    };
    ($value:expr, critical $critical:expr) => {
        &[(Level::Warning, $value), (Level::Critical, $critical)]
    };
}

/// The number of a parameter.
macro_rules! any {
    ($value:expr) => {
        &[(Level::Any, $value)]
    };
}

/// Shorthand for the table: name, quantity, measure, areas, the three presets, effect.
macro_rules! rule {
    ($name:literal, $quantity:ident, $measure:expr, $areas:expr, [$strict:expr, $production:expr, $development:expr], $effect:literal) => {
        Rule {
            name: $name,
            quantity: Quantity::$quantity,
            measure: $measure,
            areas: $areas,
            effect: $effect,
            strict: $strict,
            production: $production,
            development: $development,
        }
    };
}

/// Over which time growth is counted and the share of high samples is taken, unless a rule says its own.
pub static WINDOW: Rule = rule!(
    "window",
    Seconds,
    Measure::Parameter,
    Areas::Bytes,
    [any!(30.0 * MINUTE), any!(6.0 * HOUR), any!(30.0 * MINUTE)],
    "The window of `growth_share`, `growth_amount`, `sustained_size` and `sustained_of_limit`."
);

/// In which share of the samples an area must be high.
pub static SUSTAINED_SAMPLES: Rule = rule!(
    "sustained_samples",
    Ratio,
    Measure::Parameter,
    Areas::Bytes,
    [any!(0.8), any!(0.8), any!(0.8)],
    "The share of samples that `sustained_size` and `sustained_of_limit` ask for."
);

/// All rules, in the order in which they are shown.
#[rustfmt::skip]
pub static RULES: &[&Rule] = &[
    &rule!("size", Bytes, Measure::Size, Areas::Bytes,
        [warning!(50.0 * MB), warning!(GIB, critical 2.0 * GIB), warning!(256.0 * MB, critical 512.0 * MB)],
        "The area is larger than it may be."),
    &rule!("growth", BytesPerSecond, Measure::Rate { window_secs: 2.0 * MINUTE }, Areas::Bytes,
        [warning!(2.0 * MB / MINUTE, critical 5.0 * MB / MINUTE), &[], warning!(5.0 * MB / MINUTE)],
        "The area grows fast; `critical` is rapid."),
    &rule!("growth_sustained", BytesPerSecond, Measure::Rate { window_secs: 10.0 * MINUTE }, Areas::Bytes,
        [warning!(100.0 * MB / HOUR), warning!(100.0 * MB / HOUR), &[]],
        "The area keeps growing."),
    &rule!("growth_share", Ratio, Measure::GrowthShare, Areas::Bytes,
        [warning!(0.1), warning!(0.25), warning!(0.25)],
        "The area has grown by this share of itself within the window, and by 1 MB at least."),
    &rule!("growth_amount", Bytes, Measure::Growth, Areas::Bytes,
        [warning!(100.0 * MB), &[], &[]],
        "The area has grown by this much within the window."),
    &WINDOW,
    &rule!("growth_rapid", Ratio, Measure::UsualRate { window_secs: 5.0 * MINUTE }, Areas::Bytes,
        [warning!(3.0), warning!(3.0), warning!(3.0)],
        "The area grows so many times faster than it usually does, and by 1 MB at least."),
    &rule!("heap_of_limit", Ratio, Measure::ShareOfLimit, Areas::Beginning("heap"),
        [warning!(0.8, critical 0.9), warning!(0.8, critical 0.9), &[]],
        "The heap is nearly full."),
    &rule!("gc_frequency", PerSecond, Measure::Collections, Areas::Target,
        [warning!(10.0 / MINUTE), warning!(30.0 / MINUTE), &[]],
        "Collections come so often that the heap must be too small or nearly full."),
    &rule!("external_size", Bytes, Measure::Size, Areas::Named("external"),
        [&[(Level::Warning, 150.0 * MB), (Level::Cleanup, 200.0 * MB), (Level::Aggressive, 400.0 * MB), (Level::Emergency, 600.0 * MB)], &[], &[]],
        "Memory beside the heap is larger than it may be."),
    &rule!("external_of_limit", Ratio, Measure::ShareOfLimit, Areas::Named("external"),
        [&[], &[(Level::Warning, 0.25), (Level::Critical, 0.5), (Level::Emergency, 0.75)], &[]],
        "Memory beside the heap takes this share of the limit."),
    &rule!("external_to_heap", Ratio, Measure::ExternalToHeap, Areas::Target,
        [warning!(3.0, critical 4.0), warning!(3.0, critical 4.0), &[]],
        "There is this much more memory beside the heap than in it."),
    &rule!("external_growth", BytesPerSecond, Measure::Rate { window_secs: 15.0 }, Areas::Named("external"),
        [warning!(MB), warning!(MB), &[]],
        "Memory beside the heap runs away."),
    &rule!("sustained_size", Bytes, Measure::SustainedSize, Areas::Bytes,
        [warning!(500.0 * MB), &[], &[]],
        "The area is nearly always this large."),
    &rule!("sustained_of_limit", Ratio, Measure::SustainedShare, Areas::Bytes,
        [&[], warning!(0.8), &[]],
        "The area nearly always takes this share of its limit."),
    &SUSTAINED_SAMPLES,
    &rule!("files", Objects, Measure::Size, Areas::Named("event_files"),
        [warning!(1000.0), warning!(10_000.0), &[]],
        "Files pile up in an event directory."),
    &rule!("cpu", Ratio, Measure::ProcessorShare, Areas::Target,
        [warning!(0.7, critical 0.9), warning!(0.8, critical 0.95), warning!(0.7, critical 0.9)],
        "The target uses this share of its processors."),
    &rule!("event_loop_lag", Seconds, Measure::EventLoopLag, Areas::Target,
        [warning!(0.01, critical 0.05), warning!(0.02, critical 0.1), warning!(0.01, critical 0.05)],
        "The event loop is late."),
    &rule!("response_time", Seconds, Measure::ResponseTime, Areas::Target,
        [warning!(0.5, critical 1.0), warning!(0.5, critical 1.0), &[]],
        "Requests are answered slowly."),
    &rule!("alert_cooldown", Seconds, Measure::Elsewhere("Alertmanager decides how often an alert is repeated: `repeat_interval` in its routes"), Areas::Target,
        [any!(5.0 * MINUTE), any!(15.0 * MINUTE), &[]],
        "The least time between two alerts about one thing."),
    &rule!("action_cooldown", Seconds, Measure::Elsewhere("the exporter takes no action yet"), Areas::Target,
        [any!(10.0 * MINUTE), any!(30.0 * MINUTE), &[]],
        "The least time between two actions on one target."),
    &rule!("sampling", Seconds, Measure::Elsewhere("write `sampling.interval`"), Areas::Target,
        [any!(3.0), any!(15.0), any!(3.0)],
        "The time between two samples that goes with the preset."),
    &rule!("full_report", Seconds, Measure::Elsewhere("the exporter writes no reports yet"), Areas::Target,
        [any!(5.0 * MINUTE), any!(HOUR), &[]],
        "The time between two full reports."),
];

impl Measure {
    /// How it is done, in words.
    #[must_use]
    pub fn how(&self) -> String {
        let span = |secs: f64| Shown { quantity: Quantity::Seconds, value: secs };
        match self {
            Self::Size => "all samples of half a minute".into(),
            Self::ShareOfLimit => "size against limit, all samples of half a minute".into(),
            Self::Rate { window_secs } => format!("floors, even over {}", span(*window_secs)),
            Self::UsualRate { window_secs } => {
                format!("floors, even over {}, against the mean of the past hour", span(*window_secs))
            }
            Self::Growth | Self::GrowthShare => "floors over the window".into(),
            Self::SustainedSize => "share of the samples of the window".into(),
            Self::SustainedShare => "size against limit, share of the samples of the window".into(),
            Self::Parameter => "parameter of other rules".into(),
            Self::Collections => {
                "mean of one to two minutes; full collections, or all where the runtime tells no generations".into()
            }
            Self::ExternalToHeap => {
                "`external` against `heap` of all that tell both, all samples of half a minute".into()
            }
            Self::ProcessorShare => {
                "mean of one to two minutes; one processor for each process of Node, CPython or Ruby, else all of this machine"
                    .into()
            }
            Self::EventLoopLag => "the latest of its processes, all samples of half a minute".into(),
            Self::ResponseTime => {
                "95 % are answered within, by the buckets of a histogram, else the mean answer; one to two minutes".into()
            }
            Self::Elsewhere(hint) => format!("not judged and not set here: {hint}"),
        }
    }
}

impl fmt::Display for Areas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => f.write_str("all in bytes"),
            Self::Named(name) => write!(f, "`{name}`"),
            Self::Beginning(beginning) => write!(f, "`{beginning}…`"),
            Self::Target => f.write_str("the target"),
        }
    }
}

/// The table as a document shows it, with a line for each rule.
#[must_use]
pub fn document() -> String {
    let mut table = String::from(
        "| rule | unit | areas | `strict` | `production` | `development` | what it means | how it is measured |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for rule in RULES {
        let [strict, production, development] = Preset::ALL.map(|(_, preset)| cell(rule, preset));
        table.push_str(&format!(
            "| `{}` | {} | {} | {strict} | {production} | {development} | {} | {} |\n",
            rule.name,
            rule.quantity.unit(),
            rule.areas,
            rule.effect,
            rule.measure.how(),
        ));
    }
    table
}

/// The numbers of a rule in a preset: `1 GiB warning, 2 GiB critical`.
fn cell(rule: &'static Rule, preset: Preset) -> String {
    let number = |&(level, value): &(Level, f64)| {
        let threshold = Threshold { rule, level, value };
        if level == Level::Any { threshold.to_string() } else { format!("{threshold} {}", level.as_str()) }
    };
    let numbers: Vec<String> = rule.numbers(preset).iter().map(number).collect();
    if numbers.is_empty() { "off".into() } else { numbers.join(", ") }
}

/// A number as a person writes it: `50 MB`, `1 GiB`, `100 MB/h`, `80 %`, `5 min`.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// What it counts.
    pub quantity: Quantity,
    /// The number, in the unit of the quantity.
    pub value: f64,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quantity, value } = *self;
        match quantity {
            Quantity::Bytes => size(f, value, ""),
            Quantity::Objects => write!(f, "{value:.0}"),
            Quantity::Ratio if value.abs() <= 1.0 => write!(f, "{} %", Rounded(value * 100.0)),
            Quantity::Ratio => write!(f, "{}", Rounded(value)),
            Quantity::Seconds => time(f, value),
            Quantity::BytesPerSecond => {
                let (factor, suffix) =
                    period(value, MB).or_else(|| period(value, KB)).unwrap_or((MINUTE, "/min"));
                size(f, value * factor, suffix)
            }
            Quantity::PerSecond => {
                let (factor, suffix) = period(value, 1.0).unwrap_or((MINUTE, "/min"));
                write!(f, "{}{suffix}", Rounded(value * factor))
            }
        }
    }
}

/// The shortest period in which a rate is a whole number of `unit`.
fn period(rate: f64, unit: f64) -> Option<(f64, &'static str)> {
    let is_whole = |scaled: f64| scaled > 0.5 && (scaled - scaled.round()).abs() < 1e-9 * scaled;
    [(1.0, "/s"), (MINUTE, "/min"), (HOUR, "/h")]
        .into_iter()
        .find(|(factor, _)| is_whole(rate * factor / unit))
}

/// Bytes in powers of 1024 where that is exact and powers of 1000 are not, else in powers of 1000.
fn size(f: &mut fmt::Formatter<'_>, value: f64, suffix: &str) -> fmt::Result {
    let binary = [(GIB, "GiB"), (1024.0 * 1024.0, "MiB")];
    let is_multiple = |of: f64| value >= of && value % of == 0.0;
    if let Some((factor, unit)) =
        binary.into_iter().find(|(factor, _)| is_multiple(*factor) && !is_multiple(MB))
    {
        return write!(f, "{:.0} {unit}{suffix}", value / factor);
    }
    let decimal = [(1e12, "TB"), (1e9, "GB"), (MB, "MB"), (KB, "kB")];
    match decimal.into_iter().find(|(factor, _)| value.abs() >= *factor) {
        Some((factor, unit)) => write!(f, "{} {unit}{suffix}", Rounded(value / factor)),
        None => write!(f, "{value:.0} B{suffix}"),
    }
}

fn time(f: &mut fmt::Formatter<'_>, secs: f64) -> fmt::Result {
    let units = [(HOUR, "h"), (MINUTE, "min"), (1.0, "s"), (1e-3, "ms")];
    let (factor, unit) = units
        .into_iter()
        .find(|(factor, _)| secs >= *factor && is_near_whole(secs / factor))
        .unwrap_or((1.0, "s"));
    write!(f, "{} {unit}", Rounded(secs / factor))
}

fn is_near_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-9
}

/// At most one digit behind the point below 100, none above, and no zero at the end.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.abs() >= 100.0 || is_near_whole(value) || (value * 10.0).round() % 10.0 == 0.0 {
            write!(f, "{value:.0}")
        } else {
            write!(f, "{value:.1}")
        }
    }
}
