use burn::tensor::{Tensor, activation};

use crate::precision::in_f32;

/// Scaled dot-product attention in several heads,
/// `y = softmax(adjust(q k^T / sqrt(channels / heads))) v`.
///
/// `adjust` changes the scores `[batch, heads, tokens, tokens]` before the softmax over their last
/// axis: it adds a bias or a mask, or nothing.
///
/// # Shapes
///
/// * `qkv`: `[batch, tokens, 3 * channels]`; along the last axis first all queries, then keys, then
///   values, each of them head by head. `heads` divides `channels`.
/// * result: `[batch, tokens, channels]`, the heads one after the other
///
/// Source: Vaswani et al., arXiv 1706.03762.
pub fn multi_head_attention(
    qkv: Tensor<3>,
    heads: usize,
    adjust: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Tensor<3> {
    let [batch, tokens, triple] = qkv.dims();
    let channels = triple / 3;
    let head = channels / heads;
    let parts = qkv.reshape([batch, tokens, 3, heads, head]);
    // [3, batch, heads, tokens, head]
    let parts = parts.permute([2, 0, 3, 1, 4]);
    let part = |index: usize| parts.clone().narrow(0, index, 1).squeeze_dim::<4>(0);
    let query = part(0) * (head as f64).powf(-0.5);
    let scores = adjust(query.matmul(part(1).swap_dims(2, 3)));
    let shares = in_f32(scores, |scores| activation::softmax(scores, 3));
    let mixed = shares.matmul(part(2));
    mixed.swap_dims(1, 2).reshape([batch, tokens, channels])
}

/// Floating-point operations of [`multi_head_attention`] for one sample: the two matrix products.
pub(crate) fn attention_flops(tokens: u64, channels: usize) -> u64 {
    tokens
        .saturating_mul(tokens)
        .saturating_mul(channels as u64)
        .saturating_mul(4)
}
