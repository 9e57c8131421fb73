//! Codes on the voxel grid: square waves, the elements of lattices, and patterns of labels.

use super::CodeInput;
use crate::window::from_middle;

/// `code(z, y, x)` at every voxel, `[depth, height, width]`.
pub(super) fn fill(shape: [usize; 3], mut code: impl FnMut([usize; 3]) -> f32) -> Vec<f32> {
    let [depth, height, width] = shape;
    let mut out = Vec::with_capacity(depth * height * width);
    for z in 0..depth {
        for y in 0..height {
            for x in 0..width {
                out.push(code([z, y, x]));
            }
        }
    }
    out
}

/// As [`fill`], at the voxels of some slices of a volume.
pub(super) fn slices(input: &CodeInput<'_>, mut code: impl FnMut([usize; 3]) -> f32) -> Vec<f32> {
    let [_, height, width] = input.shape;
    let slices = input.slices();
    fill([slices.len(), height, width], |[z, y, x]| {
        code([slices.start + z, y, x])
    })
}

/// At every voxel the value of its label's pattern at `index(z, y, x)`; `pattern` is asked once for each label that occurs.
pub(super) fn by_label(
    input: &CodeInput<'_>,
    pattern: impl Fn(u16) -> Vec<f32>,
    index: impl Fn([usize; 3]) -> usize,
) -> Vec<f32> {
    let last = input.labels.iter().copied().max().unwrap_or(0);
    let mut patterns: Vec<Option<Vec<f32>>> = vec![None; usize::from(last) + 1];
    let mut labels = input.labels.iter();
    slices(input, |at| {
        let label = labels.next().copied().unwrap_or(0);
        patterns[usize::from(label)].get_or_insert_with(|| pattern(label))[index(at)]
    })
}

/// The index of a voxel in a cube of `side` voxels that is repeated over the volume, counted from its middle as [`lattice`] is.
pub(super) fn in_tile(at: [usize; 3], shape: [usize; 3], side: usize) -> usize {
    let [z, y, x] =
        [0, 1, 2].map(|axis| from_middle(at[axis] as i64, shape[axis]).rem_euclid(side as i64));
    (z as usize * side + y as usize) * side + x as usize
}

/// The product over the chosen `axes` (`[depth, height, width]`) of signs that alternate from voxel to voxel.
///
/// Signs are counted from the middle of the volume: cases of different sizes, padded or cropped about their middle to one size, then
/// have the same sign at the same place of the patch. Without that, networks with strides do not learn a lattice.
pub(super) fn lattice(at: [usize; 3], shape: [usize; 3], axes: [bool; 3]) -> f32 {
    let odd = (0..3)
        .filter(|&axis| axes[axis])
        .map(|axis| at[axis] + shape[axis].div_ceil(2))
        .sum::<usize>()
        % 2;
    if odd == 0 { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_begin_at_the_middle_and_repeat() {
        for shape in [[9, 12, 11], [10, 15, 16]] {
            let middle = shape.map(|n: usize| n.div_ceil(2));
            assert_eq!(in_tile(middle, shape, 4), 0);
            assert_eq!(in_tile(middle.map(|i| i - 4), shape, 4), 0);
            assert_eq!(in_tile(middle.map(|i| i - 1), shape, 4), 63);
        }
    }

    #[test]
    fn volumes_padded_about_their_middle_agree() {
        let patch = 16;
        for axes in [[true; 3], [true, false, false], [false, true, true]] {
            for shape in [[9, 12, 11], [10, 15, 16], [13, 10, 9]] {
                let start = shape.map(|n: usize| (patch - n) / 2);
                fill(shape, |at| {
                    let padded = [0, 1, 2].map(|axis| at[axis] + start[axis]);
                    let expected = lattice(padded, [patch; 3], axes);
                    assert_eq!(lattice(at, shape, axes), expected, "{shape:?} {at:?}");
                    expected
                });
            }
        }
    }
}
