//! Square waves on the voxel grid, the elements of lattices.

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

/// The product of square waves along the chosen `axes` (`[depth, height, width]`), each `half` voxels at +1 and `half` at -1.
pub(super) fn lattice(at: [usize; 3], axes: [bool; 3], half: usize) -> f32 {
    let odd = (0..3)
        .filter(|&axis| axes[axis])
        .map(|axis| at[axis] / half)
        .sum::<usize>()
        % 2;
    if odd == 0 { 1.0 } else { -1.0 }
}
