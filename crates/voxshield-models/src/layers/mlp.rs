use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Linear, LinearSpec, WeightRng, gelu};

/// The feed-forward part of a transformer block, `y = linear2(gelu(linear1(x)))`.
#[derive(Module, Debug)]
pub struct Mlp {
    /// To the hidden features.
    pub linear1: Linear,
    /// Back from them.
    pub linear2: Linear,
}

impl Mlp {
    /// `channels` features in and out, `hidden` in between.
    pub fn new(channels: usize, hidden: usize, rng: &mut WeightRng, device: &Device) -> Self {
        let [linear1, linear2] = specs(channels, hidden);
        Self {
            linear1: linear1.init(rng, device),
            linear2: linear2.init(rng, device),
        }
    }

    /// `[.., channels]`, kept.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.linear2.forward(gelu(self.linear1.forward(x)))
    }

    /// Floating-point operations for `rows` vectors.
    pub fn flops(&self, rows: u64) -> u64 {
        self.linear1.spec().flops(rows) + self.linear2.spec().flops(rows)
    }
}

/// Parameters of [`Mlp::new`]; saturating.
pub(crate) fn mlp_parameters(channels: usize, hidden: usize) -> u64 {
    let counts = specs(channels, hidden).map(|spec| spec.parameter_count());
    counts.into_iter().fold(0, u64::saturating_add)
}

fn specs(channels: usize, hidden: usize) -> [LinearSpec; 2] {
    [[channels, hidden], [hidden, channels]].map(LinearSpec::new)
}
