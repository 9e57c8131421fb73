use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::networks::limits::not_zero;
use crate::{ModelError, Segmenter};

/// How the predictions of overlapping windows are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blend {
    /// All alike.
    Constant,
    /// By a Gaussian around the window's centre, `exp(-d^2 / (2 s^2))` per axis with
    /// `s = sigma_scale * size`, at least the larger of its smallest value and 1e-3.
    Gaussian {
        /// nnU-Net and MONAI use 1/8.
        sigma_scale: f64,
    },
}

/// Inference on a volume that is larger than a network's patch: overlapping windows, blended.
///
/// The same windows and weights as MONAI's `sliding_window_inference`. A volume smaller than the
/// window is padded with zeros, half on each side; a volume of the window's size gets one plain
/// forward pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlidingWindow {
    /// The window `[depth, height, width]` in voxels, usually the patch of the training.
    pub size: [usize; 3],
    /// The share of a window that the next one covers again, `0.0..1.0`.
    pub overlap: f64,
    /// The weights.
    pub blend: Blend,
    /// Windows in one forward pass.
    pub batch: usize,
}

impl SlidingWindow {
    /// nnU-Net's setting: half a window of overlap, Gaussian weights with `sigma_scale` 1/8.
    pub fn new(size: [usize; 3]) -> Self {
        Self {
            size,
            overlap: 0.5,
            blend: Blend::Gaussian { sigma_scale: 0.125 },
            batch: 1,
        }
    }

    /// The logits `[class, depth, height, width]` of a volume `[channel, depth, height, width]`.
    ///
    /// Both are host arrays in C order: the device holds one batch of windows at a time.
    ///
    /// # Errors
    ///
    /// [`ModelError::OutOfRange`] or [`ModelError::Zero`] for a setting that makes no sense or an
    /// empty volume, [`ModelError::ImageLength`] if `image` does not have the length of its shape, and what
    /// [`Segmenter::check_input`] says of a batch of windows.
    pub fn run(
        &self,
        network: &dyn Segmenter,
        image: &[f32],
        shape: [usize; 3],
        device: &Device,
    ) -> Result<Vec<f32>, ModelError> {
        self.validate()?;
        not_zero("sliding window: shape", &shape)?;
        let channels = network.in_channels();
        let [depth, height, width] = self.size;
        network.check_input(&[1, channels, depth, height, width])?;
        let expected = channels * shape.iter().product::<usize>();
        if image.len() != expected {
            return Err(ModelError::ImageLength {
                expected,
                found: image.len(),
            });
        }
        let weights = self.weights();
        let padded: [usize; 3] = std::array::from_fn(|axis| shape[axis].max(self.size[axis]));
        // Where the volume lies in its padded self.
        let margin = std::array::from_fn(|axis| (padded[axis] - shape[axis]) / 2);
        let voxels: usize = shape.iter().product();
        let mut sum = vec![0.0f32; network.classes() * voxels];
        let mut total = vec![0.0f32; voxels];
        let windows = self.windows(padded);
        let ones = vec![1.0; weights.len()];
        for group in windows.chunks(self.batch) {
            let input: Vec<f32> = group
                .iter()
                .flat_map(|&start| Rows::new(shape, margin, start, self.size).cut(image, channels))
                .collect();
            let dims = [group.len(), channels, depth, height, width];
            let input = Tensor::<5>::from_data(TensorData::new(input, dims), device);
            let logits: Vec<f32> = network.forward(input).into_data().iter::<f32>().collect();
            let each = logits.len() / group.len();
            for (&start, logits) in group.iter().zip(logits.chunks(each)) {
                let rows = Rows::new(shape, margin, start, self.size);
                rows.add(logits, &weights, &mut sum);
                rows.add(&ones, &weights, &mut total);
            }
        }
        for class in sum.chunks_mut(voxels) {
            class.iter_mut().zip(&total).for_each(|(s, t)| *s /= t);
        }
        Ok(sum)
    }

    /// The weight of each voxel of a window, `[depth, height, width]`.
    pub fn weights(&self) -> Vec<f32> {
        let Blend::Gaussian { sigma_scale } = self.blend else {
            return vec![1.0; self.size.iter().product()];
        };
        let [z, y, x] = self.size.map(|size| {
            let sigma = sigma_scale * size as f64;
            let centre = (size as f64 - 1.0) / 2.0;
            let value = |i: usize| {
                let distance = i as f64 - centre;
                (-distance * distance / (2.0 * sigma * sigma)).exp() as f32
            };
            (0..size).map(value).collect::<Vec<f32>>()
        });
        let mut map = Vec::with_capacity(z.len() * y.len() * x.len());
        for z in &z {
            for y in &y {
                map.extend(x.iter().map(|x| z * y * x));
            }
        }
        let smallest = map.iter().copied().fold(f32::INFINITY, f32::min);
        let least = smallest.max(1e-3);
        map.iter_mut().for_each(|w| *w = w.max(least));
        map
    }

    /// The first voxels `[depth, height, width]` of all windows over a volume of `sizes`, none of
    /// them smaller than the window.
    pub fn windows(&self, sizes: [usize; 3]) -> Vec<[usize; 3]> {
        let [z, y, x]: [Vec<usize>; 3] = std::array::from_fn(|axis| {
            let (size, window) = (sizes[axis], self.size[axis]);
            let last = size.saturating_sub(window);
            let interval = ((window as f64 * (1.0 - self.overlap)) as usize).max(1);
            let count = last.div_ceil(interval) + 1;
            (0..count).map(|i| (i * interval).min(last)).collect()
        });
        let mut starts = Vec::with_capacity(z.len() * y.len() * x.len());
        for &z in &z {
            for &y in &y {
                starts.extend(x.iter().map(|&x| [z, y, x]));
            }
        }
        starts
    }

    fn validate(&self) -> Result<(), ModelError> {
        not_zero("sliding window: batch", &[self.batch])?;
        not_zero("sliding window: size", &self.size)?;
        let refuse = |what, expected, found| {
            Err(ModelError::OutOfRange {
                what,
                expected,
                found,
            })
        };
        if !(0.0..1.0).contains(&self.overlap) {
            let expected = "at least 0 and below 1";
            return refuse("sliding window: overlap", expected, self.overlap);
        }
        match self.blend {
            Blend::Gaussian { sigma_scale } if !(sigma_scale > 0.0 && sigma_scale.is_finite()) => {
                let expected = "a positive number";
                refuse("sliding window: sigma_scale", expected, sigma_scale)
            }
            _ => Ok(()),
        }
    }
}

/// The rows of a window that lie in the volume.
struct Rows {
    /// Of the volume.
    shape: [usize; 3],
    /// Of the window.
    size: [usize; 3],
    /// Per axis: the part of the window inside the volume, and where that begins in the volume.
    from: [usize; 3],
    length: [usize; 3],
    at: [usize; 3],
}

impl Rows {
    fn new(shape: [usize; 3], margin: [usize; 3], start: [usize; 3], size: [usize; 3]) -> Self {
        let from = std::array::from_fn(|axis| margin[axis].saturating_sub(start[axis]));
        let at: [usize; 3] = std::array::from_fn(|axis| start[axis].saturating_sub(margin[axis]));
        let length =
            std::array::from_fn(|axis| (size[axis] - from[axis]).min(shape[axis] - at[axis]));
        Self {
            shape,
            size,
            from,
            length,
            at,
        }
    }

    /// Offsets of each row in an array of the window and in one of the volume.
    fn offsets(&self) -> impl Iterator<Item = (usize, usize)> {
        let row = |shape: [usize; 3], [z, y, x]: [usize; 3]| (z * shape[1] + y) * shape[2] + x;
        (0..self.length[0]).flat_map(move |z| {
            (0..self.length[1]).map(move |y| {
                let [z0, y0, x0] = self.from;
                let [z1, y1, x1] = self.at;
                (
                    row(self.size, [z0 + z, y0 + y, x0]),
                    row(self.shape, [z1 + z, y1 + y, x1]),
                )
            })
        })
    }

    /// The window `[channel, depth, height, width]`, 0 outside the volume.
    fn cut(&self, image: &[f32], channels: usize) -> Vec<f32> {
        let window: usize = self.size.iter().product();
        let voxels: usize = self.shape.iter().product();
        let mut out = vec![0.0; channels * window];
        for (out, image) in out.chunks_mut(window).zip(image.chunks(voxels)) {
            for (to, from) in self.offsets() {
                let n = self.length[2];
                out[to..to + n].copy_from_slice(&image[from..from + n]);
            }
        }
        out
    }

    /// Adds `weights * values`, for every channel of `values`, to the volume.
    fn add(&self, values: &[f32], weights: &[f32], volume: &mut [f32]) {
        let voxels: usize = self.shape.iter().product();
        let channels = values.chunks(weights.len()).zip(volume.chunks_mut(voxels));
        for (values, volume) in channels {
            for (from, to) in self.offsets() {
                let n = self.length[2];
                let weighted = values[from..from + n].iter().zip(&weights[from..from + n]);
                let sums = volume[to..to + n].iter_mut().zip(weighted);
                sums.for_each(|(sum, (value, weight))| *sum += value * weight);
            }
        }
    }
}
