//! The landing page for people: what leaks, the worst first, and what is largest.
//!
//! It is one HTML document made from a snapshot, with a style sheet of its own and nothing else: no script, no
//! picture, no call to the outside. Every name on it was chosen by some process, so every text is escaped.

mod leaks;
mod sizes;

use super::{routes::STYLE_PATH, site::Site};
use crate::{
    detect::episode::LeakState,
    snapshot::{AreaView, Snapshot, TargetView},
    text::{Escaped, Plural, UtcTime},
};
use hyper::body::Bytes;
use std::fmt::{self, Write as _};

/// Rows of both tables together; a longer page is slow on a phone, and nobody reads it.
const ROWS_MAX: usize = 100;
/// Of these, so many are for the largest targets where there are more leaks than fit.
const SIZE_ROWS_KEPT: usize = 30;
/// Seconds between two loads of the page.
const REFRESH_SECS: u32 = 10;
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the page needs beside the snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// Where links point to.
    pub(super) links: &'a Site,
    /// About how many samples a first verdict needs.
    pub(super) first_verdict_samples: u32,
    /// Whether the page loads itself anew.
    pub(super) refresh: bool,
}

/// The style sheet.
pub(super) fn style() -> Bytes {
    Bytes::from_static(include_bytes!("page/page.css"))
}

/// The page as HTML.
pub(super) fn render(snapshot: &Snapshot, view: &View<'_>) -> String {
    let mut html = String::with_capacity(64 * 1024);
    match write_page(&mut html, snapshot, view) {
        Ok(()) => html,
        // Writing to a string fails only if a `Display` of ours does, and none does.
        Err(fmt::Error) => String::from("<!doctype html><title>memleak_exporter</title>"),
    }
}

fn write_page(html: &mut String, snapshot: &Snapshot, view: &View<'_>) -> fmt::Result {
    write_head(html, view)?;
    write_header(html, view)?;
    html.write_str("<main>\n")?;
    if snapshot.tick == 0 {
        html.write_str(
            "<p class=\"empty\"><strong>The first samples are being taken.</strong> This takes a moment.</p>\n",
        )?;
    } else {
        let counts = Counts::of(snapshot);
        write_summary(html, snapshot, &counts)?;
        let size_rows = snapshot.targets.iter().filter(|target| target.members > 0).count();
        let leak_rows = leaks::write(
            html,
            snapshot,
            &leaks::Frame {
                rows_max: ROWS_MAX - size_rows.min(SIZE_ROWS_KEPT),
                learning: counts.learning,
                first_verdict_samples: view.first_verdict_samples,
            },
        )?;
        sizes::write(html, snapshot, ROWS_MAX - leak_rows)?;
    }
    html.write_str("</main>\n")?;
    write_footer(html, view)
}

fn write_head(html: &mut String, view: &View<'_>) -> fmt::Result {
    html.write_str(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n",
    )?;
    if view.refresh {
        writeln!(html, "<meta http-equiv=\"refresh\" content=\"{REFRESH_SECS}\">")?;
    }
    writeln!(
        html,
        "<link rel=\"stylesheet\" href=\"{}{STYLE_PATH}\">\n<title>memleak_exporter</title>\n</head>",
        Escaped(&view.links.link_prefix),
    )
}

fn write_header(html: &mut String, view: &View<'_>) -> fmt::Result {
    let prefix = Escaped(&view.links.link_prefix);
    writeln!(
        html,
        "<body>\n<header>\n<h1>memleak_exporter <small>{VERSION}</small></h1>\n\
         <nav aria-label=\"Endpoints\"><a href=\"{prefix}{}\">Metrics</a> <a href=\"{prefix}/-/healthy\">Health</a> \
         <a href=\"{prefix}/-/ready\">Readiness</a> \
         <a href=\"{prefix}/api/v1/report?format=html\">Report</a></nav>\n</header>",
        Escaped(&view.links.telemetry_path),
    )
}

fn write_footer(html: &mut String, view: &View<'_>) -> fmt::Result {
    let prefix = Escaped(&view.links.link_prefix);
    html.write_str("<footer><p>")?;
    if view.refresh {
        write!(
            html,
            "This page loads itself anew every {REFRESH_SECS} seconds. <a href=\"{prefix}/?refresh=off\">Stop that</a>"
        )?;
    } else {
        write!(
            html,
            "This page stands still. <a href=\"{prefix}/\">Load it anew every {REFRESH_SECS} seconds</a>"
        )?;
    }
    html.write_str("</p></footer>\n</body>\n</html>\n")
}

/// How many areas are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    confirmed: usize,
    suspected: usize,
    /// With a finding.
    judged: usize,
    /// Watched, but without enough evidence for a finding.
    learning: usize,
    running_targets: usize,
}

impl Counts {
    fn of(snapshot: &Snapshot) -> Self {
        let mut counts = Self::default();
        for target in &snapshot.targets {
            counts.running_targets += usize::from(target.members > 0);
            for verdict in target.areas.iter().filter_map(|area| area.verdict.as_ref()) {
                // One leak counts once: what it does to its control group and the host is no other.
                let state = if verdict.explained == Some(true) { LeakState::None } else { verdict.state };
                counts.confirmed += usize::from(state == LeakState::Confirmed);
                counts.suspected += usize::from(state == LeakState::Suspected);
                counts.judged += usize::from(verdict.finding.is_some());
                counts.learning += usize::from(verdict.finding.is_none());
            }
        }
        counts
    }
}

fn write_summary(html: &mut String, snapshot: &Snapshot, counts: &Counts) -> fmt::Result {
    // Where nothing is judged, no leak is no good news.
    let none = if counts.judged > 0 { "good" } else { "" };
    let tiles = [
        ("Confirmed leaks", counts.confirmed, if counts.confirmed > 0 { "bad" } else { none }),
        ("Suspected leaks", counts.suspected, if counts.suspected > 0 { "warn" } else { none }),
        ("Areas judged", counts.judged, ""),
        ("Still learning", counts.learning, ""),
        ("Targets", counts.running_targets, ""),
        ("Processes", snapshot.member_count, ""),
    ];
    html.write_str("<dl class=\"tiles\">\n")?;
    for (name, count, class) in tiles {
        writeln!(html, "<div class=\"{class}\"><dt>{name}</dt><dd>{count}</dd></div>")?;
    }
    let taken_at = UtcTime(snapshot.taken_at);
    writeln!(html, "</dl>\n<p class=\"note\">Sampled {taken_at}, tick {}.</p>", snapshot.tick)
}

/// A cell with the name of its target: any text, in any direction of writing, in a box of its own.
fn write_target_cell(html: &mut String, target: &TargetView) -> fmt::Result {
    write!(
        html,
        "<th scope=\"row\" role=\"rowheader\"><bdi>{}</bdi> <small>{}</small></th>",
        Escaped(&target.target.name),
        target.target.kind,
    )
}

/// The header row; the cells repeat its words where the table is shown as cards.
fn write_columns(html: &mut String, caption: &str, columns: &[(&str, &str)]) -> fmt::Result {
    writeln!(
        html,
        "<table role=\"table\">\n<caption>{caption}</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">"
    )?;
    for (name, class) in columns {
        write!(html, "<th scope=\"col\" role=\"columnheader\" class=\"{class}\">{name}</th>")?;
    }
    html.write_str("</tr></thead>\n<tbody role=\"rowgroup\">\n")
}

fn write_cell(html: &mut String, column: (&str, &str), content: impl fmt::Display) -> fmt::Result {
    let (name, class) = column;
    write!(html, "<td role=\"cell\" data-label=\"{name}\" class=\"{class}\"><div>{content}</div></td>")
}

/// Ends a table and says how much of it is missing.
fn write_end(html: &mut String, hidden: usize, thing: &'static str) -> fmt::Result {
    html.write_str("</tbody>\n</table>\n")?;
    if hidden > 0 {
        let things = Plural { count: hidden, thing };
        writeln!(html, "<p class=\"note\">{things} more, not shown here; the metrics have them all.</p>")?;
    }
    Ok(())
}

/// Whether an area is counted in bytes.
fn is_bytes(area: &AreaView) -> bool {
    area.area.unit == crate::sample::Unit::Bytes
}

#[cfg(test)]
mod tests;
