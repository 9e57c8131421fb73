use super::{distance::squared_distances, same_length, voxels, window::Window};
use crate::EvalError;

/// Distances between the surfaces of a predicted and a true mask, in mm.
///
/// A voxel of a mask is on its surface if one of its 6 face neighbours is not in the mask; outside
/// the volume nothing is. Distances run between voxel centres, from every surface voxel of one mask
/// to the nearest of the other. Definitions and values are those of MONAI 1.6.
///
/// An empty mask has no surface, and MONAI's conventions hold: one empty mask gives infinity (95th
/// percentile: NaN), two give NaN. Count such cases and report them apart.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceDistances {
    to_truth: Vec<f64>,
    to_prediction: Vec<f64>,
}

impl SurfaceDistances {
    /// Measures the distances; linear in the voxels of the box around both masks.
    ///
    /// `prediction` and `truth` are `[depth, height, width]`; `shape` and `spacing` (voxel size in
    /// mm) are in that order.
    ///
    /// # Errors
    /// [`EvalError::Empty`] if an axis has no voxel, [`EvalError::Length`] if a mask does not fit
    /// `shape`, [`EvalError::Parameter`] if a spacing is not a positive number.
    pub fn measure(
        prediction: &[bool],
        truth: &[bool],
        shape: [usize; 3],
        spacing: [f64; 3],
    ) -> Result<Self, EvalError> {
        let count = voxels(shape)?;
        same_length("prediction", count, prediction.len())?;
        same_length("truth", count, truth.len())?;
        if !spacing.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(EvalError::Parameter {
                what: "voxel spacing",
                expected: "three positive numbers of mm",
                found: format!("{spacing:?}"),
            });
        }
        let window = Window::around(prediction, truth, shape);
        let prediction = surface(&window.cut(prediction, shape), window.size);
        let truth = surface(&window.cut(truth, shape), window.size);
        let directed = |from: &[bool], to: &[bool]| -> Vec<f64> {
            squared_distances(to, window.size, spacing)
                .iter()
                .zip(from)
                .filter(|&(_, &here)| here)
                .map(|(squared, _)| squared.sqrt())
                .collect()
        };
        Ok(Self {
            to_truth: directed(&prediction, &truth),
            to_prediction: directed(&truth, &prediction),
        })
    }

    /// Hausdorff distance, the largest distance in either direction.
    pub fn hausdorff(&self) -> f64 {
        self.all().reduce(f64::max).unwrap_or(f64::NAN)
    }

    /// HD95: the larger of the two directions' 95th percentiles, linear between ranks.
    pub fn hausdorff95(&self) -> f64 {
        match (
            quantile(&self.to_truth, 0.95),
            quantile(&self.to_prediction, 0.95),
        ) {
            (Some(a), Some(b)) => a.max(b),
            _ => f64::NAN,
        }
    }

    /// Average distance from the prediction's surface to the true one (MONAI's asymmetric ASD).
    pub fn mean_to_truth(&self) -> f64 {
        if self.to_truth.is_empty() && !self.to_prediction.is_empty() {
            return f64::INFINITY;
        }
        mean(self.to_truth.iter().copied())
    }

    /// ASSD: the average over the distances of both directions, taken together.
    pub fn symmetric_mean(&self) -> f64 {
        mean(self.all())
    }

    fn all(&self) -> impl Iterator<Item = f64> {
        self.to_truth.iter().chain(&self.to_prediction).copied()
    }
}

/// The mask without its erosion by the 6-neighbour cross, background outside.
fn surface(mask: &[bool], shape: [usize; 3]) -> Vec<bool> {
    let [_, height, width] = shape;
    let strides = [height * width, width, 1];
    mask.iter()
        .enumerate()
        .map(|(i, &inside)| {
            inside
                && (0..3).any(|axis| {
                    let (stride, place) = (strides[axis], i / strides[axis] % shape[axis]);
                    place == 0 || place + 1 == shape[axis] || !mask[i - stride] || !mask[i + stride]
                })
        })
        .collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), v| (sum + v, count + 1));
    sum / count as f64
}

/// `None` where the quantile does not exist: no values, or none that is finite.
fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = q * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    let value = below + (above - below) * rank.fract();
    value.is_finite().then_some(value)
}
