//! The table of the largest targets, so that the page is of use where nothing leaks.

use super::{is_bytes, write_cell, write_columns, write_end, write_target_cell};
use crate::{
    detect::words::Amount,
    sample::Kind,
    snapshot::{Snapshot, TargetView},
    text::Plural,
};
use std::fmt::{self, Write as _};

/// The areas shown, with the words above them; the first one that a target has is its size.
const AREAS: [(&str, &str); 4] =
    [("anon", "Anonymous"), ("rss", "Resident"), ("swap", "Swap"), ("fds", "Descriptors")];

/// Writes the table with at most so many rows.
pub(super) fn write(html: &mut String, snapshot: &Snapshot, rows_max: usize) -> fmt::Result {
    let mut targets: Vec<(f64, &TargetView)> = snapshot
        .targets
        .iter()
        .filter(|target| target.members > 0)
        .map(|target| (size_bytes(target), target))
        .collect();
    targets.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    html.write_str("<section aria-labelledby=\"sizes\">\n<h2 id=\"sizes\">Largest targets</h2>\n")?;
    let shown = targets.len().min(rows_max);
    if shown == 0 {
        html.write_str(
            "<p class=\"empty\"><strong>No process is watched.</strong> None runs that the configuration includes, \
             or the exporter may not see other users’ processes.</p>\n",
        )?;
    } else {
        write_table(html, targets.iter().take(shown).map(|(_, target)| *target))?;
        write_end(html, targets.len() - shown, "target")?;
    }
    write_absent(html, snapshot)?;
    html.write_str("</section>\n")
}

fn write_table<'a>(html: &mut String, targets: impl Iterator<Item = &'a TargetView>) -> fmt::Result {
    let numbers = AREAS.map(|(_, word)| (word, "number"));
    let mut columns = vec![("Target", ""), ("Processes", "number")];
    columns.extend(numbers);
    columns.extend([("Restarts", "number"), ("Leaks so far", "number")]);
    write_columns(html, "Running targets by their memory, the largest first", &columns)?;
    for target in targets {
        html.write_str("<tr role=\"row\">")?;
        write_target_cell(html, target)?;
        let processes = (target.target.kind == Kind::Process).then(|| f64::from(target.members));
        write_cell(html, ("Processes", "number"), Sum::count(processes))?;
        for (area, word) in AREAS {
            write_cell(html, (word, "number"), Sum::of(target, area))?;
        }
        write_cell(html, ("Restarts", "number"), target.restarts)?;
        write_cell(html, ("Leaks so far", "number"), target.episodes)?;
        html.write_str("</tr>\n")?;
    }
    Ok(())
}

/// Says which targets are awaited and do not run.
fn write_absent(html: &mut String, snapshot: &Snapshot) -> fmt::Result {
    let is_absent = |target: &&TargetView| target.members == 0 && target.target.kind == Kind::Process;
    let absent = snapshot.targets.iter().filter(is_absent).count();
    if absent == 0 {
        return Ok(());
    }
    let (targets, verb) =
        (Plural { count: absent, thing: "target" }, if absent == 1 { "has" } else { "have" });
    writeln!(html, "<p class=\"note\">{targets} {verb} no process now.</p>")
}

fn size_bytes(target: &TargetView) -> f64 {
    AREAS
        .iter()
        .filter_map(|(area, _)| Sum::of(target, area).0)
        .find(|amount| amount.bytes)
        .map_or(0.0, |amount| amount.value)
}

/// The size of an area over a target, or another number of it; with pids shown, each process has a part of it.
struct Sum(Option<Amount>);

impl Sum {
    fn count(value: Option<f64>) -> Self {
        Self(value.map(|value| Amount { value, bytes: false }))
    }

    fn of(target: &TargetView, area: &str) -> Self {
        let parts = target.areas.iter().filter(|view| &*view.area.name == area);
        Self(parts.fold(None, |sum, part| {
            let value = sum.map_or(0.0, |sum: Amount| sum.value) + part.size;
            Some(Amount { value, bytes: is_bytes(part) })
        }))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Amount { value, bytes: false }) => write!(f, "{value:.0}"),
            Some(amount) => amount.fmt(f),
            None => f.write_str("–"),
        }
    }
}
