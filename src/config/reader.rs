//! Typed readers of the tree. Each notes what is wrong and goes on, so that all problems come at once.
//!
//! A reader gives `None` where nothing usable is written; the caller then keeps the default, and the noted problem
//! keeps the whole from becoming a configuration.

use super::{
    duration,
    errors::{Place, Problem},
    keys,
    tree::{Entry, Node, Value, clip, join},
};
use std::{borrow::Cow, ops::RangeInclusive, time::Duration};

/// Everything noted so far.
pub(super) type Problems = Vec<Problem>;

/// A value with the path of its key.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    /// The path, such as `processes.rules[2].name`.
    pub(super) path: String,
    node: &'a Node,
}

/// A mapping.
#[derive(Clone, Debug)]
pub(super) struct Section<'a> {
    path: String,
    /// Where it begins.
    pub(super) place: Place,
    entries: &'a [Entry],
}

/// A bound of a duration, as messages show it: both ends belong to it.
pub(super) type Durations = RangeInclusive<Duration>;

impl<'a> Field<'a> {
    /// The whole file.
    pub(super) fn root(node: &'a Node) -> Self {
        Self { path: String::new(), node }
    }

    /// Where the value begins.
    pub(super) fn place(&self) -> Place {
        self.node.place
    }

    /// Notes what is wrong with the value.
    pub(super) fn wrong(&self, problems: &mut Problems, message: impl Into<String>) {
        problems.push(Problem { place: self.node.place, key: self.path.clone(), message: message.into() });
    }

    /// Notes that the value is of another sort. It shows the sort alone, for the value may be a secret.
    fn wrong_type(&self, problems: &mut Problems, expected: &str) {
        let found = match &self.node.value {
            Value::Null => {
                return self.wrong(problems, format!("has no value; write {expected}, or remove the key"));
            }
            Value::Switch(_) => "true or false",
            Value::Whole(_) | Value::Fraction(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Mapping(_) => "a section with keys",
        };
        self.wrong(problems, format!("is {found}; write {expected}"));
    }

    /// The section of a fixed set of keys; `schema` is its path in [`keys::KEYS`]. Nothing written is an empty section.
    pub(super) fn section(&self, schema: &str, problems: &mut Problems) -> Option<Section<'a>> {
        self.section_of(&keys::of_section(schema), &|key| keys::instead(schema, key), problems)
    }

    /// The same for a file of another schema: the keys that it takes, and what to do about another one.
    pub(super) fn section_of(
        &self,
        known: &[&str],
        instead: &dyn Fn(&str) -> String,
        problems: &mut Problems,
    ) -> Option<Section<'a>> {
        let section = self.mapping(problems, "keys with their values")?;
        for entry in section.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            section.wrong_key(entry, problems, format!("unknown key; {}", instead(&entry.key)));
        }
        Some(section)
    }

    /// A mapping with any keys.
    pub(super) fn mapping(&self, problems: &mut Problems, expected: &str) -> Option<Section<'a>> {
        let entries = match &self.node.value {
            Value::Mapping(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                self.wrong_type(problems, expected);
                return None;
            }
        };
        Some(Section { path: self.path.clone(), place: self.node.place, entries })
    }

    /// The items of a list of at most `items_max`. Nothing written is `None` without a problem.
    pub(super) fn list(&self, items_max: usize, problems: &mut Problems) -> Option<Vec<Self>> {
        let items = match &self.node.value {
            Value::List(items) => items,
            Value::Null => return None,
            _ => {
                self.wrong_type(problems, "a list, each item after a dash or all in brackets");
                return None;
            }
        };
        if items.len() > items_max {
            self.wrong(problems, format!("holds {} items; keep at most {items_max}", items.len()));
            return None;
        }
        let item = |(index, node): (usize, &'a std::rc::Rc<Node>)| Self {
            path: format!("{}[{index}]", self.path),
            node,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A list of text without repetition, each item with its field.
    pub(super) fn words(&self, items_max: usize, problems: &mut Problems) -> Option<Vec<(Self, &'a str)>> {
        let mut words: Vec<(Self, &'a str)> = Vec::new();
        let mut seen = std::collections::BTreeMap::new();
        for item in self.list(items_max, problems)? {
            let Some(word) = item.text("text", problems) else { continue };
            if let Some(first) = seen.get(word) {
                item.wrong(problems, format!("repeats `{}` of {first}; keep one of them", clip(word)));
                continue;
            }
            seen.insert(word, item.path.clone());
            words.push((item, word));
        }
        Some(words)
    }

    /// Text that is not empty; `expected` says which.
    pub(super) fn text(&self, expected: &str, problems: &mut Problems) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text),
            Value::Text(_) => {
                self.wrong(problems, format!("is empty; write {expected}, or remove it"));
                None
            }
            Value::Switch(_) | Value::Whole(_) | Value::Fraction(_) => {
                self.wrong_type(
                    problems,
                    &format!("{expected}, in quotes if it looks like a number or a switch"),
                );
                None
            }
            _ => {
                self.wrong_type(problems, expected);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn switch(&self, problems: &mut Problems) -> Option<bool> {
        if let Value::Switch(on) = self.node.value {
            return Some(on);
        }
        self.wrong_type(problems, "true or false, without quotes");
        None
    }

    /// A whole number within `range`.
    pub(super) fn whole(&self, range: &RangeInclusive<usize>, problems: &mut Problems) -> Option<usize> {
        let bounds = format!("{} to {}", range.start(), range.end());
        match &self.node.value {
            Value::Whole(number) => {
                let within = usize::try_from(*number).ok().filter(|number| range.contains(number));
                if within.is_none() {
                    self.wrong(problems, format!("{number} is out of range; write {bounds}"));
                }
                within
            }
            Value::Fraction(text) => {
                let is_whole = text.chars().all(|c| c.is_ascii_digit() || "+-".contains(c));
                let wrong = if is_whole { "is out of range" } else { "is no whole number" };
                self.wrong(problems, format!("{} {wrong}; write {bounds}", clip(text)));
                None
            }
            _ => {
                self.wrong_type(problems, &format!("a whole number, {bounds}, without quotes"));
                None
            }
        }
    }

    /// A duration within `range`.
    pub(super) fn duration(&self, range: &Durations, problems: &mut Problems) -> Option<Duration> {
        let text = self.scalar("a duration such as 500ms, 3s, 1m30s or 1h", problems)?;
        match within(&text, range) {
            Ok(duration) => Some(duration),
            Err(message) => {
                self.wrong(problems, format!("{} {message}", clip(&text)));
                None
            }
        }
    }

    /// A number or text as it was written, or nearly so: `0x10` is 16.
    pub(super) fn scalar(&self, expected: &str, problems: &mut Problems) -> Option<Cow<'a, str>> {
        match &self.node.value {
            Value::Text(text) | Value::Fraction(text) => Some(Cow::Borrowed(text)),
            Value::Whole(number) => Some(Cow::Owned(number.to_string())),
            _ => {
                self.wrong_type(problems, expected);
                None
            }
        }
    }

    /// Whether the value is a mapping.
    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.node.value, Value::Mapping(_))
    }

    /// One of a fixed set of words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)], problems: &mut Problems) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let text = self.text(&format!("one of {}", keys::list(&names)), problems)?;
        let found = words.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            self.wrong(problems, unknown_word(text, &names));
        }
        found
    }
}

/// What is wrong with a word that is none of `names`.
pub(super) fn unknown_word(word: &str, names: &[&str]) -> String {
    match keys::nearest(word, names) {
        Some(near) => {
            format!("unknown word `{}`; did you mean `{near}`? Known are {}", clip(word), keys::list(names))
        }
        None => format!("unknown word `{}`; known are {}", clip(word), keys::list(names)),
    }
}

/// Reads a duration within `range`; the error follows the text that was written.
fn within(text: &str, range: &Durations) -> Result<Duration, String> {
    let duration = duration::parse(text)?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    Err(format!(
        "is out of range; write {} to {}",
        duration::show(*range.start()),
        duration::show(*range.end())
    ))
}

impl<'a> Section<'a> {
    /// The field of a key, if it is written.
    pub(super) fn field(&self, key: &str) -> Option<Field<'a>> {
        self.fields().find_map(|(entry, field)| (entry.key == key).then_some(field))
    }

    /// Whether nothing is written in it.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of its keys with their fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a Entry, Field<'a>)> {
        let path = self.path.clone();
        self.entries
            .iter()
            .map(move |entry| (entry, Field { path: join(&path, &entry.key), node: entry.value.as_ref() }))
    }

    /// Notes what is wrong with one of its keys.
    pub(super) fn wrong_key(&self, entry: &Entry, problems: &mut Problems, message: impl Into<String>) {
        let key = join(&self.path, &entry.key);
        problems.push(Problem { place: entry.place, key, message: message.into() });
    }

    /// Notes what is wrong with the section as a whole.
    pub(super) fn wrong(&self, problems: &mut Problems, message: impl Into<String>) {
        problems.push(Problem { place: self.place, key: self.path.clone(), message: message.into() });
    }
}
