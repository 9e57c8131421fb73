//! Reading and writing of `.nii.gz` volumes.
//!
//! `cargo bench --bench nifti`; the volume is a phantom, stored as int16.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use voxshield::data::{PhantomConfig, StoredVolume, Volume, write_phantom_dataset};

const SHAPE: [usize; 3] = [96, 160, 160];

fn nifti(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = PhantomConfig::new(SHAPE, 0);
    let dataset = write_phantom_dataset(folder.path(), 1, &config).expect("a dataset");
    let path = folder.path().join(&dataset.cases[0].images[0]);
    let stored = StoredVolume::read(&path).expect("a volume");
    let mut group = criterion.benchmark_group("nifti");
    group.sample_size(20);
    let bytes = SHAPE.iter().product::<usize>() * 2;
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("read", |bencher| {
        bencher.iter(|| StoredVolume::read(black_box(&path)).expect("a volume"));
    });
    group.bench_function("read to float32", |bencher| {
        let paths = [path.clone()];
        bencher.iter(|| Volume::open(black_box(&paths)).expect("a volume"));
    });
    let target = folder.path().join("copy.nii.gz");
    group.bench_function("write", |bencher| {
        bencher.iter(|| stored.write_atomic(black_box(&target)).expect("written"));
    });
    group.finish();
}

criterion_group!(benches, nifti);
criterion_main!(benches);
