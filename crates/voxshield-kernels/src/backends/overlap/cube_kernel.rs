//! Arrays are `[batch, class, voxel]`, labels `[batch, voxel]`. A unit has one voxel at a time.
#![allow(
    clippy::too_many_arguments,
    reason = "a kernel is given its buffers and sizes one by one"
)]

use burn_cubecl::cubecl::{self, prelude::*};

use crate::backends::cube_sums::cube_sum;

/// The label as a number, -1 where it does not fit: it is none of the classes then.
#[cube]
fn class_of<I: Int>(label: I) -> i32 {
    let class = i32::cast_from(label);
    select(I::cast_from(class) == label, class, -1)
}

/// The largest logit of the voxel at `first`, and `sum_c exp(logit_c - largest)`.
#[cube]
fn softmax_terms(logits: &[f32], first: usize, classes: usize, voxels: usize) -> (f32, f32) {
    let mut largest = logits[first];
    for class in 1..classes {
        largest = max(largest, logits[first + class * voxels]);
    }
    let mut total = 0f32;
    for class in 0..classes {
        total += (logits[first + class * voxels] - largest).exp();
    }
    (largest, total)
}

/// `parts[b, c, k, j]`: the `k`-th sum of `overlap_sums` over the voxels that part `j` visits.
///
/// A cube has one part of one sample and `group` classes; where there are more classes than that,
/// several cubes read the same logits.
#[cube(launch, address_type = "dynamic")]
pub(super) fn overlap_parts<I: Int>(
    logits: &[f32],
    labels: &[I],
    parts: &mut [f32],
    classes: usize,
    voxels: usize,
    #[comptime] group: usize,
    #[comptime] units: usize,
    #[define(I)] _label: ElemType,
) {
    let batch = labels.len() / voxels;
    let part_count = parts.len() / (batch * classes * 4);
    let groups = classes.div_ceil(group);
    let part = CUBE_POS % part_count;
    let first_class = CUBE_POS / part_count % groups * group;
    let sample = CUBE_POS / part_count / groups;
    if sample >= batch {
        terminate!();
    }

    let mut sums = Array::<f32>::new(comptime!(4 * group));
    #[unroll]
    for i in 0..comptime!(4 * group) {
        sums[i] = 0.0;
    }
    let mut voxel = part * units + UNIT_POS as usize;
    while voxel < voxels {
        let first = sample * classes * voxels + voxel;
        let label = class_of::<I>(labels[sample * voxels + voxel]);
        let (largest, total) = softmax_terms(logits, first, classes, voxels);
        let ln_total = total.ln();
        #[unroll]
        for k in 0..group {
            let class = first_class + k;
            if class < classes {
                let logit = logits[first + class * voxels];
                let p = (logit - largest).exp() / total;
                sums[4 * k + 1] += p;
                // Selected, not multiplied: 0 times an infinite logit would be NaN.
                if class as i32 == label {
                    sums[4 * k] += p;
                    sums[4 * k + 2] += 1.0;
                    sums[4 * k + 3] += (largest - logit) + ln_total;
                }
            }
        }
        voxel += part_count * units;
    }

    let mut shared = Shared::<[f32]>::new_slice(units);
    #[unroll]
    for i in 0..comptime!(4 * group) {
        let sum = cube_sum(sums[i], &mut shared, units);
        let class = first_class + comptime!(i / 4);
        if UNIT_POS == 0 && class < classes {
            parts[((sample * classes + class) * 4 + comptime!(i % 4)) * part_count + part] = sum;
        }
    }
}

/// The gradient of `overlap_sums`; `gradient` is `[batch, class, 4]`.
#[cube(launch, address_type = "dynamic")]
pub(super) fn overlap_gradient<I: Int>(
    logits: &[f32],
    labels: &[I],
    gradient: &[f32],
    out: &mut [f32],
    classes: usize,
    voxels: usize,
    #[define(I)] _label: ElemType,
) {
    if ABSOLUTE_POS >= labels.len() {
        terminate!();
    }
    let (sample, voxel) = (ABSOLUTE_POS / voxels, ABSOLUTE_POS % voxels);
    let first = sample * classes * voxels + voxel;
    let columns = sample * classes * 4;
    let label = class_of::<I>(labels[ABSOLUTE_POS]);
    let (largest, total) = softmax_terms(logits, first, classes, voxels);

    // sum_k a_k p_k, and n of the label.
    let mut mean = 0f32;
    let mut of_label = 0f32;
    for class in 0..classes {
        let column = columns + class * 4;
        let p = (logits[first + class * voxels] - largest).exp() / total;
        let hot = class as i32 == label;
        mean += p * (gradient[column + 1] + select(hot, gradient[column], 0.0));
        of_label = select(hot, gradient[column + 3], of_label);
    }
    for class in 0..classes {
        let column = columns + class * 4;
        let p = (logits[first + class * voxels] - largest).exp() / total;
        let hot = class as i32 == label;
        let a = gradient[column + 1] + select(hot, gradient[column], 0.0);
        out[first + class * voxels] = p * (a - (mean - of_label)) - select(hot, of_label, 0.0);
    }
}
