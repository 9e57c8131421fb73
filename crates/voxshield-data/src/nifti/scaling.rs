//! From stored numbers to values.

use super::datatype::Number;

/// `v = slope * s + inter`, with the identity in place of a slope that means "no scaling" (0, NaN or infinite), as nibabel reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// Never 0 and always finite.
    pub slope: f64,
    /// Always finite.
    pub inter: f64,
}

impl Scaling {
    /// No scaling.
    pub const IDENTITY: Self = Self {
        slope: 1.0,
        inter: 0.0,
    };

    /// The value of a stored number, in f64.
    #[must_use]
    pub fn apply(&self, stored: f64) -> f64 {
        self.slope * stored + self.inter
    }

    pub(crate) fn value(&self, number: Number) -> f64 {
        self.apply(number.as_f64())
    }
}
