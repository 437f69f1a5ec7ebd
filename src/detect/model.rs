//! The model that weighs the features: symmetric decision trees whose votes add up to log-odds.
//!
//! Training is offline and seeded (`benches/leakbench/train`); what it learned is the generated table [`weights`]. A
//! feature is kept as the number of borders below it, in one byte, so that an area remembers its features in little and
//! a tree asks nothing but comparisons of bytes. NaN, "nothing to say", lies below all borders.

pub(super) mod weights;

use super::{features::ALL_FEATURES, finding::Pattern};
use serde::{Deserialize, Serialize};
use serde_big_array::BigArray;

/// Questions of a tree.
const DEPTH: usize = 6;
/// Leaves of a tree.
const LEAVES: usize = 1 << DEPTH;
/// Questions of a tree for the pattern.
const PATTERN_DEPTH: usize = 5;
/// Patterns that such trees vote for.
const PATTERNS: usize = weights::PATTERNS.len();
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
    /// Takes over features from number `first` on, and says whether that changes anything.
    pub fn put(&mut self, first: usize, features: &[f32]) -> bool {
        let borders = weights::BORDERS.iter().skip(first);
        let mut changes = false;
        for ((bin, borders), value) in self.0.iter_mut().skip(first).zip(borders).zip(features) {
            let below = borders.partition_point(|border| *value > *border);
            let below = u8::try_from(below).unwrap_or(u8::MAX);
            changes |= *bin != below;
            *bin = below;
        }
        changes
    }

    /// The sum of all trees, in log-odds for a leak.
    #[must_use]
    pub fn log_odds(&self) -> f64 {
        let bins = self.padded();
        let (questions, votes) =
            (weights::QUESTIONS.as_chunks::<DEPTH>().0, weights::VOTES.as_chunks::<LEAVES>().0);
        let vote = |(questions, votes): (&[Question; DEPTH], &[i16; LEAVES])| {
            votes.get(leaf(&bins, questions)).copied().map_or(0, i32::from)
        };
        let votes: i32 = questions.iter().zip(votes).map(vote).sum();
        (f64::from(votes) * weights::SCALE + weights::BIAS).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS)
    }

    /// The pattern that gets most votes among those that are wanted.
    #[must_use]
    pub fn likeliest(&self, is_wanted: impl Fn(Pattern) -> bool) -> Pattern {
        let mut sums = [0i32; PATTERNS];
        let bins = self.padded();
        let all = weights::PATTERN_VOTES.chunks_exact(PATTERNS << PATTERN_DEPTH);
        for (questions, leaves) in weights::PATTERN_QUESTIONS.as_chunks::<PATTERN_DEPTH>().0.iter().zip(all) {
            let votes = leaves.chunks_exact(PATTERNS).nth(leaf(&bins, questions)).unwrap_or_default();
            for (sum, vote) in sums.iter_mut().zip(votes) {
                *sum += i32::from(*vote);
            }
        }
        let named = |name: &str| Pattern::ALL.into_iter().find(|pattern| pattern.as_str() == name);
        let candidates =
            weights::PATTERNS.iter().zip(sums).filter_map(|(name, sum)| Some((named(name)?, sum)));
        let wanted = candidates.filter(|(pattern, _)| is_wanted(*pattern));
        wanted.max_by_key(|(_, sum)| *sum).map_or(Pattern::Stable, |(pattern, _)| pattern)
    }

    /// The bytes with room for every number that a question can name, so that asking checks no bound.
    fn padded(&self) -> [u8; 1 + u8::MAX as usize] {
        let mut bins = [0; 1 + u8::MAX as usize];
        for (padded, bin) in bins.iter_mut().zip(self.0) {
            *padded = bin;
        }
        bins
    }
}

/// The number of the leaf that the answers lead to, below 2^`N`.
#[expect(clippy::indexing_slicing, reason = "a byte is always an index into as many bins as there are bytes")]
fn leaf<const N: usize>(bins: &[u8; 1 + u8::MAX as usize], questions: &[Question; N]) -> usize {
    let mut leaf = 0;
    for (bit, (feature, border)) in questions.iter().enumerate() {
        leaf |= usize::from(bins[usize::from(*feature)] > *border) << bit;
    }
    leaf
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let trees = weights::QUESTIONS.len() / DEPTH;
        assert!(
            trees > 0 && weights::QUESTIONS.len() == trees * DEPTH && weights::VOTES.len() == trees * LEAVES
        );
        let pattern_trees = weights::PATTERN_QUESTIONS.len() / PATTERN_DEPTH;
        assert_eq!(weights::PATTERN_VOTES.len(), pattern_trees * (PATTERNS << PATTERN_DEPTH));
        for (feature, border) in weights::QUESTIONS.iter().chain(&weights::PATTERN_QUESTIONS) {
            let borders = weights::BORDERS[usize::from(*feature)];
            assert!(usize::from(*border) < borders.len() || *border == u8::MAX, "{feature} {border}");
        }
        assert!(weights::BORDERS.iter().all(|borders| borders.is_sorted()));
        for name in weights::PATTERNS {
            assert!(Pattern::ALL.iter().any(|pattern| pattern.as_str() == name), "{name}");
        }
    }

    #[test]
    fn nothing_to_say_lies_below_all_borders() {
        let mut binned = Binned::default();
        binned.put(0, &[f32::NAN; ALL_FEATURES]);
        assert_eq!(binned, Binned::default());
        binned.put(0, &[f32::MAX; ALL_FEATURES]);
        assert!(
            binned.0.iter().zip(weights::BORDERS).all(|(bin, borders)| usize::from(*bin) == borders.len())
        );
    }
}
