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
/// Trees for the confidence.
const TREES: usize = weights::QUESTIONS.len() / DEPTH;
/// Room for their leaves: a power of two, so that cutting a number to it checks no bound.
const ROOM: usize = TREES.next_power_of_two();
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

    /// The sum of all trees, in log-odds for a leak; `last` holds the answers of the row that was asked about before.
    #[must_use]
    pub fn log_odds(&self, last: &mut Answered) -> f64 {
        last.turn_to(&self.0);
        (f64::from(last.votes) * weights::SCALE + weights::BIAS).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS)
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

/// What a tree says at a leaf.
#[expect(clippy::indexing_slicing, reason = "a number cut to the leaves is always one of them")]
fn vote((leaf, votes): (&u8, &[i16; LEAVES])) -> i32 {
    i32::from(votes[usize::from(*leaf) % LEAVES])
}

/// All questions for the confidence, in the order of their features and borders.
///
/// Of a feature with so many borders below it, just the questions at these are answered with yes, and they stand
/// together (the idea of Lucchese and others, `QuickScorer`, SIGIR 2015). So between two rows just the questions at the
/// borders between their values are answered otherwise: a third as many steps as going from tree to tree for two areas
/// that have nothing in common, next to none for two looks at one, and none that depends on the one before.
struct Answers {
    features: [Borders; ALL_FEATURES],
    /// For each border where its questions end in `marks`.
    ends: [u16; BORDERS],
    marks: [Mark; weights::QUESTIONS.len()],
}

/// Where a feature's borders are.
#[derive(Clone, Copy)]
struct Borders {
    /// Where its questions begin.
    first_mark: u16,
    /// Where its borders begin.
    first_border: u16,
}

/// What another answer does: it turns a bit in the number of a tree's leaf.
#[derive(Clone, Copy)]
struct Mark {
    tree: u16,
    bit: u8,
}

/// Borders of all features.
const BORDERS: usize = {
    let (mut borders, mut features) = (0, weights::BORDERS.as_slice());
    while let Some((feature, others)) = features.split_first() {
        borders += feature.len();
        features = others;
    }
    borders
};
const ANSWERS: &Answers = &Answers::of_table();

impl Answers {
    /// Sorts the questions by counting them, while the program is compiled.
    #[expect(clippy::indexing_slicing, reason = "what is out of bounds does not compile")]
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 65,536 of each")]
    const fn of_table() -> Self {
        let mut features = [Borders { first_mark: 0, first_border: 0 }; ALL_FEATURES];
        let (mut feature, mut border) = (0, 0);
        while feature < ALL_FEATURES {
            features[feature].first_border = border as u16;
            border += weights::BORDERS[feature].len();
            feature += 1;
        }
        // How many ask at each border, and then where their marks begin, and then, when all are placed, where they end.
        let mut ends = [0; BORDERS];
        let mut number = 0;
        while number < weights::QUESTIONS.len() {
            if let Some(border) = Self::border_of(weights::QUESTIONS[number], &features) {
                ends[border] += 1;
            }
            number += 1;
        }
        let (mut border, mut begin) = (0, 0);
        while border < BORDERS {
            (ends[border], begin) = (begin, begin + ends[border]);
            border += 1;
        }
        let mut feature = 0;
        while feature < ALL_FEATURES {
            let first = features[feature].first_border as usize;
            features[feature].first_mark = if first < BORDERS { ends[first] } else { begin };
            feature += 1;
        }
        let mut marks = [Mark { tree: 0, bit: 0 }; weights::QUESTIONS.len()];
        let mut number = 0;
        while number < weights::QUESTIONS.len() {
            if let Some(border) = Self::border_of(weights::QUESTIONS[number], &features) {
                marks[ends[border] as usize] =
                    Mark { tree: (number / DEPTH) as u16, bit: 1 << (number % DEPTH) };
                ends[border] += 1;
            }
            number += 1;
        }
        Self { features, ends, marks }
    }

    /// The number of the border that is asked for; none where there is none, which fills trees of fewer questions.
    #[expect(clippy::indexing_slicing, reason = "what is out of bounds does not compile")]
    const fn border_of(question: Question, features: &[Borders; ALL_FEATURES]) -> Option<usize> {
        let (feature, border) = (question.0 as usize, question.1 as usize);
        if border < weights::BORDERS[feature].len() {
            Some(features[feature].first_border as usize + border)
        } else {
            None
        }
    }

    /// The marks of a feature that lie between so many borders below it and so many.
    fn between(&self, feature: Borders, was: u8, is: u8) -> &[Mark] {
        let (one, other) = (self.end(feature, was), self.end(feature, is));
        self.marks.get(one.min(other)..one.max(other)).unwrap_or_default()
    }

    /// Where the marks of a feature end that has so many borders below it.
    fn end(&self, feature: Borders, below: u8) -> usize {
        let last = usize::from(feature.first_border) + usize::from(below);
        let end = last.checked_sub(1).filter(|_| below > 0).and_then(|last| self.ends.get(last));
        usize::from(*end.unwrap_or(&feature.first_mark))
    }
}

/// The row that was asked about last, the leaf of each tree that it led to, below 2^[`DEPTH`], and what these say in sum.
#[derive(Clone, Debug)]
pub struct Answered {
    bins: [u8; ALL_FEATURES],
    leaves: [u8; ROOM],
    votes: i32,
}

impl Default for Answered {
    /// Where everything is answered with no.
    fn default() -> Self {
        let mut answered = Self { bins: [0; ALL_FEATURES], leaves: [0; ROOM], votes: 0 };
        answered.votes = answered.sum();
        answered
    }
}

impl Answered {
    /// Answers otherwise what these features are answered otherwise to.
    fn turn_to(&mut self, bins: &[u8; ALL_FEATURES]) {
        let was = std::mem::replace(&mut self.bins, *bins);
        let turns = || {
            let changed =
                ANSWERS.features.iter().zip(was.iter().zip(bins)).filter(|(_, (was, is))| was != is);
            changed.map(|(feature, (was, is))| ANSWERS.between(*feature, *was, *is))
        };
        // A turn asks its tree twice, before and after.
        if 2 * turns().map(<[Mark]>::len).sum::<usize>() < TREES {
            turns().flatten().for_each(|mark| self.turn_and_ask(*mark));
        } else {
            turns().flatten().for_each(|mark| self.turn(*mark));
            self.votes = self.sum();
        }
    }

    #[expect(clippy::indexing_slicing, reason = "a number cut to the room is always within it")]
    fn turn(&mut self, Mark { tree, bit }: Mark) {
        self.leaves[usize::from(tree) % ROOM] ^= bit;
    }

    fn turn_and_ask(&mut self, mark: Mark) {
        self.votes -= self.vote_of(mark.tree);
        self.turn(mark);
        self.votes += self.vote_of(mark.tree);
    }

    #[expect(clippy::indexing_slicing, reason = "a number cut to the room is always within it")]
    fn vote_of(&self, tree: u16) -> i32 {
        let leaf = self.leaves[usize::from(tree) % ROOM];
        weights::VOTES.as_chunks().0.get(usize::from(tree)).map_or(0, |votes| vote((&leaf, votes)))
    }

    /// What all trees say.
    fn sum(&self) -> i32 {
        self.leaves.iter().zip(weights::VOTES.as_chunks().0).map(vote).sum()
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
    fn marks_lead_to_the_leaves_that_the_questions_lead_to() {
        let mut rows = vec![Binned([0; ALL_FEATURES]), Binned([u8::MAX; ALL_FEATURES])];
        let counts = weights::BORDERS.map(|borders| borders.len());
        rows[1].put(0, &[f32::MAX; ALL_FEATURES]);
        for row in 1..200usize {
            let bin = |(feature, count): (usize, usize)| {
                u8::try_from((row * 7_919 + feature * 104_729 + row * feature) % (count + 1)).unwrap()
            };
            let bins: Vec<u8> = counts.into_iter().enumerate().map(bin).collect();
            rows.push(Binned(bins.try_into().unwrap()));
            // And one that is much alike, as the next look at an area is: few trees are turned.
            let mut next = rows[rows.len() - 1].clone();
            let feature = row % ALL_FEATURES;
            next.0[feature] = u8::try_from(counts[feature]).unwrap() - next.0[feature];
            rows.push(next);
        }
        let mut last = Answered::default();
        for row in rows {
            last.turn_to(&row.0);
            let bins = row.padded();
            let asked = weights::QUESTIONS.as_chunks::<DEPTH>().0.iter().map(|asks| leaf(&bins, asks));
            let marked = last.leaves.map(usize::from);
            assert!(asked.eq(marked.into_iter().take(TREES)), "{row:?}");
            assert_eq!(last.votes, last.sum(), "{row:?}");
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
