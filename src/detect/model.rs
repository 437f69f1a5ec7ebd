//! The model that weighs the features: symmetric decision trees whose votes add up to log-odds.
//!
//! Training is offline and seeded (`benches/leakbench/train`); what it learned is the generated table [`weights`]. A
//! feature is kept as the number of borders below it, in one byte, so that an area remembers its features in little and
//! a tree asks nothing but comparisons of bytes. NaN, "nothing to say", lies below all borders.

pub(super) mod weights;

use super::features::ALL_FEATURES;
use serde::{Deserialize, Serialize};
use serde_big_array::BigArray;

/// Questions of a tree.
const DEPTH: usize = 6;
/// Leaves of a tree.
const LEAVES: usize = 1 << DEPTH;
/// No verdict is surer than this, in log-odds, whatever the trees say: they know nothing of what comes next.
const MAX_LOG_ODDS: f64 = 6.0;

/// A feature and the border that it must lie above: "has more than so many borders below it".
pub(super) type Question = (u8, u8);

/// A number that tells this table's borders from another one's: bytes that were kept under others mean something else.
pub const FINGERPRINT: u64 = fingerprint(&weights::BORDERS);

/// The features of one area as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binned(#[serde(with = "BigArray")] [u8; ALL_FEATURES]);

impl Default for Binned {
    fn default() -> Self {
        Self([0; ALL_FEATURES])
    }
}

impl Binned {
    /// Takes over features from number `first` on.
    pub fn put(&mut self, first: usize, features: &[f32]) {
        let borders = weights::BORDERS.iter().skip(first);
        for ((bin, borders), value) in self.0.iter_mut().skip(first).zip(borders).zip(features) {
            let below = borders.partition_point(|border| *value > *border);
            *bin = u8::try_from(below).unwrap_or(u8::MAX);
        }
    }

    /// The sum of all trees, in log-odds for a leak.
    #[must_use]
    pub fn log_odds(&self) -> f64 {
        let trees = weights::QUESTIONS.chunks_exact(DEPTH).zip(weights::VOTES.chunks_exact(LEAVES));
        let votes: i32 = trees.map(|(questions, votes)| self.vote(questions, votes)).sum();
        (f64::from(votes) * weights::SCALE + weights::BIAS).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS)
    }

    fn vote(&self, questions: &[Question], votes: &[i16]) -> i32 {
        let leaf = questions.iter().enumerate().fold(0, |leaf, (bit, (feature, border))| {
            let is_above = self.0.get(usize::from(*feature)).is_some_and(|bin| bin > border);
            leaf | usize::from(is_above) << bit
        });
        votes.get(leaf).copied().map_or(0, i32::from)
    }
}

/// A hash of all borders (FNV-1a by words).
const fn fingerprint(mut features: &[&[f32]]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    while let Some((first, others)) = features.split_first() {
        let mut borders = *first;
        hash = (hash ^ borders.len() as u64).wrapping_mul(PRIME);
        while let Some((border, higher)) = borders.split_first() {
            hash = (hash ^ border.to_bits() as u64).wrapping_mul(PRIME);
            borders = higher;
        }
        features = others;
    }
    hash
}
