//! Stub
use super::Question;
use crate::detect::features::ALL_FEATURES;
pub(in crate::detect) const SCALE: f64 = 1.0;
pub(in crate::detect) const BIAS: f64 = 0.0;
pub(in crate::detect) static BORDERS: [&[f32]; ALL_FEATURES] = [&[]; ALL_FEATURES];
pub(in crate::detect) static QUESTIONS: [Question; 0] = [];
pub(in crate::detect) static VOTES: [i16; 0] = [];
