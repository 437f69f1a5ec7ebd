//! The widget: the state of the whole in a few words, for the frames of other pages.
//!
//! It is the same for those without scripts, who get it anew every half a minute. It shows and does nothing, so it may
//! stand in any frame: there is nothing in it that a click could be stolen for.

use super::{Counts, View, files::DIRECTORY};
use crate::{
    snapshot::Snapshot,
    text::{Escaped, Plural, UtcTime},
};
use std::fmt::{self, Write as _};

const REFRESH_SECS: u32 = 30;

/// The widget as HTML.
pub(in crate::http) fn render(snapshot: &Snapshot, view: &View<'_>) -> String {
    let mut html = String::with_capacity(2048);
    match write(&mut html, snapshot, view) {
        Ok(()) => html,
        // Writing to a string fails only if a `Display` of ours does, and none does.
        Err(fmt::Error) => String::from("<!doctype html><title>memleak_exporter</title>"),
    }
}

fn write(html: &mut String, snapshot: &Snapshot, view: &View<'_>) -> fmt::Result {
    let prefix = Escaped(&view.links.link_prefix);
    let directory = format!("{prefix}{}", *DIRECTORY);
    let counts = Counts::of(snapshot);
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\" data-root=\"{prefix}/\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <noscript><meta http-equiv=\"refresh\" content=\"{REFRESH_SECS}\"></noscript>\n\
         <script src=\"{directory}/theme.js\"></script>\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <link rel=\"stylesheet\" href=\"{directory}/page.css\">\n\
         <link rel=\"stylesheet\" href=\"{directory}/widget.css\">\n\
         <script type=\"module\" src=\"{directory}/widget.js\"></script>\n\
         <title>Memory leaks</title>\n</head>\n<body>\n"
    )?;
    write!(
        html,
        "<main class=\"widget {}\">\n<h1>{}</h1>\n<p class=\"worst\"></p>\n\
         <p class=\"note\"><span class=\"when\">sampled {}</span> \
         <a href=\"{prefix}/\" target=\"_blank\" rel=\"noopener\">memleak_exporter</a></p>\n</main>\n</body>\n</html>\n",
        mood(&counts),
        Words(&counts),
        UtcTime(snapshot.taken_at),
    )
}

fn mood(counts: &Counts) -> &'static str {
    match *counts {
        Counts { confirmed: 1.., .. } => "bad",
        Counts { suspected: 1.., .. } => "warn",
        Counts { judged: 1.., .. } => "good",
        _nothing_known => "",
    }
}

/// How many leaks there are, in the words of the live page.
struct Words<'a>(&'a Counts);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leaks = |count| Plural { count, thing: "leak" };
        match *self.0 {
            Counts { confirmed, suspected: 0, .. } if confirmed > 0 => {
                write!(f, "{} confirmed", leaks(confirmed))
            }
            Counts { confirmed, suspected, .. } if confirmed > 0 => {
                write!(f, "{} confirmed, {suspected} suspected", leaks(confirmed))
            }
            Counts { suspected, .. } if suspected > 0 => write!(f, "{} suspected", leaks(suspected)),
            Counts { judged: 0, .. } => f.write_str("No verdict yet"),
            _judged => f.write_str("No leak is suspected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_live_page() {
        let counts =
            |confirmed, suspected, judged| Counts { confirmed, suspected, judged, ..Counts::default() };
        for (counts, words, class) in [
            (counts(2, 1, 9), "2 leaks confirmed, 1 suspected", "bad"),
            (counts(1, 0, 9), "1 leak confirmed", "bad"),
            (counts(0, 3, 9), "3 leaks suspected", "warn"),
            (counts(0, 0, 9), "No leak is suspected", "good"),
            (counts(0, 0, 0), "No verdict yet", ""),
        ] {
            assert_eq!((Words(&counts).to_string().as_str(), mood(&counts)), (words, class));
        }
    }
}
