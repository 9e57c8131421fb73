//! Checks of strengths, and how the registry makes a defence from one.

use std::{fmt::Display, ops::RangeInclusive};

use super::Defence;
use crate::EvalError;

/// The defence of that strength, or the default one.
pub(super) fn made<D: Defence + Default + 'static>(
    strength: Option<f64>,
    new: impl Fn(f64) -> Result<D, EvalError>,
) -> Result<Box<dyn Defence>, EvalError> {
    Ok(Box::new(or_default(strength, new)?))
}

/// What has that strength, or the default one.
pub(crate) fn or_default<D: Default>(
    strength: Option<f64>,
    new: impl Fn(f64) -> Result<D, EvalError>,
) -> Result<D, EvalError> {
    strength.map_or_else(|| Ok(D::default()), new)
}

/// What has no strength to choose.
pub(crate) fn without_strength<D>(
    strength: Option<f64>,
    new: impl Fn() -> D,
) -> Result<D, EvalError> {
    match strength {
        None => Ok(new()),
        Some(found) => Err(refused("strength of this defence", "none", found)),
    }
}

/// The number after the colon of a specification.
pub(crate) fn number(text: &str) -> Result<f64, EvalError> {
    let number = text.parse();
    number.map_err(|_| EvalError::Parameter {
        what: "strength of a defence",
        expected: "a number after the colon, such as gaussian-blur:0.5",
        found: format!("'{text}'"),
    })
}

/// As [`made`], for a strength that is a whole number.
pub(super) fn made_whole<D: Defence + Default + 'static>(
    strength: Option<f64>,
    new: impl Fn(usize) -> Result<D, EvalError>,
) -> Result<Box<dyn Defence>, EvalError> {
    made(strength, |strength| {
        if strength >= 0.0 && strength.fract() == 0.0 {
            // The cast saturates, and every defence has an upper limit far below.
            new(strength as usize)
        } else {
            Err(refused(
                "strength of this defence",
                "a whole number",
                strength,
            ))
        }
    })
}

/// A parameter that must be a positive number.
pub(crate) fn positive(what: &'static str, value: f64) -> Result<f64, EvalError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(refused(what, "a positive number", value))
    }
}

/// A parameter within limits, both included; NaN is outside.
pub(super) fn within<T: PartialOrd + Display>(
    what: &'static str,
    expected: &'static str,
    limits: RangeInclusive<T>,
    value: T,
) -> Result<T, EvalError> {
    if limits.contains(&value) {
        Ok(value)
    } else {
        Err(refused(what, expected, value))
    }
}

/// An odd window of 3 to 15 voxels.
pub(super) fn odd_window(what: &'static str, window: usize) -> Result<usize, EvalError> {
    if (3..=15).contains(&window) && window % 2 == 1 {
        Ok(window)
    } else {
        Err(refused(what, "an odd number from 3 to 15", window))
    }
}

pub(super) fn refused(
    what: &'static str,
    expected: &'static str,
    found: impl Display,
) -> EvalError {
    EvalError::Parameter {
        what,
        expected,
        found: found.to_string(),
    }
}
