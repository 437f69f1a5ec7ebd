//! Text for people: counts, changes, shares, dates, and names made harmless.

use crate::{
    detect::{
        finding::Pattern,
        words::{Amount, Span},
    },
    sample::Seconds,
};
use std::fmt::{self, Write as _};

/// A text for HTML that cannot become markup, whatever it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // HTML knows no control characters; a process may well carry one in its name.
                c if c.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A text for Markdown that is neither markup nor the end of a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Markdown<'a>(pub(crate) &'a str);

impl fmt::Display for Markdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '|' | '#' | '~' | '!' => {
                    f.write_char('\\')?;
                    f.write_char(c)?;
                }
                c if c.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A count with its noun: `1 area`, `2 areas`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plural {
    pub(crate) count: usize,
    pub(crate) thing: &'static str,
}

impl fmt::Display for Plural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.count, self.thing, if self.count == 1 { "" } else { "s" })
    }
}

/// An amount with its sign. Few objects keep a digit, so that one in three hours is not none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) value: f64,
    pub(crate) bytes: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, bytes } = *self;
        let (sign, amount) = (if value < 0.0 { "−" } else { "+" }, value.abs());
        let tenths = (amount * 10.0).round();
        if tenths < 1.0 {
            return f.write_str("0");
        }
        if !bytes && tenths < 100.0 && tenths % 10.0 != 0.0 {
            return write!(f, "{sign}{amount:.1} objects");
        }
        write!(f, "{sign}{}", Amount { value: amount, bytes })
    }
}

/// A share as per cent, rounded down, so that 100 % is all of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share(pub(crate) f64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %", (self.0 * 100.0 + 1e-9).floor())
    }
}

/// The words for a pattern.
pub(crate) const fn pattern_words(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::SustainedHigh => "sustained high",
        Pattern::CacheBloat => "cache bloat",
        named => named.as_str(),
    }
}

/// A moment as a `time` element in UTC: `2024-02-29 12:00:05 UTC`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UtcTime(pub(crate) Seconds);

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(moment) = Moment::of(self.0) else { return f.write_str("at an unknown time") };
        write!(f, "<time datetime=\"{}T{}Z\">{moment}</time>", moment.date, moment.time)
    }
}

/// How long ago a moment is, seen from another one, with the moment itself for whoever points at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ago {
    pub(crate) then: Seconds,
    pub(crate) now: Seconds,
}

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ago = Span((self.now - self.then).max(0.0));
        match Moment::of(self.then) {
            Some(Moment { date, time }) => {
                write!(f, "<time datetime=\"{date}T{time}Z\" title=\"{date} {time} UTC\">{ago} ago</time>")
            }
            None => f.write_str("unknown"),
        }
    }
}

/// A moment of the calendar in UTC: `2024-02-29 12:00:05 UTC`.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    date: String,
    time: String,
}

impl Moment {
    /// None for what is no moment of the years 1970 to 9999.
    pub(crate) fn of(at: Seconds) -> Option<Self> {
        const YEAR_10000: Seconds = 253_402_300_800.0;
        if !(0.0..YEAR_10000).contains(&at) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
        let secs = at as u64;
        let (year, month, day) = civil_from_days(secs / 86_400);
        let (hour, minute, second) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
        Some(Self {
            date: format!("{year:04}-{month:02}-{day:02}"),
            time: format!("{hour:02}:{minute:02}:{second:02}"),
        })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} UTC", self.date, self.time)
    }
}

/// Year, month and day of the Gregorian calendar, from days since 1970-01-01.
///
/// Counted in eras of 400 years from 1 March of the year 0, where the leap day is a year's last (H. Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The moment that a text such as `2026-03-01T12:00:00Z` names; none for any other text, and before 1970.
pub(crate) fn moment(text: &str) -> Option<Seconds> {
    let (date, time) = text.strip_suffix('Z')?.split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u32>().ok());
    let mut time = time.splitn(3, ':').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if !(1970..10_000).contains(&year)
        || !(1..=12).contains(&month)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    // Years begin with March here, so that the leap day is the last of one.
    let (years, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = years * 365 + years / 4 - years / 100
        + years / 400
        + (153 * month_from_march + 2) / 5
        + day.checked_sub(1)?;
    let days = days.checked_sub(719_468)?;
    let is_day = civil_from_days(days.into()) == (year.into(), month.into(), day.into());
    is_day.then_some(f64::from(days) * 86_400.0 + f64::from(hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let escaped = Escaped("<script>alert('x') & \"y\"\u{7}\n</script>").to_string();
        assert_eq!(
            escaped,
            "&lt;script&gt;alert(&#39;x&#39;) &amp; &quot;y&quot;\u{fffd}\u{fffd}&lt;/script&gt;"
        );
    }

    #[test]
    fn no_text_becomes_markup_in_markdown_either() {
        assert_eq!(Markdown("a|b_c\n<img>").to_string(), "a\\|b\\_c\u{fffd}\\<img\\>");
    }

    #[test]
    fn a_change_has_its_sign_and_few_objects_a_digit_where_it_says_something() {
        for (value, bytes, words) in [
            (0.3, false, "+0.3 objects"),
            (1.0, false, "+1 object"),
            (-5.0, false, "−5 objects"),
            (-1.5, false, "−1.5 objects"),
            (37.4, false, "+37 objects"),
            (0.01, false, "0"),
            (1.2e6, true, "+1.2 MB"),
        ] {
            assert_eq!(Change { value, bytes }.to_string(), words);
        }
    }

    #[test]
    fn moments_are_dates_of_the_calendar() {
        for (at, words) in [
            (0.0, "1970-01-01 00:00:00"),
            (951_782_400.0, "2000-02-29 00:00:00"),
            (1_709_208_005.9, "2024-02-29 12:00:05"),
            (4_107_542_399.0, "2100-02-28 23:59:59"),
            (4_107_542_400.0, "2100-03-01 00:00:00"),
            (253_402_300_799.0, "9999-12-31 23:59:59"),
        ] {
            assert!(UtcTime(at).to_string().contains(&format!(">{words} UTC<")), "{}", UtcTime(at));
        }
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 1e18] {
            assert_eq!(UtcTime(nonsense).to_string(), "at an unknown time");
            assert_eq!(Ago { then: nonsense, now: 0.0 }.to_string(), "unknown");
        }
        let ago = Ago { then: 1000.0, now: 4600.0 }.to_string();
        assert!(ago.contains(">1 h 0 min ago<") && ago.contains("1970-01-01T00:16:40Z"), "{ago}");
    }

    #[test]
    fn moments_are_read_as_they_are_written() {
        for (text, at) in [
            ("1970-01-01T00:00:00Z", Some(0.0)),
            ("2000-02-29 00:00:00Z", Some(951_782_400.0)),
            ("2024-02-29T12:00:05Z", Some(1_709_208_005.0)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400.0)),
            ("2100-02-29T00:00:00Z", None),
            ("2024-02-29T12:00:05", None),
            ("1969-12-31T00:00:00Z", None),
            ("2024-00-01T00:00:00Z", None),
            ("2024-01-00T00:00:00Z", None),
            ("2024-01-01T24:00:00Z", None),
            ("now", None),
        ] {
            assert_eq!(moment(text), at, "{text}");
        }
    }
}
