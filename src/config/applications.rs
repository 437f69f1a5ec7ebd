//! The section `applications`: programs that tell of themselves, and which of their numbers make which area.

use super::{
    amount, keys,
    otlp::http_url,
    reader::{Field, Problems, Section},
    selector::Selector,
    tree::clip,
    written::Files,
};
mod account;

pub use self::account::{Account, Shape};

use crate::{budget::Quantity, sample::Unit};
use hyper::Uri;
use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Applications are read side by side, each over connections of its own.
const APPLICATIONS_MAX: usize = 100;
/// Areas of one application that are written by hand.
const AREAS_MAX: usize = 100;
/// Arguments of a command.
const ARGUMENTS_MAX: usize = 64;
/// Letters of a name of an application: as of any other target.
const LONGEST_NAME: usize = 128;
/// Letters of a name of an area.
const LONGEST_AREA: usize = 64;
/// Where an item stands in the list of keys.
const APPLICATION: &str = "applications[]";
/// Where an area stands there.
const AREA: &str = "applications[].areas[]";
/// The keys that say where an area's number comes from.
const ORIGINS: [&str; 4] = ["metric", "json", "file", "command"];
/// What the name of an area's entries adds to its own.
pub const ENTRIES: &str = "_entries";

/// A program that tells of itself; an item of `applications`.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// The name of its target; `applications[].name`.
    pub name: Box<str>,
    /// Its Prometheus endpoint; `applications[].prometheus`.
    pub prometheus: Option<Uri>,
    /// What its own metrics put before the names of the well-known ones; `applications[].prefix`.
    pub prefix: String,
    /// What tells of its runtime where it has no Prometheus endpoint.
    pub account: Option<Account>,
    /// Time between two readings of its endpoint, where that is longer than the collector's; `applications[].interval`.
    pub interval: Option<Duration>,
    /// The name of the process target that is woken by a signal while its inspector is closed;
    /// `applications[].wake_by_signal`.
    pub wake: Option<Box<str>>,
    /// How its URLs are asked.
    pub access: Access,
    /// Areas of its own, and what is said of well-known ones; `applications[].areas`.
    pub areas: Vec<ApplicationArea>,
}

impl Application {
    /// The URL of the page that tells of its runtime.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Uri> {
        self.prometheus.as_ref().or_else(|| Some(&self.account.as_ref()?.url))
    }
}

/// How the URLs of an application are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Sent with each request, never logged; `applications[].basic_auth`, `applications[].bearer_token_file`.
    pub credentials: Option<Credentials>,
    /// CA certificates (PEM) to trust beside the system's; `applications[].certificate_file`.
    pub certificate_file: Option<PathBuf>,
}

/// Who asks. Secrets stay in their files, which are read at each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A user with a password.
    Basic {
        /// The name of the user.
        username: String,
        /// The file that holds the password.
        password_file: PathBuf,
    },
    /// A token.
    Bearer {
        /// The file that holds it.
        token_file: PathBuf,
    },
}

/// An area of an application; an item of `applications[].areas`.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplicationArea {
    /// Its name; `applications[].areas[].name`.
    pub name: Arc<str>,
    /// The name of the area of its entries.
    pub entries_name: Arc<str>,
    /// What it counts; `applications[].areas[].unit`.
    pub unit: Unit,
    /// Its limit, in its unit; `applications[].areas[].limit`.
    pub limit: Option<f64>,
    /// Whether it is judged: what is written, or else that areas of one's own are and of well-known ones nothing is said;
    /// `applications[].areas[].judge`.
    pub judge: Option<bool>,
    /// Where its number comes from; none for a well-known area of which more is said.
    pub origin: Option<Origin>,
}

/// Where a number comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A metric of the application's Prometheus endpoint, the sum over all series that match.
    Metric {
        /// The size.
        size: Selector,
        /// The number of entries, if that is told.
        entries: Option<Selector>,
    },
    /// A document that is a number, or JSON that holds one.
    Document {
        /// Where it is.
        place: Place,
        /// Where in it the size stands, as a JSON pointer (RFC 6901); empty for the whole document.
        size: String,
        /// Where in it the number of entries stands, if that is told.
        entries: Option<String>,
    },
}

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind a URL; `applications[].areas[].json`.
    Url(Uri),
    /// In a file; `applications[].areas[].file`.
    File(PathBuf),
    /// In what a command writes: the program and its arguments, without a shell; `applications[].areas[].command`.
    Command(Vec<String>),
}

impl fmt::Display for Place {
    /// Fit for a log: a query may hold a key, and arguments a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&without_query(url)),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Command(arguments) => f.write_str(arguments.first().map_or("", String::as_str)),
        }
    }
}

/// A URL, fit for a log.
#[must_use]
pub fn without_query(url: &Uri) -> String {
    let text = url.to_string();
    text.split_once('?').map_or(text.as_str(), |(before, _)| before).to_owned()
}

/// Reads `applications`.
pub(super) fn applications(field: &Field<'_>, files: Files<'_>, problems: &mut Problems) -> Vec<Application> {
    let items = field.list(APPLICATIONS_MAX, problems).unwrap_or_default();
    let mut names = BTreeSet::new();
    let mut applications = Vec::new();
    for item in &items {
        let Some(application) = application(item, files, problems) else { continue };
        if !names.insert(application.name.clone()) {
            let name = clip(&application.name);
            item.wrong(
                problems,
                format!("`{name}` is the name of an application above; give it another one"),
            );
        }
        applications.push(application);
    }
    applications
}

fn application(item: &Field<'_>, files: Files<'_>, problems: &mut Problems) -> Option<Application> {
    let before = problems.len();
    let section = item.section(APPLICATION, problems)?;
    // An unknown key was meant as one that is missing; its own problem is enough.
    let is_complete = problems.len() == before;
    let name = name(&section, problems);
    let prometheus = section.field("prometheus").and_then(|field| url(&field, problems));
    let prefix = section.field("prefix").and_then(|field| field.text("a prefix of names", problems));
    let account = account::account(&section, problems);
    let wake = account::wake(&section, problems);
    let usual = || account.as_ref()?.shape.usual_interval();
    let interval = account::interval(&section, problems).or_else(usual);
    let access = access(&section, files, problems);
    let has_endpoint = section.field("prometheus").is_some();
    let mut areas = Vec::new();
    for item in section.field("areas").and_then(|field| field.list(AREAS_MAX, problems)).unwrap_or_default() {
        areas.extend(area(&item, has_endpoint, files, problems).map(|area| (item, area)));
    }
    check_names(&areas, problems);
    let areas: Vec<ApplicationArea> = areas.into_iter().map(|(_, area)| area).collect();
    let has_account = Shape::ALL.iter().any(|(key, _)| section.field(key).is_some());
    let tells_something = has_endpoint || has_account || section.field("areas").is_some();
    if is_complete && !tells_something {
        section.wrong(problems, "tells nothing; add `prometheus`, the URL of its metrics, or `areas`");
    }
    let prefix = prefix.unwrap_or_default().to_owned();
    Some(Application { name: name?.into(), prometheus, prefix, account, interval, wake, access, areas })
}

fn name(section: &Section<'_>, problems: &mut Problems) -> Option<String> {
    let Some(field) = section.field("name") else {
        section.wrong(problems, "has no `name`; add the name of the target");
        return None;
    };
    let name = field.text("the name of the target", problems)?;
    if name.chars().count() > LONGEST_NAME || name.contains(char::is_control) {
        let message = format!("is no name; write at most {LONGEST_NAME} characters without line breaks");
        field.wrong(problems, message);
        return None;
    }
    Some(name.to_owned())
}

/// Reads a URL. It is not shown where it is wrong, for people put passwords into URLs.
fn url(field: &Field<'_>, problems: &mut Problems) -> Option<Uri> {
    let example = "http://localhost:3000/metrics";
    let text = field.text(&format!("a URL such as {example}"), problems)?;
    let read = http_url(
        text,
        example,
        "holds a user name or password, which would end up in logs; write `basic_auth` or `bearer_token_file`",
    );
    read.map_err(|message| field.wrong(problems, message)).ok()
}

fn access(section: &Section<'_>, files: Files<'_>, problems: &mut Problems) -> Access {
    let mut file = |key: &str, what: &str| {
        let field = section.field(key)?;
        let path = files.readable(Path::new(field.text(what, problems)?));
        path.map_err(|message| field.wrong(problems, message)).ok()
    };
    let certificate_file = file("certificate_file", "the path of a PEM file");
    let token_file = file("bearer_token_file", "the path of a file with the token");
    let bearer = token_file.map(|token_file| Credentials::Bearer { token_file });
    let basic = section.field("basic_auth").and_then(|field| basic(&field, files, problems));
    if bearer.is_some() && basic.is_some() {
        section.wrong(problems, "has both `basic_auth` and `bearer_token_file`; keep one of them");
    }
    Access { credentials: bearer.or(basic), certificate_file }
}

fn basic(field: &Field<'_>, files: Files<'_>, problems: &mut Problems) -> Option<Credentials> {
    let before = problems.len();
    let section = field.section("applications[].basic_auth", problems)?;
    let is_complete = problems.len() == before;
    let mut text = |key: &str, what: &str| {
        let Some(field) = section.field(key) else {
            if is_complete {
                section.wrong(problems, format!("has no `{key}`; add {what}"));
            }
            return None;
        };
        field.text(what, problems).map(|text| (text.to_owned(), field))
    };
    let username = text("username", "the name of the user");
    let password_file = text("password_file", "the path of a file with the password");
    let ((username, field), (password_file, file)) = (username?, password_file?);
    if username.contains(':') {
        field.wrong(problems, "holds a colon, which no user name can; remove it");
    }
    let password_file = files.readable(Path::new(&password_file));
    let password_file = password_file.map_err(|message| file.wrong(problems, message)).ok()?;
    Some(Credentials::Basic { username, password_file })
}

fn area(
    item: &Field<'_>,
    has_endpoint: bool,
    files: Files<'_>,
    problems: &mut Problems,
) -> Option<ApplicationArea> {
    let before = problems.len();
    let section = item.section(AREA, problems)?;
    let name = area_name(&section, problems);
    let units = [("bytes", Unit::Bytes), ("objects", Unit::Objects)];
    let unit = section.field("unit").map_or(Some(Unit::Bytes), |field| field.one_of(&units, problems));
    let limit = section.field("limit").zip(unit).and_then(|(field, unit)| limit(&field, unit, problems));
    let judge = section.field("judge").and_then(|field| field.switch(problems));
    let origin = origin(&section, has_endpoint, files, problems);
    let is_right = problems.len() == before;
    if is_right && origin.is_none() && limit.is_none() && judge.is_none() {
        let origins = keys::list(&ORIGINS);
        section.wrong(
            problems,
            format!("has no number; add one of {origins}, or `limit` or `judge` for a well-known area"),
        );
    }
    let judge = judge.or_else(|| origin.is_some().then_some(true));
    let name = name?;
    let entries_name = format!("{name}{ENTRIES}").into();
    Some(ApplicationArea { name: name.into(), entries_name, unit: unit?, limit, judge, origin })
}

fn area_name<'a>(section: &Section<'a>, problems: &mut Problems) -> Option<&'a str> {
    let Some(field) = section.field("name") else {
        section.wrong(problems, "has no `name`; add the name of the area");
        return None;
    };
    let name = field.text("the name of the area", problems)?;
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if !is_plain || name.len() > LONGEST_AREA {
        let message = format!(
            "`{}` is no name of an area; write at most {LONGEST_AREA} letters, digits, _, - and .",
            clip(name)
        );
        field.wrong(problems, message);
        return None;
    }
    Some(name)
}

fn limit(field: &Field<'_>, unit: Unit, problems: &mut Problems) -> Option<f64> {
    let quantity = match unit {
        Unit::Bytes => Quantity::Bytes,
        Unit::Objects => Quantity::Objects,
    };
    let text = field.scalar(&amount::expected(quantity), problems)?;
    match amount::parse(quantity, &text) {
        Ok(limit) if limit > 0.0 => Some(limit),
        Ok(_) => {
            field.wrong(problems, "is no limit; write more than 0, or remove the key");
            None
        }
        Err(message) => {
            field.wrong(problems, format!("{} {message}", clip(&text)));
            None
        }
    }
}

fn origin(
    section: &Section<'_>,
    has_endpoint: bool,
    files: Files<'_>,
    problems: &mut Problems,
) -> Option<Origin> {
    let written: Vec<(&str, Field<'_>)> =
        ORIGINS.iter().filter_map(|key| Some((*key, section.field(key)?))).collect();
    let [(key, field)] = written.as_slice() else {
        if let [_, .., (_, field)] = written.as_slice() {
            field.wrong(problems, format!("is a second origin; keep one of {}", keys::list(&ORIGINS)));
        } else if let Some(field) = section.field("field").or_else(|| section.field("entries")) {
            field.wrong(problems, format!("belongs to nothing; add one of {}", keys::list(&ORIGINS)));
        }
        return None;
    };
    let entries = section.field("entries");
    if *key == "metric" {
        if !has_endpoint {
            field.wrong(problems, "needs the application's endpoint; add `prometheus` beside `areas`");
        }
        if let Some(field) = section.field("field") {
            field.wrong(problems, "is for JSON, and not for a `metric`; remove it");
        }
        let entries = entries.and_then(|field| selector(&field, problems));
        return Some(Origin::Metric { size: selector(field, problems)?, entries });
    }
    let size = section.field("field").and_then(|field| pointer(&field, problems));
    let entries = entries.and_then(|field| pointer(&field, problems));
    let place = match *key {
        "json" => Place::Url(url(field, problems)?),
        "file" => Place::File(files.joined(Path::new(field.text("the path of a file", problems)?))),
        _ => Place::Command(command(field, problems)?),
    };
    Some(Origin::Document { place, size: size.unwrap_or_default(), entries })
}

fn selector(field: &Field<'_>, problems: &mut Problems) -> Option<Selector> {
    let text = field.text("the name of a metric", problems)?;
    Selector::parse(text).map_err(|message| field.wrong(problems, message)).ok()
}

fn pointer(field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    let text = field.text("a JSON pointer such as /cache/bytes", problems)?;
    if !text.starts_with('/') {
        let message = format!("`{0}` is no JSON pointer; write /{0}, with / before each name", clip(text));
        field.wrong(problems, message);
        return None;
    }
    Some(text.to_owned())
}

fn command(field: &Field<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let items = field.list(ARGUMENTS_MAX, problems)?;
    let before = problems.len();
    let arguments: Vec<String> =
        items.iter().filter_map(|item| item.text("text", problems)).map(String::from).collect();
    if arguments.is_empty() && problems.len() == before {
        field.wrong(problems, "is empty; write the program and its arguments, such as [appctl, cache-size]");
    }
    (!arguments.is_empty()).then_some(arguments)
}

/// Notes areas that have one name. The area of the entries has one too.
fn check_names(areas: &[(Field<'_>, ApplicationArea)], problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for (item, area) in areas {
        let entries = area.has_entries().then_some(&area.entries_name);
        for name in [&area.name].into_iter().chain(entries) {
            if !seen.insert(Arc::clone(name)) {
                item.wrong(problems, format!("makes a second area `{name}`; give it another name"));
            }
        }
    }
}

impl ApplicationArea {
    /// Whether it makes an area of its entries too.
    #[must_use]
    pub const fn has_entries(&self) -> bool {
        match &self.origin {
            Some(Origin::Metric { entries, .. }) => entries.is_some(),
            Some(Origin::Document { entries, .. }) => entries.is_some(),
            None => false,
        }
    }
}
