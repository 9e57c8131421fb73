use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::SwinUnetrConfig;
use super::windows::relative_positions;
use crate::layers::attention_flops;
use crate::precision::like;
use crate::{Linear, LinearSpec, WeightRng, multi_head_attention};

/// Standard deviation of the initial table of biases.
const BIAS_DEVIATION: f64 = 0.02;

/// Self-attention inside of windows, with a learned bias for each relative position of two tokens
/// and each head.
#[derive(Module, Debug)]
pub struct WindowAttention {
    /// `[relative position, head]`, `(2 d - 1) (2 h - 1) (2 w - 1)` positions in C order.
    pub relative_position_bias_table: Param<Tensor<2>>,
    /// Queries, keys and values, with bias.
    pub qkv: Linear,
    /// Of the joined heads.
    pub proj: Linear,
    window_size: [usize; 3],
    num_heads: usize,
}

impl WindowAttention {
    pub(super) fn new(
        config: &SwinUnetrConfig,
        stage: usize,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        let (window_size, num_heads) = (config.window_size, config.num_heads[stage]);
        let [qkv, proj] = specs(config.channels(stage));
        let relative = window_size.map(|size| 2 * size - 1);
        let table = [relative.iter().product(), num_heads];
        Self {
            relative_position_bias_table: rng.normal(table, BIAS_DEVIATION, device),
            qkv: qkv.init(rng, device),
            proj: proj.init(rng, device),
            window_size,
            num_heads,
        }
    }

    /// * `x`: `[batch * window, token, channel]`
    /// * `mask`: `[window, token, token]`, added to the scores
    /// * result: the shape of `x`
    pub fn forward(&self, x: Tensor<3>, mask: Option<Tensor<3>>) -> Tensor<3> {
        let [all, tokens, _] = x.dims();
        let heads = self.num_heads;
        let bias = self.bias(tokens);
        let adjust = |scores: Tensor<4>| {
            let scores = scores.clone() + like(bias, &scores);
            let Some(mask) = mask else {
                return scores;
            };
            let [windows, _, _] = mask.dims();
            let mask: Tensor<5> = mask.reshape([1, windows, 1, tokens, tokens]);
            let scores: Tensor<5> = scores.reshape([all / windows, windows, heads, tokens, tokens]);
            (scores.clone() + like(mask, &scores)).reshape([all, heads, tokens, tokens])
        };
        let mixed = multi_head_attention(self.qkv.forward(x), heads, adjust);
        self.proj.forward(mixed)
    }

    /// `[1, head, token, token]`.
    fn bias(&self, tokens: usize) -> Tensor<4> {
        let table = self.relative_position_bias_table.val();
        let positions = relative_positions(self.window_size, tokens);
        let positions = Tensor::<1, Int>::from_data(positions.as_slice(), &table.device());
        let bias: Tensor<3> = table
            .select(0, positions)
            .reshape([tokens, tokens, self.num_heads]);
        bias.permute([2, 0, 1]).unsqueeze()
    }

    /// Floating-point operations for `windows` windows of `tokens` tokens.
    pub(super) fn flops(&self, windows: u64, tokens: u64) -> u64 {
        let [channels, _] = self.proj.spec().channels();
        let rows = windows * tokens;
        self.qkv.spec().flops(rows)
            + self.proj.spec().flops(rows)
            + windows * attention_flops(tokens, channels)
    }

    /// Parameters of [`WindowAttention::new`]; saturating.
    pub(super) fn parameter_count(config: &SwinUnetrConfig, stage: usize) -> u64 {
        let relative = config
            .window_size
            .map(|size| (size as u64).saturating_mul(2).saturating_sub(1));
        let heads = config.num_heads[stage] as u64;
        let table = relative.into_iter().fold(heads, u64::saturating_mul);
        let [qkv, proj] = specs(config.channels(stage)).map(|spec| spec.parameter_count());
        table.saturating_add(qkv).saturating_add(proj)
    }
}

/// Queries, keys and values in one, and the projection of the result.
fn specs(channels: usize) -> [LinearSpec; 2] {
    let triple = channels.saturating_mul(3);
    [[channels, triple], [channels; 2]].map(LinearSpec::new)
}
