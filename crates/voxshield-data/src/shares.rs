//! The share of epsilon of every voxel, in little memory.

use std::collections::HashMap;
use std::ops::Range;

use ndarray::{ArcArray, Array3, ArrayView3, Axis, Ix3, s};

use crate::geometry::Orientation;

/// The share of epsilon (0..1) that each voxel may use, `[depth, height, width]`: a byte a voxel where there are at most 256 different
/// ones, else 4.
#[derive(Clone, Debug)]
pub struct Shares(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Coded {
        codes: ArcArray<u8, Ix3>,
        /// The share of each code.
        table: Vec<f32>,
    },
    Values(Array3<f32>),
}

impl Shares {
    pub(crate) fn coded(codes: ArcArray<u8, Ix3>, table: Vec<f32>) -> Self {
        Self(Kind::Coded { codes, table })
    }

    /// `[depth, height, width]` in voxels.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        match &self.0 {
            Kind::Coded { codes, .. } => codes.dim().into(),
            Kind::Values(values) => values.dim().into(),
        }
    }

    /// The shares of some slices, `[slices, height, width]`. Slices that are not there are left out.
    #[must_use]
    pub fn slab(&self, slices: Range<usize>) -> Array3<f32> {
        let depth = self.shape()[0];
        let part = s![slices.start.min(depth)..slices.end.min(depth), .., ..];
        match &self.0 {
            Kind::Coded { codes, table } => {
                let codes = codes.slice(part);
                let mut slab = Array3::zeros(codes.raw_dim());
                slab.zip_mut_with(&codes, |to, &code| *to = share(table, code));
                slab
            }
            Kind::Values(values) => values.slice(part).to_owned(),
        }
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
        match &self.0 {
            Kind::Coded { codes, table } => {
                in_file_order(codes.view(), orientation, planes, |&code| {
                    share(table, code)
                })
            }
            Kind::Values(values) => {
                in_file_order(values.view(), orientation, planes, |&share| share)
            }
        }
    }
}

fn share(table: &[f32], code: u8) -> f32 {
    table.get(usize::from(code)).copied().unwrap_or(0.0)
}

fn in_file_order<T>(
    canonical: ArrayView3<'_, T>,
    orientation: Orientation,
    planes: Range<usize>,
    share: impl Fn(&T) -> f32,
) -> Vec<f32> {
    let stored = orientation.stored_view(canonical.insert_axis(Axis(0)));
    // Reversed axes iterate with i fastest, which is file order.
    let planes = stored.slice_move(s![.., .., planes, ..]).reversed_axes();
    planes.iter().map(share).collect()
}

/// Gathers [`Shares`] slice by slice.
#[derive(Clone, Debug)]
pub struct SharesBuilder {
    shape: [usize; 3],
    codes: Vec<u8>,
    table: Vec<f32>,
    /// By the bits of the share.
    known: HashMap<u32, u8>,
    /// Instead of the codes from the 257th share on.
    values: Vec<f32>,
}

impl SharesBuilder {
    /// Nothing gathered yet of a volume `[depth, height, width]`.
    #[must_use]
    pub fn new(shape: [usize; 3]) -> Self {
        Self {
            shape,
            codes: Vec::new(),
            table: Vec::new(),
            known: HashMap::new(),
            values: Vec::new(),
        }
    }

    /// Adds the shares of the next voxels in canonical order.
    pub fn push(&mut self, shares: &[f32]) {
        let mut last = None;
        for (at, &share) in shares.iter().enumerate() {
            let code = match last {
                Some((bits, code)) if bits == share.to_bits() => Some(code),
                _ => self.code(share),
            };
            let Some(code) = code else {
                self.values.extend(shares.iter().skip(at));
                return;
            };
            last = Some((share.to_bits(), code));
            self.codes.push(code);
        }
    }

    /// `None` where there are too many.
    fn code(&mut self, share: f32) -> Option<u8> {
        if !self.values.is_empty() {
            return None;
        }
        if let Some(&code) = self.known.get(&share.to_bits()) {
            return Some(code);
        }
        let Ok(code) = u8::try_from(self.table.len()) else {
            let codes = std::mem::take(&mut self.codes);
            self.values = (codes.iter())
                .map(|&code| self::share(&self.table, code))
                .collect();
            return None;
        };
        self.table.push(share);
        self.known.insert(share.to_bits(), code);
        Some(code)
    }

    /// The shares. Voxels that were not given have none.
    #[must_use]
    pub fn finish(mut self) -> Shares {
        let [depth, height, width] = self.shape;
        let voxels = depth * height * width;
        if self.values.is_empty() {
            let none = self.code(0.0);
            if let (Some(none), true) = (none, self.codes.len() != voxels) {
                self.codes.resize(voxels, none);
            }
        }
        if self.values.is_empty() {
            let codes = Array3::from_shape_vec(self.shape, self.codes).unwrap_or_default();
            return Shares::coded(codes.into_shared(), self.table);
        }
        self.values.resize(voxels, 0.0);
        let values = Array3::from_shape_vec(self.shape, self.values);
        Shares(Kind::Values(values.unwrap_or_default()))
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
        for different in [1, 2, 255, 256, 257, 1000] {
            let values: Vec<f32> = (0..1200)
                .map(|at| (at * 7 % different) as f32 / 1000.0)
                .collect();
            for step in [1, 100, 1200] {
                let shares = built(&values, [10, 12, 10], step);
                let bytes = matches!(shares.0, Kind::Coded { .. });
                assert_eq!(bytes, different <= 256);
                let found: Vec<f32> = [0..4, 4..10, 10..12]
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
}
