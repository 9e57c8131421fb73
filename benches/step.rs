//! One S-step and one N-step with the paper's networks, on every device of the build.
//!
//! `cargo bench --bench step --features flex`; `VOXSHIELD_BENCH_SIZES=32,64,96,160` for more sizes.

mod common;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use voxshield::kernels::IscScaling;
use voxshield::models::{NoiseGeneratorConfig, ResidualUnetConfig};
use voxshield::perturb::{Budget, NoiseLearner, SurrogateLearner, View, voxshield_terms};

const EPSILON: f64 = 4.0 / 255.0;
const CLASSES: usize = 5;

fn step(criterion: &mut Criterion) {
    for (name, device) in common::available() {
        let mut group = criterion.benchmark_group(format!("step/{name}"));
        group.sample_size(10);
        for size in common::sizes(&[32, 64]) {
            let tracked = device.clone().autodiff();
            let surrogate = ResidualUnetConfig::surrogate(1, CLASSES).init(0, &tracked);
            let generator = NoiseGeneratorConfig::new(1, EPSILON).init(1, &tracked);
            let budget = Budget::new(EPSILON).expect("a budget");
            let surrogate = Box::new(surrogate.expect("valid"));
            let mut surrogate = SurrogateLearner::new(surrogate, 5e-4, budget);
            let terms = voxshield_terms(0.2, IscScaling::Reference, 1, 0.05);
            let mut noise = NoiseLearner::new(generator.expect("valid"), 1e-4, budget, terms);
            let batch = common::batch(size, 1, 1, CLASSES, &device);
            group.throughput(Throughput::Elements((size * size * size) as u64));
            group.bench_function(BenchmarkId::new("S", size), |bencher| {
                bencher.iter(|| {
                    let delta = noise.delta(&batch);
                    surrogate
                        .step(&batch, delta, &View::identity())
                        .expect("an S-step");
                    device.sync().expect("a device");
                });
            });
            group.bench_function(BenchmarkId::new("N", size), |bencher| {
                bencher.iter(|| {
                    let loss = noise.step(&batch, surrogate.network(), &View::identity());
                    loss.expect("an N-step");
                    device.sync().expect("a device");
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, step);
criterion_main!(benches);
