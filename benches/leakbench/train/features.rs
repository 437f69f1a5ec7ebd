//! Writes what the detector measures of a labelled set, look by look, for training: rows of little-endian 32-bit floats.
//!
//!     features SET_DIR OUT_FILE [SHARE]
//!     features --names
//!
//! A row is the number of the series in `labels.jsonl`, the time in seconds, 1 where a leak is under way and 0 where
//! not, the weight of the row, and the features in their order. SHARE (1 by default) is the part of the looks that are
//! written; four times as many in the first four hours of a leak; the weight makes up for it.

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a tool for those who train, who see it fail; rows are 32-bit floats"
)]

use memleak_exporter::{
    detect::judge::LOOK_LEVEL,
    detect::judgement::{Circumstances, Judgement, Scratch},
    sample::Unit,
    series::ladder::Ladder,
};
use serde_json::Value;
use std::{
    error::Error,
    fs::{self, File},
    io::BufWriter,
    path::Path,
};

/// Looks in this time after the onset are kept four times as often, in seconds.
const FRESH_SECS: f64 = 4.0 * 3600.0;
const FRESH_FACTOR: f64 = 4.0;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments == ["--names"] {
        memleak_exporter::detect::features::names().for_each(|name| println!("{name}"));
        return Ok(());
    }
    let [set, out, rest @ ..] = arguments.as_slice() else {
        return Err("usage: features SET_DIR OUT_FILE [SHARE]".into());
    };
    let share: f64 = rest.first().map_or(Ok(1.0), |share| share.parse())?;
    let labels = fs::read_to_string(Path::new(set).join("labels.jsonl"))?;
    let mut out = BufWriter::new(File::create(out)?);
    for (number, line) in (0u64..).zip(labels.lines()) {
        let label: Value = serde_json::from_str(line)?;
        let name = label["name"].as_str().ok_or("a label without a name")?;
        let text = fs::read_to_string(Path::new(set).join(format!("{name}.csv")))?;
        let samples = text.lines().skip(1).map(sample).collect::<Result<Vec<_>, _>>()?;
        write_rows(number, &label, &samples, share, &mut out)?;
    }
    Ok(())
}

fn sample(line: &str) -> Result<(f64, f64), Box<dyn Error>> {
    let (time, size) = line.split_once(',').ok_or("a line without a comma")?;
    Ok((time.parse()?, size.parse()?))
}

fn write_rows(
    number: u64,
    label: &Value,
    samples: &[(f64, f64)],
    share: f64,
    out: &mut impl std::io::Write,
) -> Result<(), Box<dyn Error>> {
    let Some((start, _)) = samples.first() else { return Ok(()) };
    let is_leak = label["label"].as_i64() == Some(1);
    let onset = if is_leak { label["onset_s"].as_f64().unwrap_or(*start) } else { f64::INFINITY };
    let restarts: Vec<f64> =
        label["restarts_s"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let mut restarts = restarts.into_iter().peekable();
    let interval_secs = median_interval(samples);
    let mut circumstances = Circumstances { unit: Unit::Bytes, started_at: *start, limit: None };
    let (mut ladder, mut judgement) = (Ladder::new(interval_secs), Judgement::default());
    let mut scratch = Scratch::default();
    let mut random = Random::new(number);
    for (at, size) in samples {
        while restarts.next_if(|restart| restart <= at).is_some() {
            let past = judgement.end(&ladder, circumstances.started_at, &mut scratch);
            (ladder, judgement) = (Ladder::new(interval_secs), Judgement::after(past));
            scratch = Scratch::default();
            circumstances.started_at = *at;
        }
        // A judge looks less often where its model sees nothing; what it must learn to see begins there.
        let closed = ladder.push(*at, *size);
        if !closed.any_from(LOOK_LEVEL) {
            continue;
        }
        judgement.measure(&ladder, closed, &circumstances, &mut scratch);
        let is_fresh = (0.0..FRESH_SECS).contains(&(at - onset));
        let share = if is_fresh { (FRESH_FACTOR * share).min(1.0) } else { share };
        if random.next() < share {
            let head = [number as f32, *at as f32, f32::from(*at >= onset), (1.0 / share) as f32];
            for value in head.iter().chain(scratch.row()) {
                out.write_all(&value.to_le_bytes())?;
            }
        }
    }
    Ok(())
}

fn median_interval(samples: &[(f64, f64)]) -> f64 {
    let mut steps: Vec<f64> =
        samples.iter().zip(samples.iter().skip(1)).take(64).map(|(one, next)| next.0 - one.0).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().unwrap_or(1.0)
}

/// A small seeded generator (xorshift): the same rows for the same set.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}
