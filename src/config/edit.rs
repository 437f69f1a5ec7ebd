//! Changes of single keys in a written configuration, which leave everything else as it was written, comments included.
//!
//! The text itself is changed, at the places that the parser tells, and then read again: where anything but the one key
//! would mean something else than before, nothing is changed. A key that goes back to its default becomes a comment, so
//! that not even its value is lost. What is written in braces is left to a person.

use super::tree::{self, Entry, Node, Value};
use saphyr_parser::{Event, Marker, Parser};
use std::collections::BTreeMap;

/// Levels are indented by so much where nothing shows how a file does it.
const INDENT: usize = 2;

/// The text with a key, such as `sampling.interval`, set to a value in YAML.
///
/// # Errors
/// Why it cannot be done, to follow the key.
pub fn set(text: &str, key: &str, value: &str) -> Result<String, String> {
    let value = value.trim();
    if value.is_empty() || value.contains(['\n', '\r']) {
        return Err(String::from("needs a value of one line"));
    }
    let file = File::read(text)?;
    let path: Vec<&str> = key.split('.').collect();
    let edited = match file.find(&path)? {
        Found::Entry(entry) => file.replaced(entry, value)?,
        Found::Missing { parent, rest } => file.inserted(parent, rest, value)?,
    };
    file.compare(&edited, key, true)?;
    Ok(edited)
}

/// The text with a key made a comment, so that it has its default; none where it has it already.
///
/// # Errors
/// Why it cannot be done, to follow the key.
pub fn reset(text: &str, key: &str) -> Result<Option<String>, String> {
    let file = File::read(text)?;
    let path: Vec<&str> = key.split('.').collect();
    let Found::Entry(entry) = file.find(&path)? else { return Ok(None) };
    let (from, to) = (entry.place.line(), file.last_line(entry));
    let mut edited = String::with_capacity(text.len() + 8);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if (from..=to).contains(&number) && !line.trim().is_empty() {
            edited.push('#');
        }
        edited.push_str(line);
    }
    file.compare(&edited, key, false)?;
    Ok(Some(edited))
}

/// A key, or where it would be.
enum Found<'a> {
    Entry(&'a Entry),
    Missing { parent: Option<&'a Entry>, rest: &'a [&'a str] },
}

/// A written configuration with what the parser tells of it.
struct File<'a> {
    text: &'a str,
    root: Option<std::rc::Rc<Node>>,
    /// By line and column of its beginning: the bytes of each scalar and of each list and mapping in brackets, and the
    /// line of its end.
    spans: BTreeMap<(usize, usize), (usize, usize, usize)>,
}

impl<'a> File<'a> {
    fn read(text: &'a str) -> Result<Self, String> {
        let (root, problems) = tree::read(text);
        if let Some(problem) = problems.first() {
            let (line, message) = (problem.place.line(), &problem.message);
            return Err(format!("cannot be changed in a file with mistakes; line {line} {message}"));
        }
        if text.starts_with('\u{feff}') {
            return Err(String::from(
                "cannot be changed in a file that begins with a byte order mark; remove it",
            ));
        }
        if root.as_ref().is_some_and(|root| !matches!(root.value, Value::Mapping(_) | Value::Null)) {
            return Err(String::from("cannot be changed in a file that is no mapping"));
        }
        Ok(Self { text, root, spans: spans(text) })
    }

    fn find<'p>(&'p self, path: &'p [&'p str]) -> Result<Found<'p>, String> {
        let mut node = self.root.as_deref();
        let mut parent = None;
        for (depth, key) in path.iter().enumerate() {
            let entries = match node.map(|node| &node.value) {
                Some(Value::Mapping(entries)) => entries.as_slice(),
                None | Some(Value::Null) => &[],
                Some(_) => {
                    let above = path.get(..depth).unwrap_or_default().join(".");
                    return Err(format!("cannot be reached: `{above}` is no section; change it in the file"));
                }
            };
            let Some(entry) = entries.iter().find(|entry| entry.key == *key) else {
                return Ok(Found::Missing { parent, rest: path.get(depth..).unwrap_or_default() });
            };
            (parent, node) = (Some(entry), Some(&*entry.value));
        }
        parent.map(Found::Entry).ok_or_else(|| String::from("is empty"))
    }

    fn span(&self, node: &Node) -> Option<(usize, usize, usize)> {
        self.spans.get(&(node.place.line(), node.place.column())).copied()
    }

    fn replaced(&self, entry: &Entry, value: &str) -> Result<String, String> {
        let span = self.span(&entry.value).filter(|(.., line)| *line == entry.place.line());
        let (from, to) = match (span, &entry.value.value) {
            (Some((from, to, _)), _) => (from, to),
            // Nothing stands behind the colon.
            (None, Value::Null) => {
                let at = self.after_colon(entry).ok_or_else(|| by_hand(entry))?;
                (at, at)
            }
            (None, _) => return Err(by_hand(entry)),
        };
        let gap = if from == to && !self.text.get(..from).is_some_and(|before| before.ends_with(' ')) {
            " "
        } else {
            ""
        };
        let (before, after) = (self.text.get(..from), self.text.get(to..));
        let (before, after) = before.zip(after).ok_or_else(|| by_hand(entry))?;
        Ok(format!("{before}{gap}{value}{after}"))
    }

    /// Where the colon behind a key ends.
    fn after_colon(&self, entry: &Entry) -> Option<usize> {
        let (_, to, _) = self.spans.get(&(entry.place.line(), entry.place.column()))?;
        let colon = self.text.get(*to..)?.find(':')?;
        Some(to + colon + 1)
    }

    fn inserted(&self, parent: Option<&Entry>, rest: &[&str], value: &str) -> Result<String, String> {
        let (after_line, indent) = match parent {
            None => (usize::MAX, 0),
            Some(parent) => {
                let line = parent.place.line();
                let child = match &parent.value.value {
                    Value::Mapping(entries) => entries.first().map(|entry| entry.place),
                    _ => None,
                };
                if child.is_some_and(|child| child.line() == line) {
                    return Err(by_hand(parent));
                }
                let indent = child.map_or_else(|| parent.place.column() + INDENT, |child| child.column()) - 1;
                (line, indent)
            }
        };
        let mut lines = String::new();
        for (depth, key) in rest.iter().enumerate() {
            let is_last = depth + 1 == rest.len();
            let value = if is_last { format!(" {value}") } else { String::new() };
            lines += &format!("{}{key}:{value}\n", " ".repeat(indent + depth * INDENT));
        }
        let mut edited = String::with_capacity(self.text.len() + lines.len() + 1);
        for (number, line) in (1..).zip(self.text.split_inclusive('\n')) {
            edited.push_str(line);
            if number == after_line {
                close_line(&mut edited);
                edited.push_str(&lines);
            }
        }
        if after_line == usize::MAX {
            close_line(&mut edited);
            edited.push_str(&lines);
        }
        Ok(edited)
    }

    /// The last line of an entry's value.
    fn last_line(&self, entry: &Entry) -> usize {
        let own = self.span(&entry.value).map_or(0, |(.., line)| line);
        let inner = match &entry.value.value {
            Value::Mapping(entries) => entries.iter().map(|inner| self.last_line(inner)).max(),
            Value::List(items) => items.iter().map(|item| self.last_line_of(item)).max(),
            _ => None,
        };
        entry.place.line().max(own).max(inner.unwrap_or(0))
    }

    fn last_line_of(&self, node: &Node) -> usize {
        let own = self.span(node).map_or(0, |(.., line)| line);
        let inner = match &node.value {
            Value::Mapping(entries) => entries.iter().map(|inner| self.last_line(inner)).max(),
            Value::List(items) => items.iter().map(|item| self.last_line_of(item)).max(),
            _ => None,
        };
        node.place.line().max(own).max(inner.unwrap_or(0))
    }

    /// Makes sure that nothing but the key means something else now, and that the key is there or not.
    fn compare(&self, edited: &str, key: &str, is_there: bool) -> Result<(), String> {
        let (root, problems) = tree::read(edited);
        let without = |root: Option<&Node>| {
            let mut flat = BTreeMap::new();
            if let Some(root) = root {
                flatten(root, "", &mut flat);
            }
            let is_inside =
                |path: &str| path.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', '[']));
            let count = flat.len();
            flat.retain(|path, _| path != key && !is_inside(path));
            (flat.len() < count, flat)
        };
        let ((_, before), (found, after)) = (without(self.root.as_deref()), without(root.as_deref()));
        if problems.is_empty() && found == is_there && before == after {
            return Ok(());
        }
        Err(String::from("cannot be changed without changing more than it; change it in the file"))
    }
}

fn by_hand(entry: &Entry) -> String {
    format!(
        "is not written as one value on a line of its own (line {}); change it in the file",
        entry.place.line()
    )
}

fn close_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

/// Every value by its path. Sections without any are as if they were not there.
fn flatten(node: &Node, path: &str, flat: &mut BTreeMap<String, String>) {
    match &node.value {
        Value::Mapping(entries) => {
            for Entry { key, value, .. } in entries {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(value, &inner, flat);
            }
        }
        Value::Null => {}
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(item, &format!("{path}[{index}]"), flat);
            }
            flat.insert(path.to_owned(), format!("a list of {}", items.len()));
        }
        Value::Switch(_) | Value::Whole(_) | Value::Fraction(_) | Value::Text(_) => {
            flat.insert(path.to_owned(), format!("{:?}", node.value));
        }
    }
}

/// Where scalars, and lists and mappings in brackets, begin and end.
fn spans(text: &str) -> BTreeMap<(usize, usize), (usize, usize, usize)> {
    let ends = text.match_indices('\n').map(|(at, _)| at + 1);
    let lines: Vec<usize> = [0].into_iter().chain(ends).collect();
    let byte = |marker: &Marker| byte(text, &lines, marker);
    let mut spans = BTreeMap::new();
    let mut open = Vec::new();
    let mut parser = Parser::new_from_str(text);
    while let Some(Ok((event, span))) = parser.next_event() {
        let (start, end) = (&span.start, &span.end);
        let place = (start.line(), start.col() + 1);
        let bytes = || Some((byte(start)?, byte(end)?));
        match event {
            Event::Scalar(..) => {
                if let Some((from, to)) = bytes() {
                    // Blanks between a value and a comment belong to neither.
                    let length = text.get(from..to).map_or(0, |scalar| scalar.trim_end().len());
                    spans.insert(place, (from, from + length, end.line()));
                }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => open.push((place, byte(start))),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((place, Some(from))) = open.pop()
                    && let Some(to) = byte(start)
                    && text.get(from..).is_some_and(|inside| inside.starts_with(['[', '{']))
                {
                    // The end of this event may lie behind a comment; it begins at the bracket, or behind it.
                    let is_before = text.get(to..).is_some_and(|rest| rest.starts_with([']', '}']));
                    let to = to + usize::from(is_before);
                    spans.insert(place, (from, to, end.line()));
                }
            }
            _ => {}
        }
    }
    spans
}

/// The byte that a position of the parser is at, which counts lines from one and characters of a line from zero.
fn byte(text: &str, lines: &[usize], marker: &Marker) -> Option<usize> {
    let before = *lines.get(marker.line().checked_sub(1)?)?;
    let mut characters = text.get(before..)?.char_indices().map(|(at, _)| before + at);
    Some(characters.nth(marker.col()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# Ours.\nsampling:\n  # Often.\n  interval: 3s # as usual\n\n  full_interval: \"1m\"\nhost:\n\
        processes:\n  expected: [a, \"b, c\"] # both\n  rules:\n    # The one.\n    - name: x\n      executable: y\n\
        limits: {targets: 5}\n";

    fn check_set(key: &str, value: &str, from: &str, to: &str) {
        let edited = set(FILE, key, value).unwrap_or_else(|error| panic!("{key} {error}"));
        assert_eq!(edited, FILE.replacen(from, to, 1), "{key}");
        assert_ne!(edited, FILE, "{key}");
    }

    #[test]
    fn one_value_changes_and_nothing_else() {
        check_set("sampling.interval", "15s", "3s # as", "15s # as");
        check_set("sampling.full_interval", "5m", "\"1m\"", "5m");
        check_set("processes.expected", "[d]", "[a, \"b, c\"]", "[d]");
        check_set("sensitivity", "strict", "{targets: 5}\n", "{targets: 5}\nsensitivity: strict\n");
        check_set("processes.show_pid", "true", "processes:\n", "processes:\n  show_pid: true\n");
        check_set("host.judge", "[anon]", "host:\n", "host:\n  judge: [anon]\n");
        check_set(
            "collectors.host.interval",
            "9s",
            "{targets: 5}\n",
            "{targets: 5}\ncollectors:\n  host:\n    interval: 9s\n",
        );
        assert_eq!(set("", "sensitivity", "strict").unwrap(), "sensitivity: strict\n");
        assert_eq!(
            set("sensitivity: off", "host.judge", "[]").unwrap(),
            "sensitivity: off\nhost:\n  judge: []\n"
        );
    }

    #[test]
    fn a_key_goes_back_to_its_default_as_a_comment() {
        let check = |key: &str, from: &str, to: &str| {
            assert_eq!(reset(FILE, key).unwrap().unwrap(), FILE.replacen(from, to, 1), "{key}");
        };
        check("sampling.interval", "  interval: 3s", "#  interval: 3s");
        check("limits", "limits:", "#limits:");
        check(
            "processes.rules",
            "  rules:\n    # The one.\n    - name: x\n      executable: y",
            "#  rules:\n#    # The one.\n#    - name: x\n#      executable: y",
        );
        assert_eq!(reset(FILE, "cgroups.judge"), Ok(None));
    }

    #[test]
    fn what_cannot_be_changed_alone_is_left_alone() {
        for (text, key, value, message) in [
            (FILE, "limits.targets", "a: b: c", "cannot be changed without changing more"),
            (FILE, "limits.series", "9", "not written as one value on a line of its own (line 14)"),
            (FILE, "processes.rules", "[]", "not written as one value on a line of its own"),
            (FILE, "sampling.interval.x", "1", "`sampling.interval` is no section"),
            (FILE, "sampling.interval", "", "needs a value of one line"),
            (FILE, "sampling.interval", "5s # x\n", ""),
            (FILE, "sampling.interval", "[", "cannot be changed without changing more"),
            ("a: &x 1\nb: *x\n", "a", "2", "cannot be changed without changing more"),
            ("a: [", "a", "2", "in a file with mistakes; line 2"),
            ("- 1\n", "a", "2", "no mapping"),
        ] {
            match set(text, key, value) {
                Err(error) => {
                    assert!(!message.is_empty() && error.contains(message), "{key}={value}: {error}");
                }
                Ok(edited) => assert!(message.is_empty(), "{key}={value}: {edited}"),
            }
        }
        assert!(reset("a: {b: 1, c: 2}\n", "a.b").is_err());
    }
}
