//! Convolutions on the CPU: direct, without a matrix of the taps of the whole volume.

mod correlate;
mod few_positions;
#[cfg(test)]
mod instruction_sets;
mod parts;
mod plan;
mod weight_gradient;

use burn::backend::{
    Flex, TensorMetadata,
    flex::{FlexTensor, Layout},
    tensor::FloatTensor,
};
use burn::tensor::{Bytes, DType, Shape};
use pulp::Arch;
use rayon::prelude::*;

use correlate::{Weights, correlate};
use plan::Plan;
use weight_gradient::weight_gradient;

use crate::ops::{Bias, ConvGeometry, ConvOps, burn_convolution};

/// Kernels with more voxels tile a volume into patches: a matrix product of few rows, which Burn's
/// own operations make of it, is faster.
const PATCH: usize = 512;

impl ConvOps for Flex {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let ([batch, _, ..], [out, input, ..]) = (dims(&x), dims(&weight));
        let (sizes, kernel) = (sizes(&x), sizes(&weight));
        let Some(output) = geometry.output_sizes(sizes, kernel) else {
            return burn_convolution::convolve::<Self>(x, weight, bias, geometry);
        };
        if !f32s([&x, &weight]) || batch * out * input == 0 || voxels(kernel) > PATCH {
            return burn_convolution::convolve::<Self>(x, weight, bias, geometry);
        }
        let plan = Plan::convolution(sizes, kernel, output, geometry);
        let taps = voxels(kernel);
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let bias = bias.values().map(|bias| bias.to_contiguous());
        let weights = Weights {
            values: weight.storage(),
            row_stride: input * taps,
            channel_stride: taps,
        };
        let bias = bias.as_ref().map(|bias| bias.storage());
        let y = correlate(Arch::new(), &plan, x.storage(), [input, out], weights, bias);
        volume(y, [batch, out], output)
    }

    fn convolve_adjoint(
        y: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        target: [usize; 3],
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let ([batch, ..], [out, input, ..]) = (dims(&y), dims(&weight));
        let (source, kernel) = (sizes(&y), sizes(&weight));
        // The few voxels of the deepest levels: packing the weight would cost more than the product.
        let voxels_in = voxels(source);
        let tiny = voxels_in <= 27 || (voxels_in <= 64 && geometry.stride != [1; 3]);
        if !f32s([&y, &weight]) || batch * out * input == 0 || tiny || voxels(kernel) > PATCH {
            return burn_convolution::convolve_adjoint::<Self>(y, weight, bias, target, geometry);
        }
        let plan = Plan::adjoint(source, kernel, target, geometry);
        let taps = voxels(kernel);
        let (y, weight) = (y.to_contiguous(), weight.to_contiguous());
        let bias = bias.values().map(|bias| bias.to_contiguous());
        let weights = Weights {
            values: weight.storage(),
            row_stride: taps,
            channel_stride: input * taps,
        };
        let bias = bias.as_ref().map(|bias| bias.storage());
        let x = correlate(Arch::new(), &plan, y.storage(), [out, input], weights, bias);
        volume(x, [batch, input], target)
    }

    fn convolve_weight_gradient(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let ([batch, ..], [out, input, ..]) = (dims(&x), dims(&weight));
        let kernel = sizes(&weight);
        if !f32s([&x, &y]) || batch * out * input == 0 || voxels(kernel) > PATCH {
            return burn_convolution::convolve_weight_gradient::<Self>(x, y, weight, geometry);
        }
        let plan = Plan::convolution(sizes(&x), kernel, sizes(&y), geometry);
        let (x, y) = (x.to_contiguous(), y.to_contiguous());
        let gradient = weight_gradient(Arch::new(), &plan, x.storage(), y.storage(), [input, out]);
        volume(gradient, [out, input], kernel)
    }

    fn channel_sums(y: FloatTensor<Self>) -> FloatTensor<Self> {
        let [_, channels, ..] = dims(&y);
        let voxels = voxels(sizes(&y));
        if !f32s([&y]) || voxels * channels == 0 {
            return burn_convolution::channel_sums::<Self>(y);
        }
        let y = y.to_contiguous();
        let y: &[f32] = y.storage();
        let sums: Vec<f64> = y.par_chunks(voxels).map(sum).collect();
        let sums = (0..channels)
            .map(|c| sums[c..].iter().step_by(channels).sum::<f64>() as f32)
            .collect();
        tensor(sums, Shape::from(vec![channels]))
    }
}

/// Sixteen sums in turn, as long as they are exact enough, then in `f64`.
fn sum(values: &[f32]) -> f64 {
    values
        .chunks(1024)
        .map(|block| {
            let (vectors, rest) = block.as_chunks::<16>();
            let mut sums = [0f32; 16];
            for vector in vectors {
                for (sum, value) in sums.iter_mut().zip(vector) {
                    *sum += value;
                }
            }
            sums.iter().chain(rest).map(|&v| f64::from(v)).sum::<f64>()
        })
        .sum()
}

fn dims(x: &FlexTensor) -> [usize; 5] {
    let shape = x.shape();
    std::array::from_fn(|axis| shape[axis])
}

fn sizes(x: &FlexTensor) -> [usize; 3] {
    let [.., d, h, w] = dims(x);
    [d, h, w]
}

fn voxels(sizes: [usize; 3]) -> usize {
    sizes.iter().product()
}

fn f32s<const N: usize>(tensors: [&FlexTensor; N]) -> bool {
    tensors.iter().all(|t| t.dtype() == DType::F32)
}

fn volume(values: Vec<f32>, [a, b]: [usize; 2], [d, h, w]: [usize; 3]) -> FlexTensor {
    tensor(values, Shape::from(vec![a, b, d, h, w]))
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}
