//! How deep a network is and which axes it halves when, from patch size and voxel spacing.

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// The shortest axis of the deepest feature map that halving may lead to.
const MIN_EDGE: usize = 4;
/// Axes are treated alike where their spacings differ by less than this factor.
const ANISOTROPY: f64 = 2.0;
/// No volume has an axis this long.
const MAX_PATCH: usize = 1 << 16;

/// Kernels and strides of the encoder's stages, from the full resolution down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Kernel size `[depth, height, width]` of each stage: 1 or 3, all 3 in the deepest.
    pub kernels: Vec<[usize; 3]>,
    /// Stride `[depth, height, width]` with which each stage begins: 1 or 2, all 1 in the first.
    pub strides: Vec<[usize; 3]>,
    /// The patch in voxels, enlarged to the next multiple of the product of the strides.
    pub patch: [usize; 3],
}

/// The stages that nnU-Net v2 plans for patches of `patch` voxels with a `spacing` in millimetres,
/// both `[depth, height, width]`.
///
/// Starting with the patch, at each stage:
///
/// * an axis can be halved if it has at least 8 voxels, and is halved if its spacing is less than
///   twice the smallest of those that can; a single axis only from 12 voxels on. Where there is
///   none, the stage is the last;
/// * the kernel is 3 along an axis, from here on, once its spacing is less than twice the smallest
///   of all three, and 1 before;
/// * halving an axis doubles its spacing.
///
/// The kernel of the last stage is 3 along all axes.
///
/// # Source
///
/// `get_pool_and_conv_props` of nnU-Net 2.8.1, with a shortest edge of 4 and without a limit on the
/// number of stages. nnU-Net's choice of the patch itself, which depends on GPU memory, is not part
/// of it.
///
/// # Errors
///
/// * [`ModelError::OutOfRange`]: a patch size of 0 or above 65536, a spacing that is not positive
///   and finite;
/// * [`ModelError::PatchTooSmall`]: no axis can be halved, which leaves nothing of a U-Net.
pub fn topology(patch: [usize; 3], spacing: [f64; 3]) -> Result<Topology, ModelError> {
    check(patch, spacing)?;
    let (mut sizes, mut spacings) = (patch, spacing);
    let (mut kernel, mut total) = ([1; 3], [1; 3]);
    let (mut kernels, mut strides) = (Vec::new(), vec![[1; 3]]);
    while let Some(stride) = next_stride(sizes, spacings) {
        let finest = spacings.into_iter().fold(f64::INFINITY, f64::min);
        for axis in 0..3 {
            if spacings[axis] / finest < ANISOTROPY {
                kernel[axis] = 3;
            }
            sizes[axis] = sizes[axis].div_ceil(stride[axis]);
            total[axis] *= stride[axis];
        }
        for axis in 0..3 {
            spacings[axis] *= stride[axis] as f64;
        }
        kernels.push(kernel);
        strides.push(stride);
    }
    if kernels.is_empty() {
        return Err(ModelError::PatchTooSmall { patch, spacing });
    }
    kernels.push([3; 3]);
    Ok(Topology {
        kernels,
        strides,
        patch: std::array::from_fn(|axis| patch[axis].next_multiple_of(total[axis])),
    })
}

fn check(patch: [usize; 3], spacing: [f64; 3]) -> Result<(), ModelError> {
    if let Some(size) = patch.into_iter().find(|n| !(1..=MAX_PATCH).contains(n)) {
        return Err(ModelError::OutOfRange {
            what: "patch",
            expected: "1 to 65536 voxels along each axis",
            found: size as f64,
        });
    }
    match spacing.into_iter().find(|s| !(s.is_finite() && *s > 0.0)) {
        Some(found) => Err(ModelError::OutOfRange {
            what: "spacing",
            expected: "positive millimetres along each axis",
            found,
        }),
        None => Ok(()),
    }
}

/// 2 along the axes to be halved, 1 along the others; `None` if there is nothing to halve.
fn next_stride(sizes: [usize; 3], spacings: [f64; 3]) -> Option<[usize; 3]> {
    let long = |axis: usize| sizes[axis] >= 2 * MIN_EDGE;
    let spacings_of_long = (0..3).filter(|&axis| long(axis)).map(|axis| spacings[axis]);
    let finest = spacings_of_long.fold(f64::INFINITY, f64::min);
    let halved = |axis: &usize| long(*axis) && spacings[*axis] / finest < ANISOTROPY;
    let axes: Vec<usize> = (0..3).filter(halved).collect();
    match axes.as_slice() {
        [] => None,
        [only] if sizes[*only] < 3 * MIN_EDGE => None,
        _ => Some(std::array::from_fn(|axis| {
            1 + usize::from(axes.contains(&axis))
        })),
    }
}
