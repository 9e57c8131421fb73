//! The bound on what a stored voxel may change by.

use crate::error::DataError;
use crate::intensity::IntensityRange;
use crate::nifti::{Datatype, Number, Scaling};

/// `|v' - v| <= epsilon * (hi - lo)` for one channel.
///
/// The bound is checked as a product and as a quotient, in f64: whichever way somebody checks it again, it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Budget {
    epsilon: f64,
    width: f64,
}

impl Budget {
    pub(crate) fn new(epsilon: f64, range: &IntensityRange) -> Result<Self, DataError> {
        if !(epsilon > 0.0 && epsilon <= 1.0) {
            return Err(DataError::InvalidEpsilon { epsilon });
        }
        Ok(Self {
            epsilon,
            width: range.checked_width()?,
        })
    }

    /// One budget a channel.
    pub(crate) fn of_channels(
        channels: usize,
        ranges: &[IntensityRange],
        epsilon: f64,
    ) -> Result<Vec<Self>, DataError> {
        if ranges.len() != channels {
            return Err(DataError::ChannelCount {
                what: "intensity ranges, one per channel",
                expected: channels,
                found: ranges.len(),
            });
        }
        let budgets = ranges.iter().map(|range| Self::new(epsilon, range));
        budgets.collect()
    }

    /// The bound of a voxel that may use a share (0..1) of epsilon.
    pub(crate) fn share(&self, share: f32) -> Self {
        Self {
            epsilon: self.epsilon * f64::from(share),
            ..*self
        }
    }

    pub(crate) fn epsilon(&self) -> f64 {
        self.epsilon
    }

    pub(crate) fn width(&self) -> f64 {
        self.width
    }

    /// The largest allowed change in file units.
    pub(crate) fn limit(&self) -> f64 {
        self.epsilon * self.width
    }

    /// A change in file units as a fraction of the range.
    pub(crate) fn fraction(&self, change: f64) -> f64 {
        change / self.width
    }

    /// Whether a change in file units (not negative) is allowed.
    pub(crate) fn allows(&self, change: f64) -> bool {
        change <= self.limit() && self.fraction(change) <= self.epsilon
    }

    /// The largest allowed number of stored integer steps.
    pub(crate) fn steps(&self, slope: f64) -> i64 {
        let step = slope.abs();
        // Saturates: a step of 1e-300 allows "all" integers.
        let mut steps = (self.limit() / step).floor() as i64;
        // The quotient may be rounded across a whole number, either way.
        if self.allows(steps.saturating_add(1) as f64 * step) {
            steps = steps.saturating_add(1);
        }
        while steps > 0 && !self.allows(steps as f64 * step) {
            steps -= 1;
        }
        steps
    }

    /// The smallest epsilon that allows one stored step on this range.
    pub(crate) fn smallest_epsilon(&self, slope: f64) -> f64 {
        let step = slope.abs();
        let mut epsilon = step / self.width;
        while epsilon.is_finite() && !(Self { epsilon, ..*self }).allows(step) {
            epsilon = epsilon.next_up();
        }
        epsilon
    }

    /// `|v' - v|` in file units, from the stored numbers.
    ///
    /// For integers `|slope| * |s' - s|`: the difference of the integers is exact, and no rounding of `inter` enters. For
    /// floats the larger of that and of the difference of the two values, so that the bound holds however it is computed.
    pub(crate) fn change(old: Number, new: Number, scaling: &Scaling) -> f64 {
        match (old, new) {
            (Number::Integer(old), Number::Integer(new)) => {
                scaling.slope.abs() * (new - old).unsigned_abs() as f64
            }
            _ => {
                let stored = scaling.slope.abs() * (new.as_f64() - old.as_f64()).abs();
                stored.max((scaling.value(new) - scaling.value(old)).abs())
            }
        }
    }
}

/// The allowed steps of an integer datatype; `None` for floats.
pub(crate) fn integer_steps(datatype: Datatype, budget: &Budget, scaling: &Scaling) -> Option<i64> {
    datatype.is_integer().then(|| budget.steps(scaling.slope))
}

/// A number in decimal, rounded up to four significant digits, so that what the reader copies is never less than it is.
pub(crate) fn display_up(value: f64) -> String {
    if !(value.is_finite() && value > 0.0) {
        return value.to_string();
    }
    let decimals = (3.0 - value.log10().floor()).clamp(0.0, 300.0) as usize;
    let text = format!("{value:.decimals$}");
    match text.parse::<f64>() {
        Ok(parsed) if parsed >= value => text,
        _ => {
            // One unit of the last digit up; printing may round down again by less than half of it.
            let up = value + 10_f64.powi(-(decimals as i32));
            format!("{up:.decimals$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(epsilon: f64, width: f64) -> Budget {
        Budget::new(epsilon, &IntensityRange { lo: 0.0, hi: width }).unwrap()
    }

    #[test]
    fn steps_are_the_floor_even_where_the_quotient_rounds() {
        // 0.1 * 3 > 0.3 in f64, so three steps of 0.1 do not fit into 0.3, and the quotient says 2.9999999999999996.
        assert_eq!(budget(0.3, 1.0).steps(0.1), 2);
        assert_eq!(budget(4.0 / 255.0, 255.0).steps(1.0), 4);
        assert_eq!(budget(4.0 / 255.0, 255.0).steps(-1.0), 4);
        assert_eq!(budget(4.0 / 255.0, 254.0).steps(1.0), 3);
        assert_eq!(budget(4.0 / 255.0, 60.0).steps(1.0), 0);
        assert_eq!(budget(1.0, 1e300).steps(1e-300), i64::MAX);
    }

    #[test]
    fn the_smallest_epsilon_gives_exactly_one_step_and_is_the_smallest() {
        for (width, slope) in [
            (60.0, 1.0),
            (7.3, 0.1),
            (1e6, 3e-5),
            (0.3, -0.1),
            (1e-9, 7e-12),
        ] {
            let smallest = budget(1.0, width).smallest_epsilon(slope);
            assert_eq!(budget(smallest, width).steps(slope), 1, "{width} {slope}");
            assert_eq!(budget(smallest.next_down(), width).steps(slope), 0);
            let shown: f64 = display_up(smallest).parse().unwrap();
            assert!(
                shown >= smallest && shown < smallest * 1.002,
                "{shown} {smallest}"
            );
        }
    }

    #[test]
    fn displayed_numbers_are_rounded_up() {
        assert_eq!(display_up(0.015_686_274_5), "0.01569");
        assert_eq!(display_up(0.5), "0.5000");
        assert_eq!(display_up(1.0 / 3.0), "0.3334");
        assert_eq!(display_up(0.099_999_9), "0.10000");
    }

    #[test]
    fn epsilon_is_checked() {
        for epsilon in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
            let result = Budget::new(epsilon, &IntensityRange { lo: 0.0, hi: 1.0 });
            assert!(matches!(result, Err(DataError::InvalidEpsilon { .. })));
        }
    }
}
