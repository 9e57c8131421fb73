//! Cubic B-splines: from samples to coefficients, and the weights of the coefficients around a point.

/// Start weights below this share of the first change nothing in `f64`.
const NEGLIGIBLE: f64 = 1e-20;

/// The recursive filter that turns samples into the coefficients of the spline through them.
///
/// Its poles are `z = sqrt(3) - 2` and `1 / z`: a causal pass `c[k] = s[k] + z c[k-1]`, an anti-causal pass
/// `c[k] = z (c[k+1] - c[k])`, and the gain `(1 - z)(1 - 1/z) = 6`. With mirror boundaries both passes have closed starts.
pub(super) struct Prefilter {
    pole: f64,
    /// The causal start as weights of the samples: the sum of `z^k s[k]` over the mirrored signal, whose period is `2n - 2`.
    start: Vec<f64>,
}

impl Prefilter {
    /// The filter of `n` samples; a single sample is its own coefficient.
    pub(super) fn new(n: usize) -> Self {
        let pole = 3f64.sqrt() - 2.0;
        let last = n.saturating_sub(1);
        let power = |k: usize| pole.powi(i32::try_from(k).unwrap_or(i32::MAX));
        let whole = 1.0 - power(2 * last);
        let start = (0..n)
            .map(|k| {
                // The samples inside occur twice in a period, the two outermost once.
                let again = if k == 0 || k == last {
                    0.0
                } else {
                    power(2 * last - k)
                };
                (power(k) + again) / whole
            })
            .take_while(|weight| weight.abs() > NEGLIGIBLE)
            .collect();
        Self { pole, start }
    }

    /// Samples to coefficients, in place.
    pub(super) fn apply(&self, line: &mut [f64]) {
        let [.., _, _] = line else {
            return;
        };
        let z = self.pole;
        let mut previous: f64 = self.start.iter().zip(&*line).map(|(w, s)| w * s).sum();
        line[0] = previous;
        for value in line.iter_mut().skip(1) {
            previous = *value + z * previous;
            *value = previous;
        }
        let last = line.len() - 1;
        let gain = (1.0 - z) * (1.0 - 1.0 / z);
        let mut next = z / (z * z - 1.0) * (line[last] + z * line[last - 1]);
        line[last] = gain * next;
        for value in line.iter_mut().rev().skip(1) {
            next = z * (next - *value);
            *value = gain * next;
        }
    }
}

/// Weights of the coefficients at -1, 0, 1 and 2 for a point `t` behind coefficient 0, `0 <= t < 1`; they sum to 1.
pub(super) fn weights(t: f64) -> [f64; 4] {
    let outer = |distance: f64| distance.powi(3) / 6.0;
    let inner = |distance: f64| (4.0 - 6.0 * distance.powi(2) + 3.0 * distance.powi(3)) / 6.0;
    [outer(1.0 - t), inner(t), inner(1.0 - t), outer(t)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spline's values at the samples, by the definition: `(c[k-1] + 4 c[k] + c[k+1]) / 6`, mirrored.
    fn at_samples(c: &[f64]) -> Vec<f64> {
        let last = c.len() - 1;
        (0..c.len())
            .map(|k| {
                let (before, after) = (c[k.abs_diff(1)], c[if k == last { k - 1 } else { k + 1 }]);
                (before + 4.0 * c[k] + after) / 6.0
            })
            .collect()
    }

    #[test]
    fn the_spline_runs_through_the_samples_at_every_length() {
        for n in 2..120usize {
            let samples: Vec<f64> = (0..n).map(|k| ((k * k + 3 * k) % 17) as f64).collect();
            let mut line = samples.clone();
            Prefilter::new(n).apply(&mut line);
            for (found, expected) in at_samples(&line).iter().zip(&samples) {
                assert!((found - expected).abs() < 1e-12, "{n}: {found} {expected}");
            }
        }
    }

    #[test]
    fn one_sample_is_its_own_coefficient_and_none_is_none() {
        let mut line = [3.5];
        Prefilter::new(1).apply(&mut line);
        assert_eq!(line, [3.5]);
        Prefilter::new(0).apply(&mut []);
    }

    #[test]
    fn weights_are_the_b_spline() {
        assert_eq!(weights(0.0), [1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0, 0.0]);
        for t in [0.0, 0.2, 0.5, 0.9] {
            let sum: f64 = weights(t).iter().sum();
            assert!((sum - 1.0).abs() < 1e-15, "{t}: {sum}");
        }
        let [a, b, c, d] = weights(0.5);
        assert_eq!((a, b), (d, c));
        assert_eq!((a, b), (1.0 / 48.0, 23.0 / 48.0));
    }
}
