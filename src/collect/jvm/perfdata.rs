//! The file in which a JVM of the `HotSpot` kind keeps its counters for others to read, `hsperfdata`, in its second version.
//!
//! A prologue of 32 bytes, then entries, each with its length and the places of its name and its value. Whoever owns the
//! process may write what they like into it, so nothing is believed: every place is looked up with a check, the number of
//! entries is bounded by the file's, and a number that cannot be a size counts for nothing.

use std::collections::HashMap;

/// What every such file begins with, whatever the order of its other bytes.
const MAGIC: [u8; 4] = [0xca, 0xfe, 0xc0, 0xc0];
/// The only version that there has been since Java 5.
const MAJOR: u8 = 2;
/// The head of an entry; its name and value stand behind it.
const ENTRY_BYTES: usize = 20;
/// The type of a number, as the letter of its signature.
const LONG: u8 = b'J';
/// The type of a text's letters.
const BYTE: u8 = b'B';
/// Collectors and generations are looked for up to this number; there have been three and two.
const MOST_PARTS: usize = 8;
/// Sizes are exact up to here.
const LARGEST: i64 = 1 << 53;

/// Why a file tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The JVM is still writing it for the first time.
    NotYet,
    /// It is no such file.
    NoPerfData,
}

/// What a JVM tells of its memory; sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Jvm {
    pub(super) heap: f64,
    /// What of it was taken from the system and can be used: of two survivor spaces one is always empty.
    pub(super) heap_committed: f64,
    pub(super) heap_max: Option<f64>,
    /// The old generation, or the whole heap where there is one only.
    pub(super) old: f64,
    /// Each pool by the name of its area.
    pub(super) pools: Vec<(&'static str, f64)>,
    pub(super) metaspace: Option<f64>,
    pub(super) classes: Option<f64>,
    pub(super) young_collections: Option<f64>,
    pub(super) old_collections: Option<f64>,
    pub(super) collection_secs: Option<f64>,
}

/// The counters of a file by their names.
struct Counters<'a> {
    numbers: HashMap<&'a [u8], i64>,
    texts: HashMap<&'a [u8], &'a [u8]>,
}

/// What a file says.
pub(super) fn parse(file: &[u8]) -> Result<Jvm, Unreadable> {
    let counters = Counters::parse(file)?;
    Jvm::of(&counters).ok_or(Unreadable::NotYet)
}

impl<'a> Counters<'a> {
    fn parse(file: &'a [u8]) -> Result<Self, Unreadable> {
        let head: &[u8; 32] = file.first_chunk().ok_or(Unreadable::NoPerfData)?;
        let [_, _, _, _, order, major, _, is_accessible, ..] = *head;
        if !file.starts_with(&MAGIC) || order > 1 || major != MAJOR {
            return Err(Unreadable::NoPerfData);
        }
        if is_accessible == 0 {
            return Err(Unreadable::NotYet);
        }
        let bytes = Bytes { file, is_little: order == 1 };
        let mut counters = Self { numbers: HashMap::new(), texts: HashMap::new() };
        let (mut at, count) = (bytes.place(24), bytes.place(28));
        for _ in 0..count.unwrap_or(0).min(file.len() / ENTRY_BYTES) {
            let Some(begin) = at else { break };
            let Some(length) = counters.take_in(bytes, begin) else { break };
            at = begin.checked_add(length);
        }
        if counters.numbers.is_empty() { Err(Unreadable::NoPerfData) } else { Ok(counters) }
    }

    /// Takes in the entry that begins there, and gives its length; none where it has no end.
    fn take_in(&mut self, bytes: Bytes<'a>, begin: usize) -> Option<usize> {
        let length = bytes.place(begin).filter(|length| *length >= ENTRY_BYTES)?;
        let behind = |offset: usize| begin.checked_add(bytes.place(begin + offset)?);
        let (name, value) = (bytes.text(behind(4)?, length)?, behind(16)?);
        let (elements, kind) = (bytes.place(begin + 8)?, *bytes.file.get(begin + 12)?);
        match kind {
            LONG if elements == 0 => {
                self.numbers.insert(name, bytes.long(value)?);
            }
            BYTE => {
                self.texts.insert(name, bytes.text(value, elements)?);
            }
            _ => {}
        }
        Some(length)
    }

    /// A number that can be a size or a count.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and larger ones are left out")]
    fn number(&self, name: &str) -> Option<f64> {
        let number = self.numbers.get(name.as_bytes()).copied()?;
        (0..=LARGEST).contains(&number).then_some(number as f64)
    }

    fn text(&self, name: &str) -> Option<&'a [u8]> {
        self.texts.get(name.as_bytes()).copied()
    }
}

/// The bytes of a file with their order.
#[derive(Clone, Copy)]
struct Bytes<'a> {
    file: &'a [u8],
    is_little: bool,
}

impl<'a> Bytes<'a> {
    fn chunk<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        let mut chunk = *self.file.get(at..)?.first_chunk()?;
        if !self.is_little {
            chunk.reverse();
        }
        Some(chunk)
    }

    /// A length or a place; none where it is negative or outside of the file.
    fn place(self, at: usize) -> Option<usize> {
        let place = usize::try_from(i32::from_le_bytes(self.chunk(at)?)).ok()?;
        (place <= self.file.len()).then_some(place)
    }

    fn long(self, at: usize) -> Option<i64> {
        Some(i64::from_le_bytes(self.chunk(at)?))
    }

    /// A text up to its NUL, of at most so many bytes.
    fn text(self, at: usize, most: usize) -> Option<&'a [u8]> {
        let rest = self.file.get(at..)?;
        let rest = rest.get(..most).unwrap_or(rest);
        rest.split(|byte| *byte == 0).next()
    }
}

/// One generation of the heap.
#[derive(Default)]
struct Generation {
    used: f64,
    committed: f64,
    max: f64,
    eden: Option<f64>,
    survivors: Vec<f64>,
}

impl Jvm {
    /// None where nothing of the heap is told.
    fn of(counters: &Counters<'_>) -> Option<Self> {
        let generations: Vec<Generation> =
            (0..MOST_PARTS).filter_map(|number| Generation::of(counters, number)).collect();
        let sum = |of: fn(&Generation) -> f64| generations.iter().map(of).sum::<f64>();
        let last = generations.last()?;
        // Every generation of this collector may take the whole heap.
        let is_shared = counters.text("sun.gc.policy.name") == Some(b"GarbageFirst");
        let largest = generations.iter().map(|generation| generation.max).fold(0.0, f64::max);
        let heap_max = if is_shared { largest } else { sum(|generation| generation.max) };
        let mut pools = Vec::new();
        if let [young, old] = generations.as_slice() {
            pools.extend(young.eden.map(|eden| ("pool_eden", eden)));
            pools.push(("pool_survivor", young.survivors.iter().sum()));
            pools.push(("pool_old", old.used));
        }
        let collector =
            |number: usize, what: &str| counters.number(&format!("sun.gc.collector.{number}.{what}"));
        let total = |numbers: std::ops::Range<usize>, what: &str| {
            numbers.filter_map(|number| collector(number, what)).reduce(|sum, value| sum + value)
        };
        let frequency = counters.number("sun.os.hrt.frequency").filter(|frequency| *frequency > 0.0);
        let loaded = counters.number("java.cls.loadedClasses");
        let unloaded = counters.number("java.cls.unloadedClasses").unwrap_or(0.0);
        Some(Self {
            heap: sum(|generation| generation.used),
            heap_committed: sum(|generation| generation.committed),
            heap_max: (heap_max > 0.0).then_some(heap_max),
            old: last.used,
            pools,
            metaspace: counters.number("sun.gc.metaspace.used"),
            classes: loaded.map(|loaded| (loaded - unloaded).max(0.0)),
            young_collections: collector(0, "invocations"),
            old_collections: total(1..MOST_PARTS, "invocations"),
            collection_secs: total(0..MOST_PARTS, "time").zip(frequency).map(|(ticks, each)| ticks / each),
        })
    }
}

impl Generation {
    /// None where there is none of this number, or where nothing is in it.
    fn of(counters: &Counters<'_>, number: usize) -> Option<Self> {
        let of = |what: &str| counters.number(&format!("sun.gc.generation.{number}.{what}"));
        let mut generation = Self { max: of("maxCapacity")?, ..Self::default() };
        let (mut capacity, mut has_spaces) = (0.0, false);
        let mut survivor_capacities = Vec::new();
        for space in 0..MOST_PARTS {
            let name = counters.text(&format!("sun.gc.generation.{number}.space.{space}.name"));
            let of = |what: &str| of(&format!("space.{space}.{what}"));
            let Some((used, room)) = of("used").zip(of("capacity")) else { continue };
            has_spaces = true;
            generation.used += used;
            capacity += room;
            match name {
                Some(b"eden") => generation.eden = Some(used),
                Some(b"s0" | b"s1") => {
                    generation.survivors.push(used);
                    survivor_capacities.push(room);
                }
                _ => {}
            }
        }
        if let [one, other] = survivor_capacities.as_slice() {
            capacity -= one.min(*other);
        }
        // Where the space is the whole reservation, the generation tells what is committed of it.
        generation.committed = of("capacity").map_or(capacity, |committed| committed.min(capacity));
        has_spaces.then_some(generation)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file with these counters, in the order of bytes of x86.
    pub(in crate::collect::jvm) fn file(numbers: &[(&str, i64)], texts: &[(&str, &str)]) -> Vec<u8> {
        let mut entries = Vec::new();
        let mut entry = |name: &str, elements: u32, kind: u8, value: &[u8]| {
            let name_bytes = (name.len() + 1).next_multiple_of(8);
            let place = u32::try_from(ENTRY_BYTES + name_bytes).unwrap();
            let length = (ENTRY_BYTES + name_bytes + value.len()).next_multiple_of(4);
            let begin = entries.len();
            entries.extend_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
            entries.extend_from_slice(&20u32.to_le_bytes());
            entries.extend_from_slice(&elements.to_le_bytes());
            entries.extend_from_slice(&[kind, 0, 1, 1]);
            entries.extend_from_slice(&place.to_le_bytes());
            entries.extend_from_slice(name.as_bytes());
            entries.resize(begin + ENTRY_BYTES + name_bytes, 0);
            entries.extend_from_slice(value);
            entries.resize(begin + length, 0);
        };
        for (name, value) in numbers {
            entry(name, 0, LONG, &value.to_le_bytes());
        }
        for (name, value) in texts {
            entry(name, u32::try_from(value.len() + 1).unwrap(), BYTE, &[value.as_bytes(), &[0]].concat());
        }
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&[1, MAJOR, 0, 1]);
        file.extend_from_slice(&[0; 16]);
        file.extend_from_slice(&32u32.to_le_bytes());
        file.extend_from_slice(&u32::try_from(numbers.len() + texts.len()).unwrap().to_le_bytes());
        file.extend(entries);
        file
    }

    /// What a JVM with the serial collector tells, in round numbers; its survivor spaces have 10 bytes each.
    pub(in crate::collect::jvm) fn serial(old: i64, full_collections: i64) -> Vec<u8> {
        let numbers = [
            ("sun.gc.generation.0.maxCapacity", 200),
            ("sun.gc.generation.0.capacity", 120),
            ("sun.gc.generation.0.space.0.used", 40),
            ("sun.gc.generation.0.space.0.capacity", 100),
            ("sun.gc.generation.0.space.1.used", 3),
            ("sun.gc.generation.0.space.1.capacity", 10),
            ("sun.gc.generation.0.space.2.used", 0),
            ("sun.gc.generation.0.space.2.capacity", 10),
            ("sun.gc.generation.1.maxCapacity", 300),
            ("sun.gc.generation.1.capacity", 250),
            ("sun.gc.generation.1.space.0.used", old),
            ("sun.gc.generation.1.space.0.capacity", 250),
            ("sun.gc.collector.0.invocations", 5),
            ("sun.gc.collector.0.time", 2_000),
            ("sun.gc.collector.1.invocations", full_collections),
            ("sun.gc.collector.1.time", 1_000),
            ("sun.os.hrt.frequency", 1_000),
            ("sun.gc.metaspace.used", 77),
            ("java.cls.loadedClasses", 1_147),
            ("java.cls.unloadedClasses", 47),
        ];
        let spaces = [
            ("sun.gc.generation.0.space.0.name", "eden"),
            ("sun.gc.generation.0.space.1.name", "s0"),
            ("sun.gc.generation.0.space.2.name", "s1"),
        ];
        file(&numbers, &spaces)
    }

    #[test]
    fn a_jvm_tells_its_heap_by_pool_its_metaspace_and_its_collections() {
        let jvm = parse(&serial(90, 2)).unwrap();
        let expected = Jvm {
            heap: 133.0,
            heap_committed: 360.0,
            heap_max: Some(500.0),
            old: 90.0,
            pools: vec![("pool_eden", 40.0), ("pool_survivor", 3.0), ("pool_old", 90.0)],
            metaspace: Some(77.0),
            classes: Some(1100.0),
            young_collections: Some(5.0),
            old_collections: Some(2.0),
            collection_secs: Some(3.0),
        };
        assert_eq!(jvm, expected);
    }

    #[test]
    fn the_largest_heap_of_g1_is_told_with_each_generation() {
        let numbers = [
            ("sun.gc.generation.0.maxCapacity", 512),
            ("sun.gc.generation.0.space.0.used", 1),
            ("sun.gc.generation.0.space.0.capacity", 18),
            ("sun.gc.generation.1.maxCapacity", 512),
            ("sun.gc.generation.1.capacity", 60),
            ("sun.gc.generation.1.space.0.used", 2),
            ("sun.gc.generation.1.space.0.capacity", 512),
        ];
        let g1 = parse(&file(&numbers, &[("sun.gc.policy.name", "GarbageFirst")])).unwrap();
        assert_eq!((g1.heap, g1.heap_committed, g1.heap_max), (3.0, 78.0, Some(512.0)));
        let z = parse(&file(&numbers[3..], &[])).unwrap();
        assert_eq!((z.heap, z.heap_committed, z.old, z.pools.len()), (2.0, 60.0, 2.0, 0));
    }

    #[test]
    fn what_is_no_such_file_is_refused_and_one_that_is_being_written_is_left_for_later() {
        let good = serial(90, 2);
        let with = |at: usize, byte: u8| {
            let mut file = good.clone();
            file[at] = byte;
            parse(&file)
        };
        assert_eq!(with(0, 0), Err(Unreadable::NoPerfData));
        assert_eq!(with(4, 9), Err(Unreadable::NoPerfData));
        assert_eq!(with(5, 1), Err(Unreadable::NoPerfData));
        assert_eq!(with(7, 0), Err(Unreadable::NotYet));
        assert_eq!(parse(&file(&[("java.threads.live", 1)], &[])), Err(Unreadable::NotYet));
        assert_eq!(parse(&[]), Err(Unreadable::NoPerfData));
        assert_eq!(parse(b"\xca\xfe\xc0\xc0"), Err(Unreadable::NoPerfData));
    }

    /// Every byte replaced, and every end: nothing panics, loops or becomes a negative or infinite size.
    #[test]
    fn no_file_does_harm() {
        let good = serial(90, 2);
        let check = |file: &[u8]| {
            let Ok(jvm) = parse(file) else { return };
            for size in [jvm.heap, jvm.heap_committed, jvm.old, jvm.metaspace.unwrap_or(0.0)] {
                assert!((0.0..=1e18).contains(&size), "{jvm:?}");
            }
        };
        for at in 0..good.len() {
            check(&good[..at]);
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut file = good.clone();
                file[at] = byte;
                check(&file);
            }
        }
    }
}
