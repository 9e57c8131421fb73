use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::window::from_middle;
use crate::{TrainingVolume, Window};

/// A window of a case, and what of it is written.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) case: usize,
    pub(super) window: Window,
    /// The part of the window, `[depth, height, width]`, that no other window of the sweep has.
    pub(super) own: [Range<usize>; 3],
}

impl Place {
    /// All of a window.
    pub(super) fn whole(case: usize, window: Window) -> Self {
        let own = window.shape.map(|size| 0..size);
        Self { case, window, own }
    }

    /// Its own part.
    pub(super) fn part(&self) -> Window {
        Window {
            start: [0, 1, 2].map(|axis| self.window.start[axis] + self.own[axis].start as i64),
            shape: [0, 1, 2].map(|axis| self.own[axis].len()),
            ..self.window
        }
    }

    /// The values of its own part out of those of a window `[channel, depth, height, width]`.
    pub(super) fn cut<T: Copy>(&self, values: &[T]) -> Vec<T> {
        let [_, height, width] = self.window.shape;
        let [z, y, x] = self.own.clone();
        values
            .chunks(self.window.voxels().max(1))
            .flat_map(|channel| z.clone().map(move |z| (channel, z)))
            .flat_map(|(channel, z)| y.clone().map(move |y| (channel, z * height + y)))
            .flat_map(|(channel, row)| &channel[row * width + x.start..row * width + x.end])
            .copied()
            .collect()
    }
}

/// Windows of `shape` that cover the support of a case, in C order, each with a part of its own.
///
/// They start at multiples of the network's `stride`, counted from the middle of the volume: what a network with strides makes of
/// a patch is tied to that grid, and cases of different sizes, padded or cropped about their middle, then have it at the same place. A window sticks out of the
/// volume by less than a stride; a volume shorter than a window is centred in it. The seed moves the windows, and with them the
/// seams where the support is longer than one.
pub(super) fn covering(
    case: usize,
    volume: &TrainingVolume,
    shape: [usize; 3],
    stride: [usize; 3],
    seed: u64,
) -> Vec<Place> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let Some(support) = bounds(volume) else {
        return Vec::new();
    };
    let [depths, heights, widths] = [0, 1, 2].map(|axis| {
        let sizes = [volume.shape[axis], shape[axis], stride[axis]].map(|n| n as i64);
        spans(sizes, support[axis].clone(), &mut rng)
    });
    let mut places = Vec::new();
    for (z, depth) in &depths {
        for (y, height) in &heights {
            for (x, width) in &widths {
                let place = Place {
                    case,
                    window: Window {
                        volume: volume.shape,
                        start: [*z, *y, *x],
                        shape,
                    },
                    own: [depth.clone(), height.clone(), width.clone()],
                };
                let has_support = place.part().runs().any(|run| {
                    let support = &volume.support[run.volume..run.volume + run.length];
                    support.iter().any(|&share| share > 0.0)
                });
                if has_support {
                    places.push(place);
                }
            }
        }
    }
    places
}

/// The starts of windows along an axis of the volume, and what of each is its own; together that is `wanted`.
fn spans(
    [length, size, stride]: [i64; 3],
    wanted: Range<i64>,
    rng: &mut ChaCha8Rng,
) -> Vec<(i64, Range<usize>)> {
    let slack = length - size;
    let within = |start: i64, own: Range<i64>| {
        let own = (own.start - start) as usize..(own.end - start) as usize;
        (start, own)
    };
    if slack <= 0 {
        return vec![within(slack / 2, wanted)];
    }
    let down = |at: i64| at - from_middle(at, length as usize).rem_euclid(stride);
    let last = down(slack + stride - 1);
    // What the windows can be moved by without one more, and with the first still at the support.
    let reach = wanted.end - wanted.start + stride - 1;
    let count = (reach - 1).div_euclid(size) + 1;
    let room = (count * size - reach).min(size - stride);
    let first = down(wanted.start - rng.random_range(0..=room.max(0))).clamp(down(0), last);
    let mut starts = vec![first];
    while let Some(&start) = starts.last()
        && start + size < wanted.end
    {
        starts.push((start + size).min(last));
    }
    // In the middle of what two windows have in common.
    let middle = |pair: &[i64]| (pair[0] + size + pair[1]) / 2;
    let ends: Vec<i64> = starts
        .windows(2)
        .map(|pair| middle(pair).clamp(wanted.start, wanted.end))
        .chain([wanted.end])
        .collect();
    let mut from = wanted.start;
    starts
        .into_iter()
        .zip(ends)
        .map(|(start, end)| within(start, std::mem::replace(&mut from, end)..end))
        .collect()
}

/// The smallest box with all of the support.
fn bounds(volume: &TrainingVolume) -> Option<[Range<i64>; 3]> {
    let [_, height, width] = volume.shape;
    let mut found: Option<[Range<i64>; 3]> = None;
    for (voxel, &share) in volume.support.iter().enumerate() {
        if share > 0.0 {
            let at = [
                voxel / (height * width),
                voxel / width % height,
                voxel % width,
            ];
            let at = at.map(|i| i as i64);
            let found = found.get_or_insert_with(|| at.map(|i| i..i + 1));
            for (range, i) in found.iter_mut().zip(at) {
                *range = range.start.min(i)..range.end.max(i + 1);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(shape: [usize; 3], supported: impl Fn([usize; 3]) -> bool) -> TrainingVolume {
        let voxels: usize = shape.iter().product();
        let at = |i: usize| {
            [
                i / (shape[1] * shape[2]),
                i / shape[2] % shape[1],
                i % shape[2],
            ]
        };
        TrainingVolume {
            image: vec![0.5; voxels],
            labels: vec![0; voxels],
            support: (0..voxels)
                .map(|i| if supported(at(i)) { 0.3 } else { 0.0 })
                .collect(),
            channels: 1,
            shape,
        }
    }

    #[test]
    fn every_voxel_of_the_support_is_written_once_at_every_seed() {
        let mut places = std::collections::BTreeSet::new();
        for shape in [[7, 20, 13], [8, 8, 8], [9, 33, 12]] {
            let volume = volume(shape, |[z, y, x]| {
                !(9..=15).contains(&y) && x > 4 && (z + y) % 3 > 0
            });
            for seed in 0..40 {
                let mut written = vec![0; volume.support.len()];
                for place in covering(0, &volume, [8, 8, 4], [4, 4, 2], seed) {
                    places.insert(place.window.start);
                    for axis in 0..3 {
                        let (start, stride) = (place.window.start[axis], [4, 4, 2][axis]);
                        let slack = shape[axis] as i64 - [8, 8, 4][axis];
                        if slack > 0 {
                            let middle = shape[axis].div_ceil(2) as i64;
                            assert_eq!((start - middle).rem_euclid(stride), 0);
                            assert!((1 - stride..slack + stride).contains(&start));
                        } else {
                            assert_eq!(start, slack / 2);
                        }
                    }
                    for run in place.part().runs() {
                        (run.volume..run.volume + run.length).for_each(|i| written[i] += 1);
                    }
                }
                for (i, (&times, &share)) in written.iter().zip(&volume.support).enumerate() {
                    assert!(
                        times <= 1 && (times == 1 || share == 0.0),
                        "{shape:?} {seed} {i}"
                    );
                }
            }
        }
        assert!(places.len() > 20, "seams move: {}", places.len());
        let empty = volume([7, 20, 13], |_| false);
        assert!(covering(0, &empty, [8, 8, 4], [4, 4, 2], 1).is_empty());
    }

    #[test]
    fn a_part_is_cut_out_of_every_channel() {
        let place = Place {
            case: 0,
            window: Window::whole([2, 3, 4]),
            own: [1..2, 0..2, 1..3],
        };
        let values: Vec<usize> = (0..48).collect();
        assert_eq!(place.cut(&values), [13, 14, 17, 18, 37, 38, 41, 42]);
        assert_eq!(place.part().start, [1, 0, 1]);
        assert_eq!(
            Place::whole(0, Window::whole([2, 3, 4])).cut(&values),
            values
        );
    }
}
