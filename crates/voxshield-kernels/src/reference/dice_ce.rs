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

/// The probabilities of one voxel, and the logarithm of the sum below the fraction.
fn softmax(logits: &[f64]) -> (Vec<f64>, f64) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = logits.iter().map(|v| (v - largest).exp()).sum();
    let ln_total = largest + total.ln();
    (
        logits.iter().map(|v| (v - ln_total).exp()).collect(),
        ln_total,
    )
}

/// [`OverlapOps::overlap_sums`](crate::ops::OverlapOps::overlap_sums) of `[batch, class, voxel]`
/// logits and `[batch, voxel]` labels, `[batch, class, 4]`.
pub fn overlap_sums(
    logits: &[f64],
    labels: &[i64],
    [batch, classes, voxels]: [usize; 3],
) -> Vec<f64> {
    let mut out = vec![0.0; batch * classes * 4];
    for b in 0..batch {
        for voxel in 0..voxels {
            let logit = |c: usize| logits[(b * classes + c) * voxels + voxel];
            let (p, ln_total) = softmax(&(0..classes).map(logit).collect::<Vec<_>>());
            for (class, p) in p.into_iter().enumerate() {
                let sums = &mut out[(b * classes + class) * 4..][..4];
                sums[1] += p;
                if labels[b * voxels + voxel] == class as i64 {
                    sums[0] += p;
                    sums[2] += 1.0;
                    sums[3] += ln_total - logit(class);
                }
            }
        }
    }
    out
}

/// The gradient of `sum(gradient * overlap_sums)` with respect to the logits, by the Jacobian of
/// the softmax, `dp_c / dlogit_k = p_c ([c = k] - p_k)`.
pub fn overlap_sums_gradient(
    logits: &[f64],
    labels: &[i64],
    gradient: &[f64],
    [batch, classes, voxels]: [usize; 3],
) -> Vec<f64> {
    let mut out = vec![0.0; logits.len()];
    for b in 0..batch {
        for voxel in 0..voxels {
            let index = |c: usize| (b * classes + c) * voxels + voxel;
            let own: Vec<f64> = (0..classes).map(|c| logits[index(c)]).collect();
            let (p, _) = softmax(&own);
            for c in 0..classes {
                let columns = &gradient[(b * classes + c) * 4..][..4];
                let hot = labels[b * voxels + voxel] == c as i64;
                let of_p = columns[1] + if hot { columns[0] } else { 0.0 };
                for k in 0..classes {
                    let same = f64::from(u8::from(c == k));
                    out[index(k)] += of_p * p[c] * (same - p[k]);
                    if hot {
                        out[index(k)] += columns[3] * (p[k] - same);
                    }
                }
            }
        }
    }
    out
}
