use std::borrow::Cow;

use super::PipelineError;
use crate::eval::metrics;

/// The axis length from which SSIM looks at windows along it, and the length of these.
const WINDOW: usize = 11;

/// PSNR and SSIM of a volume that comes slab by slab, in order.
pub(super) struct SlabQuality {
    channels: usize,
    /// `[depth, height, width]` of the volume.
    shape: [usize; 3],
    /// Slices that windows of later ones reach: clean and protected, for each channel.
    kept: Vec<[Vec<f32>; 2]>,
    /// Mean square difference, and similarity, each with the number of slices that it is the mean of.
    errors: Vec<(f64, usize)>,
    similarities: Vec<(f64, usize)>,
}

impl SlabQuality {
    pub(super) fn new(channels: usize, shape: [usize; 3]) -> Self {
        Self {
            channels,
            shape,
            kept: vec![[Vec::new(), Vec::new()]; channels],
            errors: Vec::new(),
            similarities: Vec::new(),
        }
    }

    /// Adds slices, `[channel, slices, height, width]`, normalised.
    pub(super) fn add(&mut self, clean: &[f32], protected: &[f32]) -> Result<(), PipelineError> {
        let slice = (self.shape[1] * self.shape[2]).max(1);
        let size = (clean.len() / self.channels.max(1)).max(1);
        let psnr = metrics::psnr(clean, protected)?;
        self.errors.push((psnr, size / slice));
        let new = clean.chunks(size).zip(protected.chunks(size));
        for (kept, (a, b)) in self.kept.iter_mut().zip(new) {
            kept[0].extend(a);
            kept[1].extend(b);
        }
        let slices = self.kept.first().map_or(0, |kept| kept[0].len() / slice);
        let reach = match self.shape[0] < WINDOW {
            true => 0,
            false => WINDOW - 1,
        };
        if slices <= reach {
            return Ok(());
        }
        let join = |which: usize| match &self.kept[..] {
            [kept] => Cow::Borrowed(&kept[which]),
            all => Cow::Owned(all.iter().flat_map(|kept| &kept[which]).copied().collect()),
        };
        let shape = [slices, self.shape[1], self.shape[2]];
        let ssim = metrics::ssim(&join(0), &join(1), shape)?;
        self.similarities.push((ssim, slices - reach));
        for values in self.kept.iter_mut().flatten() {
            values.drain(..(slices - reach) * slice);
        }
        Ok(())
    }

    /// PSNR in dB and SSIM of the whole.
    pub(super) fn finish(self) -> (f64, f64) {
        let psnr = match self.errors[..] {
            [(psnr, _)] => psnr,
            _ => {
                let errors = self.errors.iter();
                let errors = errors.map(|&(psnr, slices)| (10f64.powf(-psnr / 10.0), slices));
                -10.0 * mean(errors).log10()
            }
        };
        let ssim = match self.similarities[..] {
            [(ssim, _)] => ssim,
            _ => mean(self.similarities.iter().copied()),
        };
        (psnr, ssim)
    }
}

fn mean(parts: impl Iterator<Item = (f64, usize)>) -> f64 {
    let (sum, slices) = parts.fold((0.0, 0), |(sum, all), (value, slices)| {
        (sum + value * slices as f64, all + slices)
    });
    sum / slices as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_add_up_to_the_volume() {
        for depth in [1, 7, 10, 11, 12, 40] {
            let (channels, shape) = (2, [depth, 13, 12]);
            let voxels: usize = shape.iter().product();
            let clean: Vec<f32> = (0..channels * voxels)
                .map(|i| (i * 37 % 101) as f32 / 100.0)
                .collect();
            let protected: Vec<f32> = clean
                .iter()
                .enumerate()
                .map(|(i, v)| (v + (i * i % 7) as f32 * 0.01).min(1.0))
                .collect();
            let psnr = metrics::psnr(&clean, &protected).unwrap();
            let ssim = metrics::ssim(&clean, &protected, shape).unwrap();
            for step in [1, 3, 11, depth] {
                let mut quality = SlabQuality::new(channels, shape);
                for first in (0..depth).step_by(step) {
                    let part = first * 156..(first + step).min(depth) * 156;
                    let slab = |all: &[f32]| -> Vec<f32> {
                        let channels = all.chunks(voxels);
                        channels
                            .flat_map(|channel| channel[part.clone()].to_vec())
                            .collect()
                    };
                    quality.add(&slab(&clean), &slab(&protected)).unwrap();
                }
                let found = quality.finish();
                if step == depth {
                    assert_eq!(found, (psnr, ssim));
                }
                assert!(
                    (found.0 - psnr).abs() < 1e-9 && (found.1 - ssim).abs() < 1e-12,
                    "{depth} {step} {found:?} {psnr} {ssim}"
                );
            }
        }
    }
}
