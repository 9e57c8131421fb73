//! Volumes are worked on in slabs of slices, so that what is computed from them takes little memory.

use std::ops::Range;

/// The most voxels of a slab, unless one slice has more. Volumes of up to 160^3 voxels are one slab.
const SLAB_VOXELS: usize = 1 << 22;

/// The slabs of a volume `[depth, height, width]` as ranges of slices, in order.
pub fn slabs([depth, height, width]: [usize; 3]) -> impl Iterator<Item = Range<usize>> + Clone {
    let slices = (SLAB_VOXELS / (height * width).max(1)).max(1);
    (0..depth)
        .step_by(slices)
        .map(move |first| first..(first + slices).min(depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slice_is_in_one_slab() {
        for shape in [[1, 1, 1], [160, 160, 160], [7, 4096, 4096], [100, 512, 512]] {
            let mut next = 0;
            for slab in slabs(shape) {
                assert_eq!(slab.start, next);
                assert!(slab.len() == 1 || slab.len() * shape[1] * shape[2] <= SLAB_VOXELS);
                next = slab.end;
            }
            assert_eq!(next, shape[0]);
        }
        assert_eq!(slabs([160; 3]).count(), 1);
    }
}
