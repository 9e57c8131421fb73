//! Which stored axis runs along which axis of the patient.

use std::ops::Range;

use ndarray::{ArrayBase, ArrayView4, Axis, Ix4, RawData};

use super::affine::{Affine, inverse_transpose};

/// The permutation and flips that bring stored axes (i, j, k) closest to RAS+ (x, y, z): no resampling, so going back is
/// exact.
///
/// The product's canonical order is `[channel, depth, height, width]` with depth = z, height = x, width = y.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Orientation {
    /// The stored axis that runs along canonical x, y, z.
    axes: [usize; 3],
    /// Whether it runs the other way.
    flips: [bool; 3],
}

impl Orientation {
    /// The orientation closest to an affine, for oblique and sheared ones by the nearest rotation, as nibabel's
    /// `io_orientation`. `None` for an affine without inverse.
    #[must_use]
    pub fn from_affine(affine: &Affine) -> Option<Self> {
        if !affine.is_invertible() {
            return None;
        }
        let rotation = nearest_rotation(affine);
        let mut axes = [0; 3];
        let mut flips = [false; 3];
        let mut free = [true; 3];
        // Stored axes choose in turn the world axis along which they change most; a taken one is no choice any more.
        for stored in 0..3 {
            let (world, value) = rotation
                .iter()
                .map(|row| row[stored])
                .enumerate()
                .filter(|&(world, _)| free[world])
                // The first of equals wins, as in numpy's argmax.
                .reduce(|best, next| {
                    if next.1.abs() > best.1.abs() {
                        next
                    } else {
                        best
                    }
                })?;
            axes[world] = stored;
            flips[world] = value < 0.0;
            free[world] = false;
        }
        Some(Self { axes, flips })
    }

    /// The letters of the directions in which i, j and k grow, such as `RAS` or `LPS`.
    #[must_use]
    pub fn codes(&self) -> String {
        let mut codes = [' '; 3];
        for (world, letters) in [['R', 'L'], ['A', 'P'], ['S', 'I']].iter().enumerate() {
            codes[self.axes[world]] = letters[usize::from(self.flips[world])];
        }
        codes.iter().collect()
    }

    /// A stored array `[i, j, k, channel]`, or a view of one, as `[channel, depth, height, width]`, without copying.
    #[must_use]
    pub fn canonical_view<S: RawData>(&self, stored: ArrayBase<S, Ix4>) -> ArrayBase<S, Ix4> {
        let mut view = stored.permuted_axes(self.permutation());
        for axis in self.flipped() {
            view.invert_axis(axis);
        }
        view
    }

    /// The way back: a view of a canonical array `[channel, depth, height, width]` as `[i, j, k, channel]`.
    #[must_use]
    pub fn stored_view<'a, T>(&self, canonical: ArrayView4<'a, T>) -> ArrayView4<'a, T> {
        let mut view = canonical;
        for axis in self.flipped() {
            view.invert_axis(axis);
        }
        let mut back = [0; 4];
        for (canonical, stored) in self.permutation().into_iter().enumerate() {
            back[stored] = canonical;
        }
        view.permuted_axes(back)
    }

    /// The part `[depth, height, width]` of a canonical volume of `shape` that the stored planes `k` are.
    pub(crate) fn canonical_planes(
        &self,
        planes: Range<usize>,
        shape: [usize; 3],
    ) -> [Range<usize>; 3] {
        std::array::from_fn(|axis| {
            // After the axis of the channels.
            let (length, axis) = (shape[axis], axis + 1);
            if self.permutation()[axis] != 2 {
                return 0..length;
            }
            let planes = planes.start.min(length)..planes.end.min(length);
            match self.flipped().any(|flipped| flipped == Axis(axis)) {
                true => length - planes.end..length - planes.start,
                false => planes,
            }
        })
    }

    /// `[depth, height, width]` of a stored shape (i, j, k).
    #[must_use]
    pub fn canonical_shape(&self, stored: [usize; 3]) -> [usize; 3] {
        let [x, y, z] = self.axes;
        [stored[z], stored[x], stored[y]]
    }

    /// The affine from canonical index (x, y, z) to RAS+ mm for a stored volume of `shape` (i, j, k), as nibabel's
    /// `as_closest_canonical`.
    #[must_use]
    pub fn canonical_affine(&self, affine: &Affine, shape: [usize; 3]) -> Affine {
        let mut rows = affine.rows();
        let origin = {
            let mut index = [0.0; 3];
            for (world, &stored) in self.axes.iter().enumerate() {
                if self.flips[world] {
                    index[stored] = shape[stored] as f64 - 1.0;
                }
            }
            affine.apply(index)
        };
        for (row, origin) in rows.iter_mut().zip(origin) {
            let old = *row;
            for (world, &stored) in self.axes.iter().enumerate() {
                row[world] = if self.flips[world] {
                    -old[stored]
                } else {
                    old[stored]
                };
            }
            row[3] = origin;
        }
        Affine::new(rows)
    }

    /// The stored axis behind each of channel, depth, height, width.
    fn permutation(&self) -> [usize; 4] {
        let [x, y, z] = self.axes;
        [3, z, x, y]
    }

    /// Canonical array axes that run against the stored ones.
    fn flipped(&self) -> impl Iterator<Item = Axis> + use<> {
        let [x, y, z] = self.flips;
        [(z, 1), (x, 2), (y, 3)]
            .into_iter()
            .filter_map(|(flip, axis)| flip.then_some(Axis(axis)))
    }
}

/// The orthogonal factor of the polar decomposition of the affine's unit columns, by Newton's iteration, which squares the
/// error in every step.
fn nearest_rotation(affine: &Affine) -> [[f64; 3]; 3] {
    let norms = affine.column_norms();
    let mut r = affine.linear();
    for row in &mut r {
        for (value, norm) in row.iter_mut().zip(norms) {
            *value /= norm;
        }
    }
    // 1e9 is the worst condition let in: 30 halvings and a few squarings.
    for _ in 0..60 {
        let other = inverse_transpose(&r);
        let mut change: f64 = 0.0;
        for (row, other) in r.iter_mut().zip(other) {
            for (value, other) in row.iter_mut().zip(other) {
                let next = 0.5 * (*value + other);
                change = change.max((next - *value).abs());
                *value = next;
            }
        }
        if change < 1e-15 {
            break;
        }
    }
    r
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    fn all_affines() -> Vec<(String, Affine)> {
        let mut affines = vec![];
        for axes in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            for signs in 0..8 {
                let mut rows = [[0.0; 4]; 4];
                let mut codes = String::new();
                for (stored, &world) in axes.iter().enumerate() {
                    let negative = signs >> stored & 1 == 1;
                    rows[world][stored] = if negative { -1.5 } else { 1.5 };
                    codes.push(
                        ["RAS", "LPI"][usize::from(negative)]
                            .chars()
                            .nth(world)
                            .unwrap(),
                    );
                }
                rows[3][3] = 1.0;
                affines.push((codes, Affine::new(rows)));
            }
        }
        affines
    }

    #[test]
    fn all_48_orientations_have_their_codes_and_go_there_and_back() {
        let affines = all_affines();
        assert_eq!(affines.len(), 48);
        let stored = Array4::from_shape_fn((2, 3, 4, 2), |(i, j, k, c)| [i, j, k, c]);
        for (codes, affine) in affines {
            let orientation = Orientation::from_affine(&affine).unwrap();
            assert_eq!(orientation.codes(), codes);
            let canonical = orientation.canonical_view(stored.view());
            let [d, h, w] = orientation.canonical_shape([2, 3, 4]);
            assert_eq!(canonical.dim(), (2, d, h, w));
            assert_eq!(orientation.stored_view(canonical), stored);
            // World position of every canonical voxel, two ways.
            let canonical_affine = orientation.canonical_affine(&affine, [2, 3, 4]);
            for ((c, z, x, y), &[i, j, k, channel]) in canonical.indexed_iter() {
                assert_eq!(c, channel);
                let there = canonical_affine.apply([x, y, z].map(|v| v as f64));
                let here = affine.apply([i, j, k].map(|v| v as f64));
                assert_eq!(there, here, "{codes}");
            }
        }
    }

    #[test]
    fn mutable_view_writes_where_the_view_reads() {
        for (_, affine) in all_affines() {
            let orientation = Orientation::from_affine(&affine).unwrap();
            let mut stored = Array4::<usize>::zeros((2, 3, 4, 1));
            for (number, value) in orientation
                .canonical_view(stored.view_mut())
                .iter_mut()
                .enumerate()
            {
                *value = number;
            }
            let read: Vec<usize> = orientation
                .canonical_view(stored.view())
                .iter()
                .copied()
                .collect();
            assert_eq!(read, (0..24).collect::<Vec<_>>());
        }
    }

    #[test]
    fn oblique_and_sheared_affines_take_the_nearest_axes() {
        let (sin, cos) = 30_f64.to_radians().sin_cos();
        let affine = Affine::new([
            [cos, -2.0 * sin, 0.0, 0.0],
            [sin, 2.0 * cos, 0.4, 0.0],
            [0.0, 0.0, -3.0, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ]);
        assert_eq!(Orientation::from_affine(&affine).unwrap().codes(), "RAI");
    }

    #[test]
    fn an_axis_is_never_used_twice() {
        // Two columns lean towards x: the second has to take what is left.
        let affine = Affine::new([
            [1.0, 0.9, 0.0, 0.0],
            [0.1, 0.4, 0.0, 0.0],
            [0.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ]);
        assert_eq!(Orientation::from_affine(&affine).unwrap().codes(), "RAS");
        assert_eq!(
            Orientation::from_affine(&Affine::from_spacing([1.0, 1.0, 0.0])),
            None
        );
    }
}
