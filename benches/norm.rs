//! Instance normalisation and ReLU: the fused operation beside Burn's own layers.
//!
//! `cargo bench --bench norm`; RAYON_NUM_THREADS=1 for one thread. What is timed is one forward
//! pass, and one with its backward pass, on the device of `voxshield-testkit`.

use std::hint::black_box;

use burn::nn::InstanceNormConfig;
use burn::tensor::{Device, Tensor, activation::relu};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use voxshield::kernels::{NormActivation, instance_norm_act};
use voxshield_testkit::device;

/// `[batch, channel, depth, height, width]`
const SHAPES: [[usize; 5]; 2] = [[1, 32, 64, 64, 64], [1, 64, 32, 32, 32]];

fn fused(x: Tensor<5>) -> Tensor<5> {
    instance_norm_act(x, None, 1e-5, NormActivation::Relu).expect("the arguments are valid")
}

fn layers(x: Tensor<5>) -> Tensor<5> {
    let config = InstanceNormConfig::new(x.dims()[1]).with_affine(false);
    relu(config.init(&x.device()).forward(x))
}

/// A ramp, so that no two voxels are equal.
fn ramp(shape: [usize; 5], device: &Device) -> Tensor<5> {
    let n: usize = shape.iter().product();
    let ramp = Tensor::<1, burn::tensor::Int>::arange(0..n as i64, device);
    ramp.float().reshape(shape) / n as f64 - 0.5
}

fn norm(c: &mut Criterion) {
    let mut group = c.benchmark_group("instance_norm_relu");
    group.sample_size(10);
    for shape in SHAPES {
        for (name, function) in [("fused", fused as fn(_) -> _), ("layers", layers)] {
            let id = |pass: &str| BenchmarkId::new(format!("{pass}/{name}"), format!("{shape:?}"));
            group.bench_function(id("forward"), |b| {
                b.iter_batched(
                    || ramp(shape, &device()),
                    |x| black_box(function(x).into_data()),
                    BatchSize::PerIteration,
                );
            });
            group.bench_function(id("backward"), |b| {
                b.iter_batched(
                    || ramp(shape, &device().autodiff()).require_grad(),
                    |x| {
                        let y = function(x.clone());
                        let gradients = (y.clone() * y).sum().backward();
                        black_box(x.grad(&gradients).map(Tensor::into_data))
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, norm);
criterion_main!(benches);
