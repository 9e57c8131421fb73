//! DiceCE, semantic divergence and ISC, value and gradient.
//!
//! `cargo bench --bench losses`; RAYON_NUM_THREADS=1 for one thread.

use std::hint::black_box;

use burn::tensor::{Int, Tensor};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use voxshield::kernels::{DiceCe, IscScaling, inter_slice_divergence, semantic_divergence};
use voxshield_testkit::device;

const CLASSES: usize = 5;

/// Values in -1..1 that differ from voxel to voxel.
fn waves(shape: [usize; 5], step: f64) -> Tensor<5> {
    let n: usize = shape.iter().product();
    let index = Tensor::<1, Int>::arange(0..n as i64, &device().autodiff());
    (index.float() * step).sin().reshape(shape)
}

/// Value and gradient of `loss` at a fresh leaf.
fn value_and_gradient(
    c: &mut Criterion,
    name: &str,
    leaf: &Tensor<5>,
    loss: impl Fn(Tensor<5>) -> Tensor<1>,
) {
    let mut group = c.benchmark_group("value_and_gradient");
    group.sample_size(10);
    group.bench_function(name, |b| {
        b.iter_batched(
            || leaf.clone().detach().require_grad(),
            |x| {
                let gradients = loss(x.clone()).backward();
                black_box(x.grad(&gradients).map(Tensor::into_data))
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn losses(c: &mut Criterion) {
    for size in [96, 160] {
        let shape = [1, CLASSES, size, size, size];
        let logits = waves(shape, 0.37) * 3.0;
        let labels = Tensor::<1, Int>::arange(0..(size * size * size) as i64, &device())
            .remainder_scalar(CLASSES as i64)
            .reshape([1, size, size, size]);
        let loss = DiceCe::default();
        value_and_gradient(c, &format!("dice_ce/{size}"), &logits, |x| {
            loss.forward(x, labels.clone())
                .expect("the arguments are valid")
        });
        let clean = waves(shape, 0.21);
        value_and_gradient(c, &format!("semantic_divergence/{size}"), &logits, |x| {
            semantic_divergence(x, clean.clone()).expect("the arguments are valid")
        });
        let delta = waves([1, 1, size, size, size], 0.37) * 0.01;
        let support = Tensor::ones([1, 1, size, size, size], &device().autodiff());
        value_and_gradient(c, &format!("isc/{size}"), &delta, |x| {
            inter_slice_divergence(x, &support, IscScaling::Reference)
                .expect("the arguments are valid")
        });
    }
}

criterion_group!(benches, losses);
criterion_main!(benches);
