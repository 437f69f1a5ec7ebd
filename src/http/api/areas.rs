//! Areas: as a list with filters, one by its id, and those with a finding.

use super::{
    AREA_PREFIX, Call, Problem,
    parameters::Parameters,
    shapes::{AreaId, AreaShape, Row, rows},
    status::{RuleShape, rules_of},
};
use crate::{
    detect::{advice::Advice, episode::LeakState},
    snapshot::Snapshot,
};
use hyper::StatusCode;
use serde::Serialize;
use std::cmp::Ordering;

/// The keys that lists of areas know.
pub(super) const PARAMETERS: &[&str] =
    &["kind", "target", "area", "state", "min_confidence", "sort", "limit", "offset"];
/// And those about their past.
pub(super) const PAST_PARAMETERS: &[&str] =
    &["kind", "target", "area", "state", "min_confidence", "period", "sort", "limit", "offset"];
const STATES: [(&str, LeakState); 3] =
    [("none", LeakState::None), ("suspected", LeakState::Suspected), ("confirmed", LeakState::Confirmed)];
/// The orders, each with what a person wants to see first at the top.
const ORDERS: [(&str, Order); 6] = [
    ("worst", worst_first),
    ("name", by_name),
    ("size", |one, other| other.area.size.total_cmp(&one.area.size)),
    ("growth", |one, other| growth(other).total_cmp(&growth(one))),
    ("confidence", |one, other| confidence(other).total_cmp(&confidence(one))),
    ("time_to_limit", |one, other| time_to_limit(one).total_cmp(&time_to_limit(other))),
];

type Order = fn(&Row<'_>, &Row<'_>) -> Ordering;

/// Some of the areas.
#[derive(Serialize)]
pub(super) struct Areas<'a> {
    taken_at: f64,
    total: usize,
    offset: usize,
    limit: usize,
    areas: Vec<AreaShape<'a>>,
}

/// One area with all that is known of it.
#[derive(Serialize)]
pub(super) struct OneArea<'a> {
    taken_at: f64,
    area: AreaShape<'a>,
    recommendations: Vec<Advice>,
    thresholds: Vec<RuleShape<'a>>,
}

/// Some of the findings.
#[derive(Serialize)]
pub(super) struct Findings<'a> {
    taken_at: f64,
    total: usize,
    offset: usize,
    limit: usize,
    findings: Vec<Advised<'a>>,
}

/// An area and what to do about it.
#[derive(Serialize)]
pub(super) struct Advised<'a> {
    pub(super) area: AreaShape<'a>,
    pub(super) recommendations: Vec<Advice>,
}

impl<'a> Advised<'a> {
    pub(super) fn of(row: Row<'a>) -> Self {
        Self { area: AreaShape::of(row), recommendations: row.recommendations() }
    }
}

pub(super) fn areas<'a>(call: &Call<'a>) -> Result<Areas<'a>, Problem> {
    let (rows, paging) = (chosen(call.snapshot, &call.parameters, |_| true)?, call.parameters.paging()?);
    Ok(Areas {
        taken_at: call.snapshot.taken_at,
        total: rows.len(),
        offset: paging.offset,
        limit: paging.limit,
        areas: paging.of(rows).map(AreaShape::of).collect(),
    })
}

pub(super) fn findings<'a>(call: &Call<'a>) -> Result<Findings<'a>, Problem> {
    let has_finding = |row: &Row<'_>| row.finding().is_some();
    let (rows, paging) = (chosen(call.snapshot, &call.parameters, has_finding)?, call.parameters.paging()?);
    Ok(Findings {
        taken_at: call.snapshot.taken_at,
        total: rows.len(),
        offset: paging.offset,
        limit: paging.limit,
        findings: paging.of(rows).map(Advised::of).collect(),
    })
}

pub(super) fn area<'a>(call: &Call<'a>) -> Result<OneArea<'a>, Problem> {
    let written = call.request.path.strip_prefix(AREA_PREFIX).unwrap_or_default();
    let row = find(call.snapshot, written)?;
    let thresholds = rules_of(row.target).filter(|rule| rule.is_about(&row.area.area.name)).collect();
    Ok(OneArea {
        taken_at: call.snapshot.taken_at,
        area: AreaShape::of(row),
        recommendations: row.recommendations(),
        thresholds,
    })
}

/// The area with this id.
pub(super) fn find<'a>(snapshot: &'a Snapshot, written: &str) -> Result<Row<'a>, Problem> {
    let id = AreaId::parse(written);
    let found = id.and_then(|id| rows(&snapshot.targets).find(|row| row.id() == id));
    found.ok_or_else(|| {
        let detail = format!("There is no area with the id {written:?}.");
        let help =
            "/api/v1/areas lists the areas of now with their ids; that of a target that is gone is gone too.";
        Problem::new(StatusCode::NOT_FOUND, &detail, help)
    })
}

/// The areas that a query asks for, in the order that it asks for.
pub(super) fn chosen<'a>(
    snapshot: &'a Snapshot,
    parameters: &Parameters,
    is_meant: impl Fn(&Row<'_>) -> bool,
) -> Result<Vec<Row<'a>>, Problem> {
    let state = parameters.one_of("state", &STATES)?;
    let least = parameters.share("min_confidence")?;
    let order = parameters.one_of("sort", &ORDERS)?.unwrap_or(worst_first as Order);
    let is = |key: &str, value: &str| parameters.text(key).is_none_or(|wanted| wanted == value);
    let is_chosen = |row: &Row<'_>| {
        is_meant(row)
            && is("kind", row.target.target.kind.as_str())
            && is("target", &row.target.target.name)
            && is("area", &row.area.area.name)
            && state.is_none_or(|state| row.state() == Some(state))
            && least.is_none_or(|least| confidence(row) >= least)
    };
    let mut rows: Vec<Row<'a>> = rows(&snapshot.targets).filter(is_chosen).collect();
    // Stable, so that equals stay in the order of their names.
    rows.sort_by(order);
    Ok(rows)
}

/// By what people must see first: state, whether it is news, severity, confidence, growth.
pub(super) fn worst_first(one: &Row<'_>, other: &Row<'_>) -> Ordering {
    let rank =
        |row: &Row<'_>| (row.state(), !row.is_explained(), row.finding().map(|finding| finding.severity));
    rank(other)
        .cmp(&rank(one))
        .then_with(|| confidence(other).total_cmp(&confidence(one)))
        .then_with(|| growth(other).total_cmp(&growth(one)))
}

fn by_name(one: &Row<'_>, other: &Row<'_>) -> Ordering {
    let targets = one.target.target.name.cmp(&other.target.target.name);
    targets
        .then_with(|| one.target.target.kind.cmp(&other.target.target.kind))
        .then_with(|| one.area.area.name.cmp(&other.area.area.name))
        .then_with(|| one.area.pid.cmp(&other.area.pid))
}

/// What has no finding stands behind all that has one.
pub(super) fn growth(row: &Row<'_>) -> f64 {
    row.finding().map_or(f64::NEG_INFINITY, |finding| finding.growth.value)
}

fn confidence(row: &Row<'_>) -> f64 {
    row.finding().map_or(f64::NEG_INFINITY, |finding| finding.confidence)
}

fn time_to_limit(row: &Row<'_>) -> f64 {
    row.finding().and_then(|finding| finding.time_to_limit).map_or(f64::INFINITY, |time| time.value)
}
