/// Weight and both moments after one step of Adam with an L2 penalty in the gradient, element by
/// element from `[weight, gradient, first moment, second moment]`.
///
/// `rate`, `betas`, `epsilon`, `decay` and `time` are those of [`AdamStep`](crate::AdamStep).
pub fn adam_step(
    values: [f64; 4],
    rate: f64,
    betas: [f64; 2],
    epsilon: f64,
    decay: f64,
    time: i32,
) -> [f64; 3] {
    let [w, g, m, v] = values;
    let g = g + decay * w;
    let m = betas[0] * m + (1.0 - betas[0]) * g;
    let v = betas[1] * v + (1.0 - betas[1]) * g * g;
    let unbiased_m = m / (1.0 - betas[0].powi(time));
    let unbiased_v = v / (1.0 - betas[1].powi(time));
    [w - rate * unbiased_m / (unbiased_v.sqrt() + epsilon), m, v]
}
