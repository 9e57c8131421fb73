use burn_cubecl::cubecl::{self, prelude::*};

use crate::backends::cube_sums::cube_sum;

/// `parts[c]` is the sum of `|a - b|` over the elements that cube `c` visits.
#[cube(launch, address_type = "dynamic")]
pub(super) fn distance_parts(a: &[f32], b: &[f32], parts: &mut [f32], #[comptime] units: usize) {
    let part = CUBE_POS;
    if part >= parts.len() {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(units);
    let mut i = part * units + UNIT_POS as usize;
    let mut sum = 0f32;
    while i < a.len() {
        sum += (a[i] - b[i]).abs();
        i += parts.len() * units;
    }
    let sum = cube_sum(sum, &mut shared, units);
    if UNIT_POS == 0 {
        parts[part] = sum;
    }
}

/// `out = sign(a - b) * gradient / n`, and 0 at ties.
#[cube(launch, address_type = "dynamic")]
pub(super) fn signs(a: &[f32], b: &[f32], gradient: &[f32], out: &mut [f32], n: f32) {
    let i = ABSOLUTE_POS;
    if i >= out.len() {
        terminate!();
    }
    let share = gradient[0] / n;
    let step = a[i] - b[i];
    out[i] = select(step > 0.0, share, select(step < 0.0, -share, 0.0));
}
