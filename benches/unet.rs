//! Forward pass, and forward with backward, of every network at its narrow width, on every device
//! of the build.
//!
//! `cargo bench --bench unet --features flex`; `VOXSHIELD_BENCH_SIZES=64` for another size. Multiples of
//! 16, and 64 at least for Swin UNETR, which is left out where it does not fit.

mod common;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use voxshield::kernels::DiceCe;
use voxshield::models::{ARCHITECTURES, NetworkSpec};

const CLASSES: usize = 3;

fn unet(criterion: &mut Criterion) {
    for (name, device) in common::available() {
        let mut group = criterion.benchmark_group(format!("unet/{name}"));
        group.sample_size(10);
        for size in common::sizes(&[32]) {
            let batch = common::batch(size, 1, 1, CLASSES, &device);
            for architecture in ARCHITECTURES {
                let spec = NetworkSpec {
                    patch: [size; 3],
                    ..NetworkSpec::new(1, CLASSES)
                };
                let network = architecture.init(&spec, 0, &device.clone().autodiff());
                let Ok(network) = network else { continue };
                if network.check_input(&[1, 1, size, size, size]).is_err() {
                    continue;
                }
                let flops = network.flops([size; 3]);
                group.throughput(Throughput::Elements(flops));
                let valid = network.valid();
                let id = BenchmarkId::new(format!("{}/forward", architecture.name), size);
                group.bench_function(id, |bencher| {
                    bencher.iter(|| {
                        let logits = valid.forward(batch.image.clone());
                        device.sync().expect("a device");
                        logits
                    });
                });
                group.throughput(Throughput::Elements(3 * flops));
                let id = BenchmarkId::new(format!("{}/training", architecture.name), size);
                let criterion = DiceCe::default();
                group.bench_function(id, |bencher| {
                    bencher.iter(|| {
                        let (image, labels) = (batch.image.clone(), batch.labels.clone());
                        let loss =
                            network.training_loss(image.autodiff(), labels.autodiff(), &criterion);
                        let gradients = loss.expect("a loss").backward();
                        device.sync().expect("a device");
                        gradients
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, unet);
criterion_main!(benches);
