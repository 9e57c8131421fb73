//! Convolutions on the CPU against Burn's own: forward, input gradient and weight gradient of the
//! layers that the networks spend their time in.
//!
//! `cargo bench --bench conv3d -- 32-32` measures one layer. `RAYON_NUM_THREADS` sets the threads.
#![allow(missing_docs)]

use std::hint::black_box;

use burn::backend::{Flex, flex::FlexDevice, ops::FloatTensorOps, tensor::FloatTensor};
use burn::tensor::TensorData;
use criterion::{Criterion, criterion_group, criterion_main};
use voxshield_kernels::ops::{Bias, ConvGeometry, ConvOps, burn_convolution};

/// A convolution; `transposed` exchanges its input and its output.
struct Layer {
    name: &'static str,
    channels: [usize; 2],
    /// Of the convolution's input, and so of the transposed one's output.
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    transposed: bool,
}

const fn layer(name: &'static str, channels: [usize; 2], size: usize) -> Layer {
    Layer {
        name,
        channels,
        size,
        kernel: 3,
        stride: 1,
        dilation: 1,
        transposed: false,
    }
}

fn layers() -> Vec<Layer> {
    let halving = |l: Layer| Layer { stride: 2, ..l };
    let doubling = |l: Layer| Layer {
        transposed: true,
        ..halving(l)
    };
    let pointwise = |l: Layer| Layer { kernel: 1, ..l };
    vec![
        layer("32-32 64", [32, 32], 64),
        layer("64-64 32", [64, 64], 32),
        layer("1-32 64", [1, 32], 64),
        layer("32-5 64", [32, 5], 64),
        layer("128-128 16", [128, 128], 16),
        layer("512-512 6", [512, 512], 6),
        halving(layer("32-64 halving 64", [32, 64], 64)),
        doubling(layer("64-32 doubling 32", [32, 64], 64)),
        doubling(layer("768-128 doubling 4", [128, 768], 8)),
        pointwise(layer("32-32 pointwise 64", [32, 32], 64)),
        pointwise(layer("256-128 pointwise 16", [256, 128], 16)),
        Layer {
            dilation: 2,
            ..layer("32-32 dilated 48", [32, 32], 48)
        },
    ]
}

/// Values in -1..1; what they are does not matter.
fn volume(shape: [usize; 5]) -> FloatTensor<Flex> {
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0)
        .collect();
    Flex::float_from_data(TensorData::new(values, shape), &FlexDevice)
}

fn bench(criterion: &mut Criterion) {
    for layer in layers() {
        let [input, output] = layer.channels;
        let geometry = ConvGeometry {
            stride: [layer.stride; 3],
            padding: [layer.dilation * (layer.kernel - 1) / 2; 3],
            dilation: [layer.dilation; 3],
        };
        let (sizes, k) = ([layer.size; 3], layer.kernel);
        let small = layer.size.div_ceil(layer.stride);
        let x = volume([1, input, layer.size, layer.size, layer.size]);
        let y = volume([1, output, small, small, small]);
        let w = volume([output, input, k, k, k]);

        // The transposed convolution is the other one's input gradient, and the reverse.
        let (convolve, adjoint) = if layer.transposed {
            ("input gradient", "forward")
        } else {
            ("forward", "input gradient")
        };
        let args = || (x.clone(), y.clone(), w.clone());
        let mut group = criterion.benchmark_group(layer.name);
        group.sample_size(10);
        group.bench_function(format!("{convolve}, ours"), |b| {
            b.iter_with_setup(args, |(x, _, w)| {
                black_box(Flex::convolve(x, w, Bias::Absent, geometry))
            })
        });
        group.bench_function(format!("{convolve}, Burn"), |b| {
            b.iter_with_setup(args, |(x, _, w)| {
                black_box(burn_convolution::convolve::<Flex>(
                    x,
                    w,
                    Bias::Absent,
                    geometry,
                ))
            })
        });
        group.bench_function(format!("{adjoint}, ours"), |b| {
            b.iter_with_setup(args, |(_, y, w)| {
                black_box(Flex::convolve_adjoint(y, w, Bias::Absent, sizes, geometry))
            })
        });
        group.bench_function(format!("{adjoint}, Burn"), |b| {
            b.iter_with_setup(args, |(_, y, w)| {
                let none = Bias::Absent;
                black_box(burn_convolution::convolve_adjoint::<Flex>(
                    y, w, none, sizes, geometry,
                ))
            })
        });
        group.bench_function("weight gradient, ours", |b| {
            b.iter_with_setup(args, |(x, y, w)| {
                black_box(Flex::convolve_weight_gradient(x, y, w, geometry))
            })
        });
        group.bench_function("weight gradient, Burn", |b| {
            b.iter_with_setup(args, |(x, y, w)| {
                black_box(burn_convolution::convolve_weight_gradient::<Flex>(
                    x, y, w, geometry,
                ))
            })
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
