//! One axis of a grid: where its outputs lie on the input, and the pass that computes them.

use ndarray::{Array3, Axis, Zip};

use super::Boundary;
use super::spline::{Prefilter, weights};

/// What one output is made of.
#[derive(Clone, Copy, Debug, Default)]
struct Taps {
    index: [usize; 4],
    weight: [f64; 4],
}

/// The linear map from `n_in` samples to `n_out` along one axis.
pub(super) struct AxisMap {
    prefilter: Prefilter,
    n_in: usize,
    taps: Vec<Taps>,
}

impl AxisMap {
    pub(super) fn new(n_in: usize, n_out: usize, boundary: Boundary) -> Self {
        let taps = coordinates(n_in, n_out, boundary)
            .map(|coordinate| coordinate.map_or_else(Taps::default, |x| taps(x, n_in)))
            .collect();
        Self {
            prefilter: Prefilter::new(n_in),
            n_in,
            taps,
        }
    }

    /// `values` with `n_in` along `axis` to an array with `n_out` there.
    pub(super) fn apply(&self, values: &Array3<f64>, axis: Axis) -> Array3<f64> {
        let mut shape = values.raw_dim();
        shape[axis.index()] = self.taps.len();
        let mut result = Array3::zeros(shape);
        let mut line = vec![0.0; self.n_in];
        Zip::from(result.lanes_mut(axis))
            .and(values.lanes(axis))
            .for_each(|out, values| {
                for (sample, &value) in line.iter_mut().zip(values) {
                    *sample = value;
                }
                self.prefilter.apply(&mut line);
                for (out, taps) in out.into_iter().zip(&self.taps) {
                    let terms = taps.index.iter().zip(&taps.weight);
                    *out = terms.map(|(&index, weight)| weight * line[index]).sum();
                }
            });
        result
    }
}

/// The four spline coefficients around coordinate `x`; those outside are mirrored at the outermost samples.
fn taps(x: f64, n: usize) -> Taps {
    let below = x.floor();
    let first = below as i64 - 1;
    Taps {
        index: std::array::from_fn(|tap| mirrored(first + tap as i64, n)),
        weight: weights(x - below),
    }
}

/// Index `i` of the signal that repeats `s[0], .., s[n - 1], s[n - 2], .., s[1]`.
fn mirrored(i: i64, n: usize) -> usize {
    let last = n as i64 - 1;
    // A single sample has no mirror image; it is everywhere.
    let i = i.rem_euclid((2 * last).max(1));
    i.min(2 * last - i) as usize
}

/// For every output, the nearest input.
pub(super) fn nearest(n_in: usize, n_out: usize, boundary: Boundary) -> Vec<Option<usize>> {
    coordinates(n_in, n_out, boundary)
        .map(|coordinate| coordinate.map(|x| (x + 0.5).floor() as usize))
        .collect()
}

/// For every output, its place on the input: `o * (n_in - 1) / (n_out - 1)`, in this order of operations, which decides what
/// `Boundary::Scipy` loses.
fn coordinates(n_in: usize, n_out: usize, boundary: Boundary) -> impl Iterator<Item = Option<f64>> {
    let last = n_in.saturating_sub(1) as f64;
    // A single output reads plane 0 whatever the step.
    let step = last / n_out.saturating_sub(1).max(1) as f64;
    (0..n_out).map(move |output| {
        let x = output as f64 * step;
        match boundary {
            Boundary::Scipy => (x <= last).then_some(x),
            Boundary::Clamp => Some(x.min(last)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list that the fixture `i_zoom` has of scipy 1.17.1 for 160 outputs.
    #[test]
    fn scipy_loses_the_last_plane_at_sixty_sizes() {
        let lost: Vec<usize> = (1..640)
            .filter(|&n| coordinates(n, 160, Boundary::Scipy).last() == Some(None))
            .collect();
        let runs = |ranges: &[(usize, usize, usize)]| -> Vec<usize> {
            let run = |&(from, to, step): &(usize, usize, usize)| (from..=to).step_by(step);
            ranges.iter().flat_map(run).collect()
        };
        let expected = runs(&[
            (16, 16, 1),
            (31, 32, 1),
            (61, 64, 1),
            (121, 127, 1),
            (240, 254, 1),
            (320, 348, 2),
            (479, 507, 2),
            (639, 639, 1),
        ]);
        assert_eq!(lost, expected);
        for n in lost {
            let last = coordinates(n, 160, Boundary::Clamp).last().flatten();
            assert_eq!(last, Some(n as f64 - 1.0));
        }
    }

    #[test]
    fn indices_are_mirrored_without_repeating_the_edge() {
        let around = |n: usize| (-5..=5).map(|i| mirrored(i, n)).collect::<Vec<_>>();
        assert_eq!(around(1), [0; 11]);
        assert_eq!(around(2), [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
        assert_eq!(around(4), [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1]);
    }
}
