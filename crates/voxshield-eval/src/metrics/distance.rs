use crate::sampling::lines;

/// Squared Euclidean distance of every voxel to the nearest site, in the unit of `spacing` squared;
/// infinite everywhere if there is no site.
///
/// Exact and linear in the number of voxels: one pass per axis, each the lower envelope of the
/// parabolas `f(v) + w^2 (p - v)^2` (P. Felzenszwalb and D. Huttenlocher, "Distance Transforms of
/// Sampled Functions", Theory of Computing 8, 2012), with the axis' voxel size `w`.
///
/// `sites` is `[depth, height, width]`; `shape` and `spacing` are in that order.
pub(super) fn squared_distances(sites: &[bool], shape: [usize; 3], spacing: [f64; 3]) -> Vec<f64> {
    let mut field: Vec<f64> = sites
        .iter()
        .map(|&site| if site { 0.0 } else { f64::INFINITY })
        .collect();
    let mut envelope = Envelope::default();
    let mut line = Vec::new();
    for (axis, size) in spacing.into_iter().enumerate() {
        let squared_size = size * size;
        for (first, stride, length) in lines(shape, axis) {
            line.clear();
            line.extend((0..length).map(|i| field[first + i * stride]));
            envelope.build(&line, squared_size);
            envelope.each(&line, squared_size, |i, value| {
                field[first + i * stride] = value;
            });
        }
    }
    field
}

/// The lower envelope of one line's parabolas: which parabola is lowest, and from where on.
#[derive(Default)]
struct Envelope {
    /// `(vertex, start)`: the parabola at `vertex` is lowest from the position `start` on.
    pieces: Vec<(usize, f64)>,
}

impl Envelope {
    fn build(&mut self, line: &[f64], squared_size: f64) {
        self.pieces.clear();
        for (q, &height) in line.iter().enumerate() {
            // An infinite parabola touches the envelope nowhere, and inf - inf would be NaN.
            if height.is_infinite() {
                continue;
            }
            let mut start = f64::NEG_INFINITY;
            while let Some(&(v, from)) = self.pieces.last() {
                let crossing = (height - line[v]) / (2.0 * squared_size * (q - v) as f64)
                    + (q + v) as f64 / 2.0;
                if crossing > from {
                    start = crossing;
                    break;
                }
                self.pieces.pop();
            }
            self.pieces.push((q, start));
        }
    }

    fn each(&self, line: &[f64], squared_size: f64, mut put: impl FnMut(usize, f64)) {
        let mut piece = 0;
        for p in 0..line.len() {
            while self
                .pieces
                .get(piece + 1)
                .is_some_and(|&(_, start)| start < p as f64)
            {
                piece += 1;
            }
            // No piece at all: no finite value on this line, which stays as it is.
            if let Some(&(v, _)) = self.pieces.get(piece) {
                put(p, line[v] + squared_size * (p.abs_diff(v) as f64).powi(2));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_transform_equals_brute_force_on_random_sites() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for round in 0..60 {
            let shape: [usize; 3] = std::array::from_fn(|_| rng.random_range(1..9));
            let spacing: [f64; 3] = std::array::from_fn(|_| rng.random_range(0.2..4.0));
            let density = [0.01, 0.1, 0.6][round % 3];
            let voxels: usize = shape.iter().product();
            let sites: Vec<bool> = (0..voxels).map(|_| rng.random_bool(density)).collect();
            let place = |i: usize| {
                let [_, h, w] = shape;
                [i / (h * w), i / w % h, i % w]
            };
            let found = squared_distances(&sites, shape, spacing);
            for (i, &value) in found.iter().enumerate() {
                let nearest = (0..voxels)
                    .filter(|&j| sites[j])
                    .map(|j| {
                        (0..3)
                            .map(|a| {
                                (spacing[a] * place(i)[a].abs_diff(place(j)[a]) as f64).powi(2)
                            })
                            .sum()
                    })
                    .fold(f64::INFINITY, f64::min);
                let close = value == nearest || (value - nearest).abs() <= 1e-12 * nearest;
                assert!(
                    close,
                    "{shape:?} {spacing:?} at {i}: {value} and not {nearest}"
                );
            }
        }
    }
}
