//! The support detector: what somebody without the label may read from protected voxels.

use crate::EvalError;
use crate::sampling::{Border, filter};
use crate::shape::same_length;

/// Local high-pass energy: the mean over 3x3x3 of the squared difference from the 3x3x3 mean, channels
/// added up. `image` is `[channel, depth, height, width]`, the result `[depth, height, width]`.
pub fn local_energy(image: &[f32], shape: [usize; 3]) -> Vec<f32> {
    let voxels: usize = shape.iter().product();
    let mean = |values: &mut [f32]| {
        (0..3).for_each(|axis| filter(values, shape, axis, &[1.0; 3], Border::Replicate));
    };
    let mut energy = vec![0.0; voxels];
    for channel in image.chunks_exact(voxels.max(1)) {
        let mut local = channel.to_vec();
        mean(&mut local);
        local
            .iter_mut()
            .zip(channel)
            .for_each(|(m, v)| *m = (v - *m).powi(2));
        mean(&mut local);
        energy.iter_mut().zip(&local).for_each(|(sum, e)| *sum += e);
    }
    energy
}

/// The area under the receiver operating characteristic: the chance that a voxel of the mask scores higher
/// than one outside it, ties counting half. `None` if either is empty.
///
/// # Errors
/// [`EvalError::Length`] if there is not one score for each voxel of the mask.
pub fn area_under_curve(scores: &[f32], mask: &[bool]) -> Result<Option<f64>, EvalError> {
    same_length("scores", mask.len(), scores.len())?;
    let mut order: Vec<(f32, bool)> = scores.iter().copied().zip(mask.iter().copied()).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let inside = mask.iter().filter(|inside| **inside).count();
    let outside = order.len() - inside;
    if inside == 0 || outside == 0 {
        return Ok(None);
    }
    let (mut below, mut pairs) = (0usize, 0.0);
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let ins = tied.iter().filter(|(_, inside)| *inside).count();
        let outs = tied.len() - ins;
        pairs += ins as f64 * (below as f64 + outs as f64 / 2.0);
        below += outs;
    }
    Ok(Some(pairs / (inside as f64 * outside as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the definition: all pairs.
    #[test]
    fn the_area_is_the_share_of_ordered_pairs() {
        let scores = [0.3, 0.1, 0.3, 0.9, 0.2, 0.3];
        let mask = [true, false, false, true, true, false];
        let mut pairs = 0.0;
        for (a, _) in scores.iter().zip(mask).filter(|(_, m)| *m) {
            for (b, _) in scores.iter().zip(mask).filter(|(_, m)| !*m) {
                pairs += if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
            }
        }
        let area = |mask: &[bool]| area_under_curve(&scores, mask);
        assert_eq!(area(&mask).unwrap(), Some(pairs / 9.0));
        assert_eq!(area(&[true; 6]).unwrap(), None);
        assert_eq!(area(&[false; 6]).unwrap(), None);
        for length in [5, 7] {
            let error = area(&vec![true; length]).unwrap_err();
            assert!(
                matches!(error, EvalError::Length { expected, found: 6, .. } if expected == length)
            );
        }
    }

    #[test]
    fn a_lattice_has_energy_and_a_constant_has_none() {
        let shape = [8, 6, 6];
        let image: Vec<f32> = (0..288)
            .map(|i| match i / 36 < 4 {
                true => 1.0,
                false => [1.1, 0.9][(i / 36 + i / 6 + i) % 2],
            })
            .collect();
        let mask: Vec<bool> = (0..288).map(|i| i / 36 >= 4).collect();
        let energy = local_energy(&image, shape);
        assert!(energy[0] < 1e-12 && energy[287] > 1e-3);
        assert!(area_under_curve(&energy, &mask).unwrap().unwrap() > 0.95);
    }
}
