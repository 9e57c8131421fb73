use burn::tensor::{Tensor, TensorData};

use super::cast;
use crate::KernelError;

/// In voxels.
const MAX_SIGMA: f64 = 1024.0;

/// A linear map along one axis: output `i` is `sum_j weights[i * inputs + j] x_j`.
///
/// Smoothing, averaging and resampling of a volume are such maps, one for each axis; see [`map_axes`].
#[derive(Debug, Clone, PartialEq)]
pub struct AxisMap {
    inputs: usize,
    weights: Vec<f32>,
}

impl AxisMap {
    /// The map of an axis of `inputs` voxels whose output `i` is `row(i)`: pairs of an input and its weight, added where an
    /// input comes twice. Inputs beyond the ends of the axis are its end voxels (the border is replicated).
    pub fn from_rows(
        inputs: usize,
        outputs: usize,
        mut row: impl FnMut(usize, &mut dyn FnMut(i64, f32)),
    ) -> Self {
        let last = inputs.saturating_sub(1) as i64;
        let mut weights = vec![0.0; inputs * outputs];
        for (output, values) in weights.chunks_exact_mut(inputs.max(1)).enumerate() {
            row(output, &mut |input, weight| {
                values[input.clamp(0, last) as usize] += weight;
            });
        }
        Self { inputs, weights }
    }

    /// A Gaussian of standard deviation `sigma` voxels, cut at `ceil(3 sigma)` voxels and normalised to sum 1, on an axis of `n`
    /// voxels with a replicated border. `sigma` 0 is the identity.
    ///
    /// # Errors
    /// [`KernelError::Parameter`] if `sigma` is not in 0 to 1024, beyond which a Gaussian is wider than volumes.
    pub fn gaussian(n: usize, sigma: f64) -> Result<Self, KernelError> {
        if !(0.0..=MAX_SIGMA).contains(&sigma) {
            return Err(KernelError::Parameter {
                op: "AxisMap::gaussian",
                parameter: "sigma",
                expected: format!("0 to {MAX_SIGMA} voxels"),
                got: sigma.to_string(),
            });
        }
        let radius = (3.0 * sigma).ceil() as i64;
        let weight = |d: i64| match d {
            0 => 1.0,
            _ => (-((d * d) as f64) / (2.0 * sigma * sigma)).exp(),
        };
        let sum: f64 = (-radius..=radius).map(weight).sum();
        Ok(Self::from_rows(n, n, |i, add| {
            for d in -radius..=radius {
                add(i as i64 + d, (weight(d) / sum) as f32);
            }
        }))
    }

    fn outputs(&self) -> usize {
        self.weights.len() / self.inputs.max(1)
    }
}

/// Applies a linear map along each spatial axis, `[depth, height, width]`; `None` leaves an axis as it is. Differentiable in
/// `x`: a matrix product for each axis.
///
/// # Shapes
/// - `x`: `[batch, channel, depth, height, width]`, of any type
/// - output: `[batch, channel, depth', height', width']`, the outputs of the maps, in the type of `x`: weights are rounded to it
///
/// # Errors
/// [`KernelError::Shape`] if a map is for another length than its axis has.
pub fn map_axes(x: Tensor<5>, maps: &[Option<AxisMap>; 3]) -> Result<Tensor<5>, KernelError> {
    let mut x = x;
    for (axis, map) in maps.iter().enumerate() {
        let Some(map) = map else { continue };
        let axis = axis + 2;
        let mut shape = x.dims();
        if shape[axis] != map.inputs {
            let got = shape.to_vec();
            shape[axis] = map.inputs;
            return Err(KernelError::Shape {
                op: "map_axes",
                argument: "x",
                expected: shape.to_vec(),
                got,
            });
        }
        // Lines along the axis become rows of one matrix.
        shape.swap(axis, 4);
        let rows = shape[..4].iter().product::<usize>();
        let matrix = TensorData::new(map.weights.clone(), [map.outputs(), map.inputs]);
        let matrix = cast(Tensor::<2>::from_data(matrix, &x.device()), x.dtype());
        let lines = x.swap_dims(axis, 4).reshape([rows, map.inputs]);
        shape[4] = map.outputs();
        x = lines
            .matmul(matrix.transpose())
            .reshape(shape)
            .swap_dims(axis, 4);
    }
    Ok(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_that_are_none_are_refused() {
        let identity = AxisMap::from_rows(3, 3, |i, add| add(i as i64, 1.0));
        assert_eq!(AxisMap::gaussian(3, 0.0).unwrap(), identity);
        for sigma in [-0.5, f64::NAN, f64::INFINITY, 1e300] {
            let refused = AxisMap::gaussian(3, sigma);
            assert!(
                matches!(refused, Err(KernelError::Parameter { .. })),
                "{sigma}"
            );
        }
    }
}
