//! `exp` and `ln` in `f32` without branches and calls, so that loops over them vectorise.
//!
//! Argument reduction and truncated series as in every libm; both are good to 2 units in the last
//! place on the ranges that a softmax needs.

/// `exp(x)` for `x <= 0`; what is below -87, where `f32` ends, counts as -87. NaN stays NaN.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// `1.5 * 2^23`: adding it leaves the nearest integer in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first so short that its products with `k` are exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Written so, a NaN passes; `max` would drop it.
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = x - k * LN_2_HIGH - k * LN_2_LOW;
    // Taylor; |r| <= ln(2) / 2, where the first term left out is 5e-9.
    let mut series = 1.0 / 5040.0;
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        series = series * r + factor;
    }
    let fraction = r * r * series + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    fraction * power
}

/// `ln(x)` for finite `x >= 1`.
#[inline(always)]
pub(super) fn ln(x: f32) -> f32 {
    const SQRT_HALF: u32 = 0x3f35_04f3;
    // x = m 2^k with m in sqrt(1/2) .. sqrt(2).
    let k = x.to_bits().wrapping_sub(SQRT_HALF) as i32 >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub((k << 23) as u32));
    // ln m = 2 artanh(s); |s| <= 0.172, where the first term left out is 7e-10.
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut series = 2.0 / 9.0;
    for factor in [2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0] {
        series = series * square + factor;
    }
    k as f32 * std::f32::consts::LN_2 + (s * square * series + 2.0 * s)
}

#[cfg(test)]
mod tests {
    use super::{exp, ln};

    /// The largest relative error over `x`, in units of `f32::EPSILON`.
    fn worst(
        x: impl Iterator<Item = f32>,
        own: impl Fn(f32) -> f32,
        truth: impl Fn(f64) -> f64,
    ) -> f64 {
        x.map(|x| {
            let truth = truth(x.into());
            let error = (f64::from(own(x)) - truth).abs() / truth.abs().max(1e-30);
            error / f64::from(f32::EPSILON)
        })
        .fold(0.0, f64::max)
    }

    #[test]
    fn exp_is_exact_to_its_last_digits() {
        let x = (0..870_000).map(|i| i as f32 * -1e-4);
        let error = worst(x, exp, f64::exp);
        assert!(error < 1.5, "{error} epsilon");
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn ln_is_exact_to_its_last_digits() {
        let x = (1..400_000).map(|i| 1.0 + i as f32 * 1e-4);
        let error = worst(x, ln, f64::ln);
        assert!(error < 2.0, "{error} epsilon");
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn exp_knows_its_ends() {
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(exp(f32::NEG_INFINITY), exp(-87.0));
        assert!(exp(-1e4) < 2e-38);
    }
}
