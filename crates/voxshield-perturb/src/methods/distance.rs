//! Distances in steps between face neighbours, slices at a time.

use std::ops::Range;

use crate::slices::{CaseSlices, parts, slices_at_once};

/// A key of a voxel that is near to nothing.
pub(super) const NONE: u32 = u32::MAX;

/// Replaces every key of `[slices, height, width]` by the smallest of all keys, each larger by `step` for every step from its voxel to
/// this one. Keys stay at [`NONE`] where they would be larger.
pub(super) fn spread(keys: &mut [u32], shape: [usize; 3], step: u32) {
    spread_within(keys, shape, step);
    let slice = shape[1] * shape[2];
    sweep(keys, slice, step, Direction::Forth);
    sweep(keys, slice, step, Direction::Back);
}

/// As [`spread`], within each slice: the number of steps is a sum over axes, so a sweep forth and back along each axis in turn is exact.
fn spread_within(keys: &mut [u32], [_, height, width]: [usize; 3], step: u32) {
    for slice in keys.chunks_exact_mut((height * width).max(1)) {
        for direction in [Direction::Forth, Direction::Back] {
            sweep(slice, width, step, direction);
        }
        for row in slice.chunks_exact_mut(width) {
            for direction in [Direction::Forth, Direction::Back] {
                sweep(row, 1, step, direction);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Forth,
    Back,
}

/// Takes keys over from each block of `block` keys to the next.
fn sweep(keys: &mut [u32], block: usize, step: u32, direction: Direction) {
    let blocks = keys.len() / block.max(1);
    for at in 1..blocks {
        match direction {
            Direction::Forth => {
                let (before, rest) = keys.split_at_mut(at * block);
                take(&mut rest[..block], &before[(at - 1) * block..], step);
            }
            Direction::Back => {
                let (before, rest) = keys.split_at_mut((blocks - at) * block);
                take(
                    &mut before[(blocks - at - 1) * block..],
                    &rest[..block],
                    step,
                );
            }
        }
    }
}

/// Takes keys over from neighbours.
fn take(keys: &mut [u32], from: &[u32], step: u32) {
    for (key, from) in keys.iter_mut().zip(from) {
        *key = (*key).min(from.saturating_add(step));
    }
}

/// [`spread`] over a volume of which slices are read, in the memory of about `2 sqrt(depth)` slices of keys: what the slices behind
/// each part are worth at its end is found in a pass from the last slice to the first.
pub(super) struct Spread<K> {
    /// The keys of voxels before they are spread, by label.
    key: K,
    step: u32,
    at_once: usize,
    /// For each part the first slice behind it, as far as that one and those behind it decide.
    behind: Vec<Vec<u32>>,
    /// The part that is in memory.
    part: Range<usize>,
    keys: Vec<u32>,
}

impl<K: Fn(u16) -> u32> Spread<K> {
    pub(super) fn new(case: &dyn CaseSlices, step: u32, key: K) -> Self {
        let shape = case.shape();
        let balanced = (shape[0] as f64).sqrt().ceil() as usize;
        Self::with_parts(case, step, key, slices_at_once(shape, 0).max(balanced))
    }

    fn with_parts(case: &dyn CaseSlices, step: u32, key: K, at_once: usize) -> Self {
        let [depth, height, width] = case.shape();
        let mut spread = Self {
            key,
            step,
            at_once,
            behind: Vec::new(),
            part: 0..0,
            keys: Vec::new(),
        };
        let mut behind = vec![NONE; height * width];
        for part in parts(depth, at_once).rev() {
            if part.start > 0 {
                let keys = spread.swept_back(case, part, &behind);
                spread.behind.push(behind);
                behind = keys[..height * width].to_vec();
            } else {
                // Nothing is before the first part.
                spread.behind.push(std::mem::take(&mut behind));
            }
        }
        spread.behind.reverse();
        spread
    }

    /// The keys of a slice; each slice is computed again unless it is asked for in order.
    pub(super) fn slice(&mut self, case: &dyn CaseSlices, slice: usize) -> &[u32] {
        let [depth, height, width] = case.shape();
        let area = height * width;
        if slice < self.part.start {
            self.part = 0..0;
        }
        while slice >= self.part.end {
            let next = self.part.end..(self.part.end + self.at_once).min(depth);
            let before = self.keys.len().checked_sub(area).filter(|_| next.start > 0);
            let before = before.map(|last| self.keys.split_off(last));
            let behind = &self.behind[next.start / self.at_once];
            let mut keys = self.swept_back(case, next.clone(), behind);
            if let Some(before) = before {
                take(&mut keys[..area], &before, self.step);
            }
            sweep(&mut keys, area, self.step, Direction::Forth);
            (self.part, self.keys) = (next, keys);
        }
        &self.keys[(slice - self.part.start) * area..][..area]
    }

    /// The keys of a part, as far as it and the slices behind it decide.
    fn swept_back(&self, case: &dyn CaseSlices, part: Range<usize>, behind: &[u32]) -> Vec<u32> {
        let [_, height, width] = case.shape();
        let area = height * width;
        let mut keys: Vec<u32> = (case.labels(part).into_iter()).map(&self.key).collect();
        let shape = [keys.len() / area.max(1), height, width];
        spread_within(&mut keys, shape, self.step);
        let last = keys.len() - area;
        take(&mut keys[last..], behind, self.step);
        sweep(&mut keys, area, self.step, Direction::Back);
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArraySlices;

    #[test]
    fn it_is_the_smallest_sum_of_coordinate_differences() {
        let shape = [4, 5, 6];
        let seeds = [[0usize, 1, 2], [3, 4, 5], [2, 0, 0]];
        let index = |p: [usize; 3]| (p[0] * 5 + p[1]) * 6 + p[2];
        let mut found = vec![NONE; 120];
        for (number, &p) in seeds.iter().enumerate() {
            found[index(p)] = number as u32;
        }
        spread(&mut found, shape, 3);
        for z in 0..4 {
            for y in 0..5 {
                for x in 0..6 {
                    let key = |(number, p): (usize, &[usize; 3])| {
                        let steps = p[0].abs_diff(z) + p[1].abs_diff(y) + p[2].abs_diff(x);
                        3 * steps + number
                    };
                    let nearest = seeds.iter().enumerate().map(key).min().unwrap() as u32;
                    assert_eq!(found[index([z, y, x])], nearest);
                }
            }
        }
        let mut nothing = [NONE; 8];
        spread(&mut nothing, [2; 3], 7);
        assert_eq!(nothing, [NONE; 8]);
    }

    #[test]
    fn parts_are_those_of_the_whole() {
        for shape in [[1, 3, 4], [11, 4, 5], [30, 2, 3]] {
            let voxels: usize = shape.iter().product();
            for seed in 0..20 {
                let place = |i: usize| (i * 31 + seed * 7) % (17 + 3 * seed);
                let labels: Vec<u16> = (0..voxels)
                    .map(|i| if place(i) < 2 { 1 + place(i) as u16 } else { 0 })
                    .collect();
                let case = ArraySlices::new(&[], &labels, shape).unwrap();
                let key = |label: u16| match label {
                    0 => NONE,
                    label => u32::from(label),
                };
                let mut whole: Vec<u32> = labels.iter().map(|&label| key(label)).collect();
                spread(&mut whole, shape, 4);
                let area = shape[1] * shape[2];
                for at_once in [1, 2, 7, 40] {
                    let mut parts = Spread::with_parts(&case, 4, key, at_once);
                    // In order, and then again from the middle.
                    for slice in (0..shape[0]).chain(shape[0] / 2..shape[0]) {
                        let expected = &whole[slice * area..][..area];
                        assert_eq!(parts.slice(&case, slice), expected);
                    }
                }
            }
        }
    }
}
