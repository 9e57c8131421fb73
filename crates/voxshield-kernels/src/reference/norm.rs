/// [`crate::instance_norm_act`] of a `[batch, channel, voxel]` array; `slope` 1 stands for no
/// activation, 0 for ReLU.
pub fn instance_norm_act(
    x: &[f64],
    [weight, bias]: [&[f64]; 2],
    voxels: usize,
    epsilon: f64,
    slope: f64,
) -> Vec<f64> {
    let mut out = Vec::with_capacity(x.len());
    for (map, x) in x.chunks_exact(voxels).enumerate() {
        let (weight, bias) = (weight[map % weight.len()], bias[map % bias.len()]);
        let mean = x.iter().sum::<f64>() / voxels as f64;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / voxels as f64;
        let deviation = (variance + epsilon).sqrt();
        out.extend(x.iter().map(|v| {
            let z = weight * (v - mean) / deviation + bias;
            if z > 0.0 { z } else { slope * z }
        }));
    }
    out
}

/// The gradients of `sum(gradient * instance_norm_act(x))` with respect to `x`, weight and bias,
/// by the chain rule through mean and variance.
pub fn instance_norm_act_gradient(
    x: &[f64],
    [weight, bias]: [&[f64]; 2],
    gradient: &[f64],
    voxels: usize,
    epsilon: f64,
    slope: f64,
) -> [Vec<f64>; 3] {
    let n = voxels as f64;
    let mut x_gradient = Vec::with_capacity(x.len());
    let mut weight_gradient = vec![0.0; weight.len()];
    let mut bias_gradient = vec![0.0; bias.len()];
    let maps = x.chunks_exact(voxels).zip(gradient.chunks_exact(voxels));
    for (map, (x, gradient)) in maps.enumerate() {
        let channel = map % weight.len();
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let deviation = (variance + epsilon).sqrt();
        let (mut mean_gradient, mut variance_gradient) = (0.0, 0.0);
        let mut direct = Vec::with_capacity(voxels);
        for (v, gradient) in x.iter().zip(gradient) {
            let h = (v - mean) / deviation;
            let positive = weight[channel] * h + bias[channel] > 0.0;
            let g = if positive {
                *gradient
            } else {
                slope * gradient
            };
            weight_gradient[channel] += g * h;
            bias_gradient[channel] += g;
            let own = g * weight[channel] / deviation;
            mean_gradient -= own;
            variance_gradient -= own * h / (2.0 * deviation);
            direct.push(own);
        }
        x_gradient.extend(
            x.iter()
                .zip(direct)
                .map(|(v, own)| own + mean_gradient / n + variance_gradient * 2.0 * (v - mean) / n),
        );
    }
    [x_gradient, weight_gradient, bias_gradient]
}
