//! What the benches share: the devices of this build, and a batch.
#![allow(dead_code, reason = "no bench uses all of it")]

use voxshield::burn::tensor::{Device, Int, Tensor, TensorData};
use voxshield::perturb::Batch;
use voxshield::pipeline::{DeviceChoice, devices};

/// Every device that this build has, by name.
pub(crate) fn available() -> Vec<(String, Device)> {
    let compiled = devices().into_iter().filter(|device| device.compiled);
    compiled
        .filter_map(|device| {
            let choice = device.name.parse::<DeviceChoice>().ok()?;
            Some((device.name.to_owned(), choice.open().ok()?))
        })
        .collect()
}

/// The sizes of cubes to measure: `VOXSHIELD_BENCH_SIZES`, e.g. `32,64,96,160`, or `default`.
pub(crate) fn sizes(default: &[usize]) -> Vec<usize> {
    match std::env::var("VOXSHIELD_BENCH_SIZES") {
        Ok(list) => list
            .split(',')
            .filter_map(|n| n.trim().parse().ok())
            .collect(),
        Err(_) => default.to_vec(),
    }
}

/// Numbers in 0..1 that look like noise.
pub(crate) fn noise(count: usize) -> Vec<f32> {
    let value = |i: usize| (i as u32).wrapping_mul(0x9E37_79B9) as f32 / u32::MAX as f32;
    (0..count).map(value).collect()
}

/// A batch of cubes with a box for each class but the background.
pub(crate) fn batch(
    size: usize,
    batch: usize,
    channels: usize,
    classes: usize,
    device: &Device,
) -> Batch {
    let voxels = size * size * size;
    let label = |i: usize| {
        let (z, y, x) = (i / (size * size), i / size % size, i % size);
        let inside = |v: usize| (size / 4..3 * size / 4).contains(&v);
        match inside(y) && inside(x) {
            true => (z * classes / size) as i32,
            false => 0,
        }
    };
    let labels: Vec<i32> = (0..batch * voxels).map(|i| label(i % voxels)).collect();
    let support: Vec<f32> = labels.iter().map(|&l| f32::from(u8::from(l > 0))).collect();
    let image = noise(batch * channels * voxels);
    let volume = |values, channels| {
        let data = TensorData::new(values, [batch, channels, size, size, size]);
        Tensor::<5>::from_data(data, device)
    };
    let labels = TensorData::new(labels, [batch, size, size, size]);
    Batch {
        image: volume(image, channels),
        labels: Tensor::<4, Int>::from_data(labels, device),
        support: volume(support, 1),
    }
}
