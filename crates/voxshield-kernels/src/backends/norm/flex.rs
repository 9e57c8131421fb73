use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use crate::backends::lanes::{BLOCK, all_f32, contiguous, sums, tensor};
use crate::ops::{NormOps, norm::composition};

// A task is one map, the voxels of one sample and channel: its second pass finds in the cache what
// the first has read, and its sums do not depend on the number of threads.
impl NormOps for Flex {
    fn instance_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
        slope: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if !all_f32(&[&x, &weight, &bias]) {
            return composition::instance_norm_act::<Self>(x, weight, bias, epsilon, slope);
        }
        let [mut x, weight, bias] = [x, weight, bias].map(contiguous);
        let shape = x.shape();
        let (batch, channels) = (shape[0], shape[1]);
        let voxels = shape[2] * shape[3] * shape[4];
        let (weight, bias): (&[f32], &[f32]) = (weight.storage(), bias.storage());
        let arch = Arch::new();

        let mut statistics = vec![0f32; 2 * batch * channels];
        let (means, deviations) = statistics.split_at_mut(batch * channels);
        let statistics_of = |index: usize, x: &[f32], mean: &mut f32, r: &mut f32| {
            (*mean, *r) = arch.dispatch(Statistics { x, epsilon });
            Map {
                mean: *mean,
                r: *r,
                weight: weight[index % channels],
                bias: bias[index % channels],
                slope: slope as f32,
            }
        };
        let maps = means.par_iter_mut().zip(deviations).enumerate();
        // Fresh memory costs more than the arithmetic; where nobody else holds `x`, as in
        // inference, none is needed.
        let y = if let Some(data) = x.try_storage_mut::<f32>() {
            maps.zip(data.par_chunks_mut(voxels))
                .for_each(|((index, (mean, r)), x)| {
                    let map = statistics_of(index, x, mean, r);
                    arch.dispatch(InPlace { map, x });
                });
            x
        } else {
            let data: &[f32] = x.storage();
            let mut y = vec![0f32; data.len()];
            maps.zip(data.par_chunks(voxels).zip(y.par_chunks_mut(voxels)))
                .for_each(|((index, (mean, r)), (x, y))| {
                    let map = statistics_of(index, x, mean, r);
                    arch.dispatch(Output { map, x, y });
                });
            tensor(y, shape)
        };
        (y, tensor(statistics, [2, batch, channels]))
    }

    fn instance_norm_act_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        slope: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !all_f32(&[&x, &weight, &bias, &statistics, &gradient]) {
            return composition::instance_norm_act_backward::<Self>(
                x, weight, bias, statistics, gradient, slope,
            );
        }
        let [x, weight, bias, statistics] = [x, weight, bias, statistics].map(contiguous);
        let shape = x.shape();
        let (batch, channels) = (shape[0], shape[1]);
        let voxels = shape[2] * shape[3] * shape[4];
        let data: &[f32] = x.storage();
        let (weight, bias): (&[f32], &[f32]) = (weight.storage(), bias.storage());
        let (means, deviations) = statistics.storage::<f32>().split_at(batch * channels);
        let arch = Arch::new();

        // The result takes the place of the incoming gradient, which is nobody else's as a rule.
        let mut gradient = contiguous(gradient);
        let per_map: Vec<[f64; 2]> = gradient
            .storage_mut::<f32>()
            .par_chunks_mut(voxels)
            .zip(data.par_chunks(voxels))
            .enumerate()
            .map(|(index, (gradient, x))| {
                let map = Map {
                    mean: means[index],
                    r: deviations[index],
                    weight: weight[index % channels],
                    bias: bias[index % channels],
                    slope: slope as f32,
                };
                arch.dispatch(Backward { map, x, gradient })
            })
            .collect();
        let over_batch = |which: usize| {
            let sum = |channel| -> f64 {
                let maps = per_map.iter().skip(channel).step_by(channels);
                maps.map(|sums| sums[which]).sum()
            };
            let sums = (0..channels).map(|channel| sum(channel) as f32);
            tensor(sums.collect(), [channels])
        };
        (gradient, over_batch(1), over_batch(0))
    }
}

/// Mean and `1 / sqrt(var + epsilon)` of `x`, in one pass: each block while it is in the cache,
/// about its own mean, then joined to the blocks before it (Chan, Golub and LeVeque 1983). Neither
/// a mean far from zero nor a long map costs digits.
#[inline(always)]
fn mean_and_deviation(x: &[f32], epsilon: f64) -> (f32, f32) {
    let (mut count, mut mean, mut squares) = (0f64, 0f64, 0f64);
    for block in x.chunks(BLOCK) {
        let size = block.len() as f64;
        let [sum] = sums(block, block, |v, _| [v]);
        // Rounded, which the sum of the distances from it makes good.
        let centre = (sum / size) as f32;
        let [distance, own] = sums(block, block, |v, _| {
            let d = v - centre;
            [d, d * d]
        });
        let own_mean = f64::from(centre) + distance / size;
        // Rounding can leave a little less than nothing; written so, a NaN passes.
        let own_squares = own - distance * distance / size;
        let own_squares = if own_squares < 0.0 { 0.0 } else { own_squares };

        let step = own_mean - mean;
        let total = count + size;
        mean += step * (size / total);
        squares += own_squares + step * step * (count * size / total);
        count = total;
    }
    let variance = squares / count;
    (mean as f32, (1.0 / (variance + epsilon).sqrt()) as f32)
}

// See `lanes` for why these are types.
struct Statistics<'a> {
    x: &'a [f32],
    epsilon: f64,
}

impl NullaryFnOnce for Statistics<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn call(self) -> (f32, f32) {
        mean_and_deviation(self.x, self.epsilon)
    }
}

struct InPlace<'a> {
    map: Map,
    x: &'a mut [f32],
}

impl NullaryFnOnce for InPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for x in self.x {
            *x = self.map.output(*x);
        }
    }
}

struct Output<'a> {
    map: Map,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl NullaryFnOnce for Output<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (x, y) in self.x.iter().zip(self.y) {
            *y = self.map.output(*x);
        }
    }
}

struct Backward<'a> {
    map: Map,
    x: &'a [f32],
    gradient: &'a mut [f32],
}

impl NullaryFnOnce for Backward<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn call(self) -> [f64; 2] {
        self.map.backward(self.x, self.gradient)
    }
}

/// What there is to know about one map.
struct Map {
    mean: f32,
    /// `1 / sqrt(var + epsilon)`.
    r: f32,
    weight: f32,
    bias: f32,
    slope: f32,
}

impl Map {
    #[inline(always)]
    fn normalised(&self, x: f32) -> f32 {
        (x - self.mean) * self.r
    }

    /// `value` times the activation's derivative where the normalised value is `h`; with `value`
    /// the activation's argument, the activation itself.
    #[inline(always)]
    fn activated(&self, h: f32, value: f32) -> f32 {
        if h * self.weight + self.bias > 0.0 {
            value
        } else {
            self.slope * value
        }
    }

    #[inline(always)]
    fn output(&self, x: f32) -> f32 {
        let h = self.normalised(x);
        self.activated(h, h * self.weight + self.bias)
    }

    /// Replaces `gradient` by that of `x`; the sums of `g` and of `g h`.
    #[inline(always)]
    fn backward(&self, x: &[f32], gradient: &mut [f32]) -> [f64; 2] {
        let sums = sums(x, gradient, |x, gradient| {
            let h = self.normalised(x);
            let g = self.activated(h, gradient);
            [g, g * h]
        });
        let [g_mean, gh_mean] = sums.map(|sum| (sum / x.len() as f64) as f32);
        let scale = self.weight * self.r;
        for (x, gradient) in x.iter().zip(gradient) {
            let h = self.normalised(*x);
            let g = self.activated(h, *gradient);
            *gradient = scale * ((g - g_mean) - h * gh_mean);
        }
        sums
    }
}
