//! Sums in a fixed order: within a unit, over the units of a cube, then over cubes. No float
//! atomics, and no plane operations, which some devices lack.

use burn_cubecl::cubecl::{self, prelude::*};

/// The sum of the units' values, for every unit of the cube. All of them have to call it.
///
/// `UNITS`, a power of two, is the cube's size and the length of `shared`.
#[cube]
pub(super) fn cube_sum(value: f32, shared: &mut Shared<[f32]>, #[comptime] units: usize) -> f32 {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    #[unroll]
    for level in 1..comptime!(units.ilog2() as usize + 1) {
        let active = comptime!(units >> level);
        if unit < active {
            let other = shared[unit + active];
            shared[unit] += other;
        }
        sync_cube();
    }
    let sum = shared[0];
    // The next sum may not write before everybody has read this one.
    sync_cube();
    sum
}

/// `out[i] = scale * sum_j rows[i, j]`; a cube a row.
#[cube(launch, address_type = "dynamic")]
pub(super) fn row_sums(rows: &[f32], out: &mut [f32], scale: f32, #[comptime] units: usize) {
    let row = CUBE_POS;
    if row >= out.len() {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(units);
    let columns = rows.len() / out.len();
    let mut column = UNIT_POS as usize;
    let mut sum = 0f32;
    while column < columns {
        sum += rows[row * columns + column];
        column += units;
    }
    let sum = cube_sum(sum, &mut shared, units);
    if UNIT_POS == 0 {
        out[row] = scale * sum;
    }
}
