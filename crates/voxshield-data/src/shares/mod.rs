//! The share of epsilon of every voxel, in little memory.

mod packed;
mod rows;

use std::collections::HashMap;
use std::ops::Range;

use ndarray::{ArcArray, Array3, Axis, Ix3, s};

use self::packed::Packed;
use self::rows::Rows;
use crate::geometry::Orientation;

/// The share of epsilon (0..1) that each voxel may use, `[depth, height, width]`: 1 to 8 bits a voxel where there are at most 256 different
/// ones, else 4 bytes for each change along a row and at most 4 bytes a voxel.
#[derive(Clone, Debug)]
pub struct Shares {
    shape: [usize; 3],
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The labels and the share of each.
    Labels(ArcArray<u8, Ix3>, Vec<f32>),
    /// Codes and the share of each.
    Packed(Packed, Vec<f32>),
    Rows(Rows),
}

impl Shares {
    pub(crate) fn of_labels(labels: ArcArray<u8, Ix3>, table: Vec<f32>) -> Self {
        Self {
            shape: labels.dim().into(),
            kind: Kind::Labels(labels, table),
        }
    }

    /// `[depth, height, width]` in voxels.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The shares of some slices, `[slices, height, width]`. Slices that are not there are left out.
    #[must_use]
    pub fn slab(&self, slices: Range<usize>) -> Array3<f32> {
        let [depth, height, width] = self.shape;
        let slices = slices.start.min(depth)..slices.end.min(depth);
        self.part([slices, 0..height, 0..width])
    }

    /// The shares of a part of the volume, which must be within it.
    fn part(&self, part: [Range<usize>; 3]) -> Array3<f32> {
        let [_, height, width] = self.shape;
        let mut found = Array3::zeros([0, 1, 2].map(|axis| part[axis].len()));
        let [slices, rows, columns] = part;
        if let Kind::Labels(labels, table) = &self.kind {
            let labels = labels.slice(s![slices, rows, columns]);
            found.zip_mut_with(&labels, |to, &label| *to = share(table, label));
            return found;
        }
        for (slice, mut plane) in slices.zip(found.outer_iter_mut()) {
            for (row, mut to) in rows.clone().zip(plane.outer_iter_mut()) {
                let row = slice * height + row;
                match &self.kind {
                    Kind::Packed(codes, table) => {
                        let first = row * width;
                        let codes = codes.part(first + columns.start..first + columns.end);
                        to.iter_mut()
                            .zip(codes)
                            .for_each(|(to, code)| *to = share(table, code));
                    }
                    Kind::Rows(rows) => {
                        let shares = rows.part(row, columns.clone());
                        to.iter_mut()
                            .zip(shares)
                            .for_each(|(to, share)| *to = share);
                    }
                    Kind::Labels(..) => {}
                }
            }
        }
        found
    }

    /// Whether no voxel has a share above 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let any = |slice: usize| self.slab(slice..slice + 1).iter().any(|&share| share > 0.0);
        !(0..self.shape()[0]).any(any)
    }

    /// Voxels with a share above 0.
    #[must_use]
    pub fn support_voxels(&self) -> u64 {
        let count = |slice: usize| {
            let slab = self.slab(slice..slice + 1);
            slab.iter().filter(|&&share| share > 0.0).count() as u64
        };
        (0..self.shape()[0]).map(count).sum()
    }

    /// The shares of the planes `k` of a file whose axes lie as `orientation` says, in file order.
    pub(crate) fn stored(&self, orientation: Orientation, planes: Range<usize>) -> Vec<f32> {
        let part = self.part(orientation.canonical_planes(planes, self.shape));
        let stored = orientation.stored_view(part.view().insert_axis(Axis(0)));
        // Reversed axes iterate with i fastest, which is file order.
        stored.reversed_axes().iter().copied().collect()
    }
}

fn share(table: &[f32], code: u8) -> f32 {
    table.get(usize::from(code)).copied().unwrap_or(0.0)
}

/// Gathers [`Shares`] slice by slice.
#[derive(Clone, Debug)]
pub struct SharesBuilder {
    shape: [usize; 3],
    /// Voxels that are still to be given.
    left: usize,
    codes: Packed,
    table: Vec<f32>,
    /// By the bits of the share.
    known: HashMap<u32, u8>,
    /// Instead of the codes from the 257th share on.
    rows: Option<Rows>,
}

/// So many shares are found without hashing.
const FIRST: usize = 4;

impl SharesBuilder {
    /// Nothing gathered yet of a volume `[depth, height, width]`.
    #[must_use]
    pub fn new(shape: [usize; 3]) -> Self {
        Self {
            shape,
            left: shape.iter().product(),
            codes: Packed::new(),
            table: Vec::new(),
            known: HashMap::new(),
            rows: None,
        }
    }

    /// Adds the shares of the next voxels in canonical order; those beyond the volume are left out.
    pub fn push(&mut self, shares: &[f32]) {
        for &share in shares.iter().take(self.left) {
            self.push_one(share);
        }
        self.left = self.left.saturating_sub(shares.len());
    }

    fn push_one(&mut self, share: f32) {
        if let Some(rows) = &mut self.rows {
            return rows.push(share);
        }
        match self.code(share) {
            Some(code) => self.codes.push(code),
            None => {
                let codes = std::mem::replace(&mut self.codes, Packed::new());
                let mut rows = Rows::new(self.shape[2]);
                for code in codes.part(0..codes.len()) {
                    rows.push(self::share(&self.table, code));
                }
                rows.push(share);
                self.rows = Some(rows);
            }
        }
    }

    /// `None` where there are too many.
    fn code(&mut self, share: f32) -> Option<u8> {
        let bits = share.to_bits();
        let first = self.table.iter().take(FIRST);
        if let Some(code) = first
            .map(|share| share.to_bits())
            .position(|known| known == bits)
        {
            return u8::try_from(code).ok();
        }
        if let Some(&code) = self.known.get(&bits) {
            return Some(code);
        }
        let code = u8::try_from(self.table.len()).ok()?;
        self.table.push(share);
        self.known.insert(bits, code);
        Some(code)
    }

    /// The shares. Voxels that were not given have none.
    #[must_use]
    pub fn finish(mut self) -> Shares {
        for _ in 0..std::mem::take(&mut self.left) {
            self.push_one(0.0);
        }
        Shares {
            shape: self.shape,
            kind: match self.rows {
                Some(rows) => Kind::Rows(rows.finish()),
                None => Kind::Packed(self.codes, self.table),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(values: &[f32], shape: [usize; 3], step: usize) -> Shares {
        let mut builder = SharesBuilder::new(shape);
        for part in values.chunks(step) {
            builder.push(part);
        }
        builder.finish()
    }

    #[test]
    fn few_and_many_shares_come_back_bit_for_bit() {
        for different in [1, 2, 3, 5, 17, 255, 256, 257, 1000] {
            // Runs, and rows without any.
            for run in [1, 25] {
                let values: Vec<f32> = (0..1200 * run)
                    .map(|at| (at / run * 7 % different) as f32 / 1000.0)
                    .collect();
                let shape = [10 * run, 12, 10];
                for step in [1, 100, 1200] {
                    let shares = built(&values, shape, step);
                    let coded = matches!(shares.kind, Kind::Packed(..));
                    assert_eq!(coded, different <= 256);
                    let found: Vec<f32> = [0..4, 4..shape[0], shape[0]..shape[0] + 2]
                        .into_iter()
                        .flat_map(|slices| shares.slab(slices).into_iter())
                        .collect();
                    assert_eq!(found, values, "{different} {step}");
                    let above = values.iter().filter(|&&share| share > 0.0).count();
                    assert_eq!(shares.support_voxels(), above as u64);
                    assert_eq!(shares.is_empty(), above == 0);
                }
            }
        }
        let shares = built(&[0.5; 7], [1, 2, 3], 7);
        assert_eq!(shares.slab(0..1).into_raw_vec_and_offset().0, [0.5; 6]);
        let shares = built(&[0.5; 4], [1, 2, 3], 7);
        let expected = [0.5, 0.5, 0.5, 0.5, 0.0, 0.0];
        assert_eq!(shares.slab(0..1).into_raw_vec_and_offset().0, expected);
    }

    /// Whatever the kind, and wherever the axes of the file lie.
    #[test]
    fn planes_of_a_file_are_those_of_the_volume() {
        use crate::geometry::Affine;
        let rows = [
            [[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.]],
            [[0., 0., -2., 5.], [1., 0., 0., 0.], [0., -1., 0., 0.]],
            [[0., -1., 0., 0.], [0., 0., 3., 0.], [-1., 0., 0., 9.]],
            [[-1., 0., 0., 0.], [0., -1., 0., 0.], [0., 0., -1., 0.]],
        ];
        let shape = [6, 5, 40];
        for different in [2, 5, 700] {
            let values: Vec<f32> = (0..1200).map(|at| (at / 3 % different) as f32).collect();
            let shares = built(&values, shape, 1200);
            let array = Array3::from_shape_vec(shape, values.clone()).unwrap();
            for [x, y, z] in rows {
                let rows = [x, y, z, [0., 0., 0., 1.]];
                let orientation = Orientation::from_affine(&Affine::new(rows)).unwrap();
                let stored = orientation.stored_view(array.view().insert_axis(Axis(0)));
                let depth = stored.dim().2;
                for planes in [0..depth, 1..2, depth - 2..depth] {
                    let expected = stored.slice(s![.., .., planes.clone(), ..]);
                    let found = shares.stored(orientation, planes);
                    assert!(found.iter().eq(expected.reversed_axes().iter()));
                }
            }
        }
    }
}
