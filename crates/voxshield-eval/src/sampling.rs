//! Filtering and reading between voxels of one channel `[depth, height, width]`, for augmentation
//! and defences. Positions are voxel indices; 0 is the centre of the first voxel.

/// The voxels of one line along `axis`, as (first index, stride, length) of each line.
pub(crate) fn lines(shape: [usize; 3], axis: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let stride: usize = shape[axis + 1..].iter().product();
    let length = shape[axis];
    let outer: usize = shape[..axis].iter().product();
    (0..outer)
        .flat_map(move |o| (0..stride).map(move |i| (o * length * stride + i, stride, length)))
}

/// What a filter sees outside the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Border {
    /// The value of the nearest voxel.
    Replicate,
    /// 0.
    Zero,
}

/// `exp(-i^2 / (2 sigma^2))` for `i` in `-radius..=radius`; [`filter`] normalises.
pub(crate) fn gaussian(sigma: f32, radius: usize) -> Vec<f32> {
    let radius = radius as i64;
    (-radius..=radius)
        .map(|i| (-(i * i) as f32 / (2.0 * sigma * sigma)).exp())
        .collect()
}

/// Correlation along one axis with an odd `kernel`, divided by the kernel's sum.
pub(crate) fn filter(
    values: &mut [f32],
    shape: [usize; 3],
    axis: usize,
    kernel: &[f32],
    border: Border,
) {
    let radius = (kernel.len() / 2) as i64;
    let norm: f32 = kernel.iter().sum();
    let mut line = Vec::new();
    for (first, stride, length) in lines(shape, axis) {
        line.clear();
        line.extend((0..length).map(|i| values[first + i * stride]));
        for i in 0..length {
            let sum: f32 = (i as i64 - radius..)
                .zip(kernel)
                .map(|(at, weight)| {
                    let inside = at.clamp(0, length as i64 - 1);
                    match border {
                        Border::Zero if inside != at => 0.0,
                        _ => weight * line[inside as usize],
                    }
                })
                .sum();
            values[first + i * stride] = sum / norm;
        }
    }
}

/// How [`resample`] reads between voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interpolation {
    /// The nearest voxel.
    Nearest,
    /// Trilinear.
    Linear,
}

/// Voxels of the source per voxel of the target.
pub(crate) fn ratio(from: [usize; 3], to: [usize; 3]) -> [f32; 3] {
    std::array::from_fn(|axis| from[axis] as f32 / to[axis] as f32)
}

/// The volume on a grid of another size: output voxel `i` reads the source at
/// `(i + 0.5) ratio - 0.5`.
pub(crate) fn resample(
    values: &[f32],
    from: [usize; 3],
    to: [usize; 3],
    ratio: [f32; 3],
    interpolation: Interpolation,
) -> Vec<f32> {
    let mut out = Vec::with_capacity(to.iter().product());
    for z in 0..to[0] {
        for y in 0..to[1] {
            for x in 0..to[2] {
                let at: [f32; 3] =
                    std::array::from_fn(|a| ([z, y, x][a] as f32 + 0.5) * ratio[a] - 0.5);
                out.push(match interpolation {
                    Interpolation::Linear => linear(values, from, at),
                    Interpolation::Nearest => values[nearest(from, at).unwrap_or(0)],
                });
            }
        }
    }
    out
}

/// The index of the nearest voxel, if the position is inside the volume.
pub(crate) fn nearest(shape: [usize; 3], at: [f32; 3]) -> Option<usize> {
    let mut index = 0;
    for axis in 0..3 {
        let i = at[axis].round();
        if i < 0.0 || i >= shape[axis] as f32 {
            return None;
        }
        index = index * shape[axis] + i as usize;
    }
    Some(index)
}

/// Trilinear, with the border's value outside.
pub(crate) fn linear(values: &[f32], shape: [usize; 3], at: [f32; 3]) -> f32 {
    let mut low = [0usize; 3];
    let mut share = [0f32; 3];
    for axis in 0..3 {
        let p = at[axis].clamp(0.0, (shape[axis] - 1) as f32);
        low[axis] = (p as usize).min(shape[axis].saturating_sub(2));
        share[axis] = p - low[axis] as f32;
    }
    let mut sum = 0.0;
    for corner in 0..8usize {
        let (mut weight, mut index) = (1.0, 0);
        for axis in 0..3 {
            let up = corner >> axis & 1;
            weight *= if up == 1 {
                share[axis]
            } else {
                1.0 - share[axis]
            };
            index = index * shape[axis] + (low[axis] + up).min(shape[axis] - 1);
        }
        sum += weight * values[index];
    }
    sum
}
