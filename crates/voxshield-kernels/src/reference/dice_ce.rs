/// The loss of [`crate::DiceCe`] without its background term: `logits` is
/// `[batch, class, voxel]`, `labels` `[batch, voxel]`.
pub fn dice_ce(
    logits: &[f64],
    labels: &[usize],
    [batch, classes, voxels]: [usize; 3],
    weights: Option<&[f64]>,
) -> f64 {
    const SMOOTH: f64 = 1e-5;
    let weight = |class: usize| weights.map_or(1.0, |w| w[class]);
    let (mut dice, mut nll, mut total) = (0.0, 0.0, 0.0);
    for b in 0..batch {
        let mut intersection = vec![0.0; classes];
        let mut sums = vec![0.0; classes];
        for voxel in 0..voxels {
            let logit = |c: usize| logits[(b * classes + c) * voxels + voxel];
            let largest = (0..classes).map(logit).fold(f64::NEG_INFINITY, f64::max);
            let norm: f64 = (0..classes).map(|c| (logit(c) - largest).exp()).sum();
            let label = labels[b * voxels + voxel];
            for class in 0..classes {
                let p = (logit(class) - largest).exp() / norm;
                sums[class] += p;
                if class == label {
                    intersection[class] += p;
                    sums[class] += 1.0;
                    nll -= weight(class) * (logit(class) - largest - norm.ln());
                    total += weight(class);
                }
            }
        }
        for class in 1..classes {
            let score = (2.0 * intersection[class] + SMOOTH) / (sums[class] + SMOOTH);
            dice += weight(class) * (1.0 - score);
        }
    }
    dice / (batch * (classes - 1)) as f64 + nll / total
}
