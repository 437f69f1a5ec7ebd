//! The file as a tree: scalars, lists and mappings, each with its line and column.
//!
//! It is built from the parser's events so that a hostile file is stopped while it is read: nesting, the number of
//! nodes and the growth by aliases are bounded before any memory is spent on them. It refuses a second document, a key
//! written twice, keys that are no text, and tags other than `!!str`.

use super::errors::{Place, Problem};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::{borrow::Cow, collections::BTreeMap, rc::Rc};

/// Levels of lists and mappings. The schema needs five; the tree is walked and freed by recursion, so it must be few.
const DEPTH_MAX: usize = 32;

/// Values in the file, those behind an alias counted each time. Ten thousand expected targets fit five times.
const NODES_MAX: usize = 50_000;

/// One value with its position.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it begins.
    pub(super) place: Place,
    /// What it is.
    pub(super) value: Value,
    depth: usize,
    nodes: usize,
}

/// What a value can be.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Switch(bool),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction or an exponent, or one too large, as it was written.
    Fraction(String),
    /// Everything else, and everything in quotes.
    Text(String),
    /// A list.
    List(Vec<Rc<Node>>),
    /// A mapping, in the order of the file.
    Mapping(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Debug)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Where the key is written.
    pub(super) place: Place,
    /// Its value.
    pub(super) value: Rc<Node>,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

/// Reads the one document of `text`; `None` for a file without any. Problems that leave a usable tree (a key written
/// twice: the first counts) come beside it.
pub(super) fn read(text: &str) -> (Option<Rc<Node>>, Vec<Problem>) {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(next) = parser.next_event() {
        let step = match next {
            Ok((event, span)) => builder.take(event, place(&span.start)),
            Err(error) => Err((
                place(error.marker()),
                format!("is not valid YAML: {}; check indentation, quotes and brackets here", error.info()),
            )),
        };
        if let Err((place, message)) = step {
            let key = builder.path();
            builder.problems.push(Problem { place, key, message });
            return (None, builder.problems);
        }
    }
    (builder.root, builder.problems)
}

/// The parser counts lines from one and columns from zero.
fn place(marker: &Marker) -> Place {
    Place::At { line: marker.line(), column: marker.col() + 1 }
}

type Step = Result<(), (Place, String)>;

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Rc<Node>>,
    documents: usize,
    nodes: usize,
    anchors: BTreeMap<usize, Rc<Node>>,
    problems: Vec<Problem>,
}

/// A list or mapping that has not ended yet.
struct Open {
    place: Place,
    anchor: usize,
    value: Value,
    /// The key that waits for its value.
    key: Option<(String, Place)>,
    /// Its keys so far with their lines.
    written: BTreeMap<String, usize>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, place: Place) -> Step {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.start_document(place),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_ref()).map_err(|message| (place, message))?;
                self.scalar(Node { place, value, depth: 0, nodes: 1 }, &text, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(place, anchor, Value::List(Vec::new()), tag.as_ref())
            }
            Event::MappingStart(anchor, tag) => {
                self.open(place, anchor, Value::Mapping(Vec::new()), tag.as_ref())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
        }
    }

    fn start_document(&mut self, place: Place) -> Step {
        self.documents += 1;
        if self.documents > 1 {
            return Err((place, "begins a second document; keep one document in the file".into()));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Step {
        if self.expects_key() {
            return Err((place, "an alias cannot be a key; write the key itself".into()));
        }
        let Some(node) = self.anchors.get(&anchor).map(Rc::clone) else {
            return Err((place, "the alias stands inside of what it names; write the value itself".into()));
        };
        self.count(node.nodes, node.depth, place)?;
        self.insert(node);
        Ok(())
    }

    fn scalar(&mut self, node: Node, text: &str, anchor: usize) -> Step {
        let place = node.place;
        self.count(1, 0, place)?;
        if !self.expects_key() {
            let node = self.remember(node, anchor);
            self.insert(node);
            return Ok(());
        }
        if matches!(node.value, Value::Null) {
            return Err((place, "the key is empty; write a key before the colon".into()));
        }
        if let Some(open) = self.open.last_mut() {
            open.key = Some((String::from(text), place));
        }
        Ok(())
    }

    fn open(&mut self, place: Place, anchor: usize, value: Value, tag: Option<&Cow<'_, Tag>>) -> Step {
        if tag.is_some() {
            return Err((place, TAGGED.into()));
        }
        if self.expects_key() {
            return Err((place, "a key must be text; write it without brackets, `?` and `-`".into()));
        }
        self.count(1, 1, place)?;
        self.open.push(Open { place, anchor, value, key: None, written: BTreeMap::new() });
        Ok(())
    }

    fn close(&mut self) -> Step {
        let Some(Open { place, anchor, value, .. }) = self.open.pop() else { return Ok(()) };
        let children: Vec<(usize, usize)> = match &value {
            Value::List(items) => items.iter().map(|item| (item.depth, item.nodes)).collect(),
            Value::Mapping(entries) => entries.iter().map(|e| (e.value.depth, e.value.nodes + 1)).collect(),
            _ => Vec::new(),
        };
        let depth = 1 + children.iter().map(|(depth, _)| *depth).max().unwrap_or(0);
        let nodes = 1 + children.iter().map(|(_, nodes)| *nodes).sum::<usize>();
        let node = self.remember(Node { place, value, depth, nodes }, anchor);
        self.insert(node);
        Ok(())
    }

    /// Whether the next value is a key of a mapping.
    fn expects_key(&self) -> bool {
        self.open.last().is_some_and(|open| matches!(open.value, Value::Mapping(_)) && open.key.is_none())
    }

    /// Refuses what would pass the bounds.
    fn count(&mut self, nodes: usize, depth: usize, place: Place) -> Step {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            return Err((place, format!("the file holds more than {NODES_MAX} values; shorten its lists")));
        }
        if self.open.len() + depth > DEPTH_MAX {
            return Err((
                place,
                format!("is nested deeper than {DEPTH_MAX} levels; no key needs more than 5"),
            ));
        }
        Ok(())
    }

    fn remember(&mut self, node: Node, anchor: usize) -> Rc<Node> {
        let node = Rc::new(node);
        // The parser numbers anchors from one.
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        node
    }

    fn insert(&mut self, node: Rc<Node>) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.value {
            Value::List(items) => items.push(node),
            Value::Mapping(entries) => {
                let Some((key, place)) = open.key.take() else { return };
                match open.written.get(&key) {
                    Some(first) => {
                        let message = format!("is written twice, first in line {first}; keep one of them");
                        self.problems.push(Problem { place, key: join(&self.path(), &key), message });
                    }
                    None => {
                        open.written.insert(key.clone(), place.line());
                        entries.push(Entry { key, place, value: node });
                    }
                }
            }
            _ => {}
        }
    }

    /// The path of the value that is being read.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match (&open.value, &open.key) {
                (Value::List(items), _) => path.push_str(&format!("[{}]", items.len())),
                (_, Some((key, _))) => path = join(&path, key),
                (_, None) => {}
            }
        }
        path
    }
}

/// The path of `key` inside of `path`. A key is shown as far as it looks like one: what follows a space, an equals sign
/// or a colon may be a value, even a secret, in the wrong place.
pub(super) fn join(path: &str, key: &str) -> String {
    let is_shown = |c: &char| c.is_alphanumeric() || "_-./@<".contains(*c);
    let mut shown: String = key.chars().take_while(is_shown).take(40).collect();
    if shown.len() < key.len() {
        shown.push('…');
    }
    let key = shown;
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// A word of the file for a message: its first forty characters, without control characters.
pub(super) fn clip(word: &str) -> String {
    let mut shown: String = word.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect();
    if word.chars().count() > 40 {
        shown.push('…');
    }
    shown
}

const TAGGED: &str = "carries a tag; remove the word with the exclamation mark";

/// What a scalar is by the core schema of YAML 1.2.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Cow<'_, Tag>>) -> Result<Value, String> {
    if let Some(tag) = tag {
        let is_text = tag.is_yaml_core_schema() && tag.suffix == "str";
        return if is_text { Ok(Value::Text(text.into())) } else { Err(TAGGED.into()) };
    }
    if style != ScalarStyle::Plain {
        return Ok(Value::Text(text.into()));
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Switch(true),
        "false" | "False" | "FALSE" => Value::Switch(false),
        _ => whole(text).map(Value::Whole).unwrap_or_else(|| {
            let number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            if number && text.contains(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok() {
                Value::Fraction(text.into())
            } else {
                Value::Text(text.into())
            }
        }),
    })
}

fn whole(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16).ok();
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return i64::from_str_radix(digits, 8).ok();
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree in one line: text in quotes, keys and lists in brackets.
    fn show(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".into(),
            Value::Switch(on) => on.to_string(),
            Value::Whole(number) => number.to_string(),
            Value::Fraction(text) => format!("fraction {text}"),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => {
                format!("[{}]", items.iter().map(|item| show(item)).collect::<Vec<_>>().join(", "))
            }
            Value::Mapping(entries) => {
                let shown: Vec<_> =
                    entries.iter().map(|e| format!("{}: {}", e.key, show(&e.value))).collect();
                format!("{{{}}}", shown.join(", "))
            }
        }
    }

    fn check(text: &str, expected: &str) {
        let (root, problems) = read(text);
        assert_eq!(problems, [], "{text}");
        assert_eq!(root.map_or_else(|| "none".into(), |root| show(&root)), expected, "{text}");
    }

    fn check_wrong(text: &str, line: usize, column: usize, message: &str) {
        let (_, problems) = read(text);
        let first = problems.first().expect("a problem");
        assert_eq!(first.place, Place::At { line, column }, "{first:?}");
        assert!(format!("{}: {}", first.key, first.message).contains(message), "{first:?}");
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        check("a: 1", "{a: 1}");
        check("a: 0x10", "{a: 16}");
        check("a: -7", "{a: -7}");
        check("a: 1.5", "{a: fraction 1.5}");
        check("a: 99999999999999999999", "{a: fraction 99999999999999999999}");
        check("a: 3s", "{a: \"3s\"}");
        check("a: inf", "{a: \"inf\"}");
        check("a: '1'", "{a: \"1\"}");
        check("a: !!str 1", "{a: \"1\"}");
        check("a: yes", "{a: \"yes\"}");
        check("a: True", "{a: true}");
        check("a:", "{a: null}");
        check("a: ~", "{a: null}");
        check("a: ''", "{a: \"\"}");
    }

    #[test]
    fn an_empty_file_has_no_tree() {
        for text in ["", "\n", "# nothing\n", "\u{feff}# mark\n"] {
            check(text, "none");
        }
        check("---\n", "null");
        check("---\na: 1\n...\n", "{a: 1}");
        check("\u{feff}a: 1\r\nb: 2\r\n", "{a: 1, b: 2}");
    }

    #[test]
    fn collections_and_aliases_are_read() {
        check("a: [1, [2], {b: 3}]", "{a: [1, [2], {b: 3}]}");
        check("a: &x [1]\nb: *x", "{a: [1], b: [1]}");
        check("1: a", "{1: \"a\"}");
    }

    #[test]
    fn positions_are_those_of_an_editor() {
        let (root, _) = read("a:\n  - ä: b\n");
        let Some(Value::Mapping(entries)) = root.as_ref().map(|root| &root.value) else { panic!("{root:?}") };
        let Value::List(items) = &entries[0].value.value else { panic!("{root:?}") };
        let Value::Mapping(inner) = &items[0].value else { panic!("{root:?}") };
        assert_eq!(inner[0].place, Place::At { line: 2, column: 5 });
        assert_eq!(inner[0].value.place, Place::At { line: 2, column: 8 });
    }

    #[test]
    fn what_is_refused_has_its_place() {
        check_wrong("a: 1\nb: 2\na: 3", 3, 1, "a: is written twice, first in line 1");
        check_wrong("x:\n - {}\n - {a: 1, a: 2}", 3, 11, "x[1].a: is written twice");
        check_wrong("a: 1\n---\nb: 2", 2, 1, "second document");
        check_wrong("a: [1", 2, 1, "is not valid YAML");
        check_wrong("a: \"1", 1, 4, "is not valid YAML");
        check_wrong("? [a]\n: 1", 1, 3, "a key must be text");
        check_wrong(": 1", 1, 1, "the key is empty");
        check_wrong("a: !secret b", 1, 4, "carries a tag");
        check_wrong("a: !!set {b}", 1, 4, "carries a tag");
        check_wrong("a: *b", 1, 4, "unknown anchor");
        check_wrong("a: &b [*b]", 1, 8, "inside of what it names");
    }

    #[test]
    fn hostile_files_are_stopped_early() {
        check_wrong(&"- ".repeat(500_000), 1, 65, "nested deeper than 32");
        check_wrong(&"[".repeat(200), 1, 33, "nested deeper than 32");
        let mut fanned = String::from("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
        let mut nested = String::from("a0: &a0 [1]\n");
        for level in 1..40 {
            let before = level - 1;
            let aliases = vec![format!("*a{before}"); 10].join(", ");
            fanned.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
            nested.push_str(&format!("a{level}: &a{level} [*a{before}]\n"));
        }
        check_wrong(&fanned, 5, 25, "more than 50000 values");
        check_wrong(&nested, 32, 12, "nested deeper than 32");
        check_wrong(&format!("[{}]", "1,".repeat(60_000)), 1, 100_000, "more than 50000 values");
    }

    #[test]
    fn what_is_no_key_is_cut_in_paths() {
        assert_eq!(join("a", &"x".repeat(50)), format!("a.{}…", "x".repeat(40)));
        assert_eq!(join("", "api-key=hunter2"), "api-key…");
        assert_eq!(join("a", "Bearer hunter2"), "a.Bearer…");
        assert_eq!(join("a", "service.name"), "a.service.name");
        assert_eq!(clip("a\nb"), "a?b");
    }
}
