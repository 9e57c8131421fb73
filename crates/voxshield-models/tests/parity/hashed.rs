//! Weights and inputs that both languages compute from names, so that no file has to hold them
//! (`tests/golden/make/hashed_weights.py` is the other side).

use burn::tensor::{Device, Int, Tensor, TensorData};
use voxshield_models::{Network, TensorMap};

/// Element `index` of the stream called `name`: 24 bits.
fn bits(name: &str, index: u64) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325, fnv);
    let mut z = hash.wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) >> 40
}

fn unit(name: &str, index: usize) -> f64 {
    bits(name, index as u64) as f64 / f64::from(1 << 24)
}

/// Weights for every parameter and running statistic of `network`.
pub(crate) fn weights(network: &dyn Network) -> TensorMap {
    let tensor = |name: &str, shape: &[usize]| {
        let (mean, scale) = law(name, shape);
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|i| (scale * (2.0 * unit(name, i) - 1.0) + mean) as f32)
            .collect();
        TensorData::new(values, shape.to_vec())
    };
    let parameters = network.describe().into_iter();
    parameters
        .map(|p| (p.name.clone(), tensor(&p.name, &p.shape)))
        .collect()
}

/// Mean and half width of the distribution of a tensor's elements.
fn law(name: &str, shape: &[usize]) -> (f64, f64) {
    let count: usize = shape.iter().product();
    if name.contains("position_embeddings") || name.contains("pos_embed") {
        (0.0, 0.1)
    } else if shape.len() >= 2 {
        (0.0, (3.0 / (count / shape[0]) as f64).sqrt())
    } else if name.ends_with("weight") || name.ends_with("running_var") {
        (1.0, 0.25)
    } else {
        (0.0, 0.1)
    }
}

/// The input `[batch, channel, depth, height, width]`, 0..1.
pub(crate) fn input(shape: [usize; 5], device: &Device) -> Tensor<5> {
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|i| unit("input", i) as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Labels `[batch, depth, height, width]` in `0..classes`.
pub(crate) fn labels(shape: [usize; 4], classes: u64, device: &Device) -> Tensor<4, Int> {
    let count = shape.iter().product::<usize>() as u64;
    let values: Vec<i64> = (0..count)
        .map(|i| (bits("label", i) % classes) as i64)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
