//! The verdict on one area now, and the words that explain it.

pub use crate::severity::Severity;

use crate::sample::Seconds;
use serde::{Deserialize, Serialize};

/// The shape of an area's growth, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pattern {
    /// Nothing that matters happens.
    Stable,
    /// The floor rises at an even pace.
    Linear,
    /// The floor grows by a share of itself.
    Exponential,
    /// The floor rises faster and faster, slower than an exponential would.
    Accelerating,
    /// One or two jumps make up the rise.
    Step,
    /// Ceilings jump, the floor stays.
    Spike,
    /// Rises and falls that come back.
    Periodic,
    /// High against its limit for long, without growth.
    SustainedHigh,
    /// Growth that levels off, as a warm-up does.
    Saturating,
    /// The floor falls.
    Shrinking,
    /// Bytes per object grow.
    CacheBloat,
    /// Resident memory grows while live bytes do not.
    Fragmentation,
}

impl Pattern {
    /// All patterns, in the order in which they are exported.
    pub const ALL: [Self; 12] = [
        Self::Stable,
        Self::Linear,
        Self::Exponential,
        Self::Accelerating,
        Self::Step,
        Self::Spike,
        Self::Periodic,
        Self::SustainedHigh,
        Self::Saturating,
        Self::Shrinking,
        Self::CacheBloat,
        Self::Fragmentation,
    ];

    /// The value of the `pattern` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Linear => "linear",
            Self::Exponential => "exponential",
            Self::Accelerating => "accelerating",
            Self::Step => "step",
            Self::Spike => "spike",
            Self::Periodic => "periodic",
            Self::SustainedHigh => "sustained_high",
            Self::Saturating => "saturating",
            Self::Shrinking => "shrinking",
            Self::CacheBloat => "cache_bloat",
            Self::Fragmentation => "fragmentation",
        }
    }
}

/// An estimate with an interval around it, in the same unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The most likely value.
    pub value: f64,
    /// The lower end of the interval.
    pub lower: f64,
    /// The upper end; infinite where nothing bounds it.
    pub upper: f64,
}

/// The verdict on an area. Too little evidence is no finding at all, never a zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Growth of the floor in units a second, with its 90 % interval.
    pub growth: Estimate,
    /// How sure it is that this is a leak, 0 to 1.
    pub confidence: f64,
    /// The shape of the growth.
    pub pattern: Pattern,
    /// How much it matters, by the table in force.
    pub severity: Severity,
    /// Seconds until the nearest limit, with their 80 % interval; none where nothing grows or nothing limits.
    pub time_to_limit: Option<Estimate>,
    /// The floor now, in units.
    pub floor: f64,
    /// How much the floor has risen since the onset, in units.
    pub leaked: f64,
    /// When the growth began, as far back as memory goes.
    pub since: Seconds,
    /// What was seen that led to this.
    pub evidence: Evidence,
}

impl Finding {
    /// The same estimates, of which one is now this sure.
    #[must_use]
    pub(super) fn with_confidence(&self, confidence: f64) -> Self {
        Self { confidence, ..self.clone() }
    }
}

/// The numbers behind a finding; its `Display` puts them into words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// How far the floor rose over the deciding window, in units.
    pub rise: f64,
    /// The length of that window in seconds.
    pub window_secs: f64,
    /// The width of its buckets: the time until the next independent look.
    pub bucket_secs: f64,
    /// How many of its steps went up.
    pub steps_up: u16,
    /// How many steps it has; 0 where the growth does not matter and was not looked at closer.
    pub steps: u16,
    /// How many horizons agree.
    pub horizons: u8,
    /// The pace of the last third against the pace of the whole; 1 is even, 0 is a plateau.
    pub recent_pace: f64,
    /// Whether the unit is bytes (objects otherwise).
    pub bytes: bool,
    /// Whether a load that comes and goes each day was told from the growth.
    pub daily_load: bool,
    /// How the last lives of the same service went, where there were any.
    pub last_lives: Option<LastLives>,
}

/// How the last lives of a service went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastLives {
    /// How many of them in a row, the last one included, had levelled off; 0 where the last one had not.
    pub levelled: u16,
    /// By which age the last one had, in seconds; none where it had not.
    pub levelled_after_secs: Option<f32>,
    /// How old the last one became, in seconds.
    pub age_secs: f32,
    /// How far the floor of the last one rose in all, in units.
    pub rise: f32,
}
