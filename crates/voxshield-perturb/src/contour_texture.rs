use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};
use voxshield_kernels::cast;
use voxshield_models::{
    ContourUnet, ContourUnetConfig, ModelError, NamedParameters, NoiseGeneratorConfig, Precision,
    ResidualUnet, Segmenter,
};

use crate::PerturbError;
use crate::morphology::{contour, repeated};

/// Half the width of the contour, in voxels.
const WIDTH: usize = 3;

/// The two generators of UMed (arXiv 2403.14250) in 3D.
///
/// With `C` the voxels within 3 of the border of the labelled region (dilation minus erosion) and `I` the labelled voxels that are not
/// in `C`:
/// - contour: `delta_c = epsilon tanh(G_c(x)) C`, with a [`ContourUnet`];
/// - texture: `delta_t = clamp(epsilon tanh(G_t(x)), -b, b)`, `b = epsilon lbp(x) I`, with a [`ResidualUnet`];
/// - `delta = delta_c + delta_t`, which is within epsilon because `C` and `I` have no voxel in common.
///
/// `lbp(v)` is the share of the 6 neighbours that are not brighter than voxel `v` of the mean over the channels, the border repeated:
/// a budget by texture. The original has a pattern of 8 neighbours in 2D; this one, and the width of the contour, are those of the 3D
/// re-implementation whose numbers VoxShield's paper reports. `C` is made within the patch or the tile, outside of which everything
/// counts as labelled for the erosion and as background for the dilation.
///
/// The outer half of `C` is outside of the labels: the support `roi` takes it away, `soft-roi`, `contour` and `body` keep it.
#[derive(Module, Debug)]
pub struct ContourTexture {
    contour: ContourUnet,
    texture: ResidualUnet,
    epsilon: f64,
    #[module(skip)]
    precision: Precision,
}

impl ContourTexture {
    /// Both generators on `device`, with weights drawn from `seed` and `seed + 1`; the contour's has as many channels a level as the
    /// body of `config`, which is the texture's. A band limit of `config` is left out.
    ///
    /// # Errors
    /// [`PerturbError::Model`] for a structure that does not exist.
    pub fn new(
        config: &NoiseGeneratorConfig,
        precision: Precision,
        seed: u64,
        device: &Device,
    ) -> Result<Self, PerturbError> {
        config.validate()?;
        let contour = ContourUnetConfig {
            image_channels: config.unet.in_channels,
            channels: config.unet.channels.clone(),
        };
        Ok(Self {
            contour: contour.init(seed, device)?,
            texture: config.unet.init(seed.wrapping_add(1), device)?,
            epsilon: config.epsilon,
            precision,
        })
    }

    /// As [`Generator::forward`](crate::Generator::forward).
    pub fn forward(&self, image: Tensor<5>, foreground: Tensor<5>) -> Tensor<5> {
        let bounded = |raw: Tensor<5>| cast(raw, FloatDType::F32).tanh() * self.epsilon;
        let input = cast(image.clone(), self.precision.dtype());
        let border = contour(foreground.clone(), WIDTH);
        let interior = foreground * (1.0 - border.clone());
        let bound: Tensor<5> = local_binary_pattern(image) * interior * self.epsilon;
        let texture = bounded(self.texture.forward(input.clone()));
        let texture = texture.min_pair(bound.clone()).max_pair(bound.neg());
        bounded(self.contour.forward(input)) * border + texture
    }

    /// As [`Generator::size_multiple`](crate::Generator::size_multiple).
    pub fn size_multiple(&self) -> [usize; 3] {
        let contour = self.contour.size_multiple();
        self.texture.size_multiple().map(|size| size.max(contour))
    }

    /// As [`Generator::check_input`](crate::Generator::check_input).
    ///
    /// # Errors
    /// As [`Segmenter::check_input`].
    pub fn check_input(&self, shape: &[usize; 5]) -> Result<(), ModelError> {
        self.texture.check_input(shape)
    }
}

impl NamedParameters for ContourTexture {
    fn parameter_name(&self, path: &[String]) -> String {
        match path {
            [part, rest @ ..] if part == "texture" => {
                format!("texture.{}", self.texture.parameter_name(rest))
            }
            other => other.join("."),
        }
    }
}

/// The share of the 6 neighbours of each voxel that are not brighter, of the mean over the channels; the border is repeated.
///
/// # Shapes
/// `[batch, channel, depth, height, width]` to `[batch, 1, depth, height, width]`.
fn local_binary_pattern(image: Tensor<5>) -> Tensor<5> {
    let mean = image.mean_dim(1);
    let count = (2..5)
        .flat_map(|dim| [true, false].map(|forwards| (dim, forwards)))
        .map(|(dim, forwards)| {
            let neighbour = repeated(mean.clone(), dim, forwards);
            mean.clone().greater_equal(neighbour).float()
        })
        .reduce(|sum, one| sum + one);
    // There are six of them.
    count.unwrap_or_else(|| mean.zeros_like()) / 6.0
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use voxshield_testkit::device;

    use super::*;

    #[test]
    fn the_pattern_counts_darker_and_equal_neighbours() {
        let sizes = [3usize, 4, 2];
        let image: Vec<f32> = (0..2 * 24).map(|i| ((i * 7) % 5) as f32).collect();
        let mean: Vec<f32> = (0..24).map(|i| (image[i] + image[24 + i]) / 2.0).collect();
        let tensor = TensorData::new(image, [1, 2, 3, 4, 2]);
        let found = local_binary_pattern(Tensor::from_data(tensor, &device()));
        for (index, found) in found.into_data().iter::<f32>().enumerate() {
            let at = [index / 8, index / 2 % 4, index % 2];
            let mut count = 0;
            for axis in 0..3 {
                for by in [-1i64, 1] {
                    let mut other = at;
                    let last = sizes[axis] as i64 - 1;
                    other[axis] = (at[axis] as i64 + by).clamp(0, last) as usize;
                    let other = (other[0] * 4 + other[1]) * 2 + other[2];
                    count += i32::from(mean[index] >= mean[other]);
                }
            }
            assert!(
                (found - count as f32 / 6.0).abs() < 1e-6,
                "{index}: {found} {count}"
            );
        }
    }

    #[test]
    fn the_contour_may_use_all_of_epsilon_and_the_inside_what_its_texture_allows() {
        let epsilon = 0.1;
        let config = NoiseGeneratorConfig::new(1, epsilon);
        let generator = ContourTexture::new(&config, Precision::F32, 3, &device()).unwrap();
        let n = 24usize;
        let inside = |i: usize| {
            [i / (n * n), i / n % n, i % n]
                .iter()
                .all(|c| (4..20).contains(c))
        };
        let mask: Vec<f32> = (0..n * n * n)
            .map(|i| f32::from(u8::from(inside(i))))
            .collect();
        let image: Vec<f32> = (0..n * n * n)
            .map(|i| ((i * 31) % 97) as f32 / 97.0)
            .collect();
        let tensor = |values: Vec<f32>| {
            Tensor::<5>::from_data(TensorData::new(values, [1, 1, n, n, n]), &device())
        };
        let values = |t: Tensor<5>| t.into_data().iter::<f32>().collect::<Vec<_>>();
        let (image, mask) = (tensor(image), tensor(mask));
        let border = values(contour(mask.clone(), WIDTH));
        let pattern = values(local_binary_pattern(image.clone()));
        let delta = values(generator.forward(image.clone(), mask.clone()));
        let (mut on, mut within) = (0, 0);
        for index in 0..n * n * n {
            let d = delta[index].abs();
            let bound = match (border[index] > 0.0, inside(index)) {
                (true, _) => 1.0,
                (false, true) => pattern[index],
                (false, false) => 0.0,
            };
            assert!(d <= epsilon as f32 * bound + 1e-7, "{index}: {d}, {bound}");
            on += usize::from(border[index] > 0.0 && d > 0.0);
            within += usize::from(border[index] == 0.0 && d > 0.0);
        }
        assert!(on > 5000 && within > 500, "{on} {within}");
        let empty = values(generator.forward(image, mask.zeros_like()));
        assert!(empty.iter().all(|&d| d == 0.0));
    }
}
