use std::ops::Range;

/// A voxel of an axis, counted from the middle of its `length`: patterns that are counted so agree in cases that are padded or cropped
/// about their middle.
pub(crate) fn from_middle(at: i64, length: usize) -> i64 {
    at - length.div_ceil(2) as i64
}

/// A box of voxels of a volume; it may stick out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Sizes of the volume, `[depth, height, width]`.
    pub volume: [usize; 3],
    /// Where the box begins, `[depth, height, width]`; negative before the volume.
    pub start: [i64; 3],
    /// Sizes of the box, `[depth, height, width]`.
    pub shape: [usize; 3],
}

/// Voxels that lie behind one another in a volume and in a window of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first one in the volume `[depth, height, width]`.
    pub volume: usize,
    /// The first one in the window `[depth, height, width]`.
    pub window: usize,
    /// How many.
    pub length: usize,
}

impl Window {
    /// All of a volume.
    pub fn whole(volume: [usize; 3]) -> Self {
        Self {
            volume,
            start: [0; 3],
            shape: volume,
        }
    }

    /// Voxels of the box, those outside the volume included.
    pub fn voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// The part of the box that is in the volume, in C order; a whole volume is one run.
    pub fn runs(self) -> impl Iterator<Item = Run> {
        let [depth, height, width] = std::array::from_fn(|axis| self.inside(axis));
        // Rows as wide as both, and planes as high, go on in the next one.
        let merged = |axis: usize| self.start[axis] == 0 && self.shape[axis] == self.volume[axis];
        let (rows, planes) = (merged(2), merged(2) && merged(1));
        let step = |range: &Range<usize>, merge: bool| match merge {
            true => range.len().max(1),
            false => 1,
        };
        let (by_plane, by_row) = (step(&depth, planes), step(&height, rows));
        let length = width.len() * by_plane * by_row;
        depth.step_by(by_plane).flat_map(move |z| {
            let width = width.clone();
            height
                .clone()
                .step_by(by_row)
                .filter(move |_| length > 0)
                .map(move |y| Run {
                    volume: self.row(z, y, width.start),
                    window: (z * self.shape[1] + y) * self.shape[2] + width.start,
                    length,
                })
        })
    }

    /// The indices of the box that are in the volume.
    fn inside(&self, axis: usize) -> Range<usize> {
        let first = (-self.start[axis]).max(0);
        let end = (self.volume[axis] as i64 - self.start[axis]).min(self.shape[axis] as i64);
        first as usize..end.max(first) as usize
    }

    /// The voxel of the volume at an index of the box that is inside.
    fn row(&self, z: usize, y: usize, x: usize) -> usize {
        let at = |axis: usize, index: usize| (self.start[axis] + index as i64) as usize;
        (at(0, z) * self.volume[1] + at(1, y)) * self.volume[2] + at(2, x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_voxels_of_the_box_that_are_in_the_volume() {
        let volume = [3, 4, 5];
        for shape in [[3, 4, 5], [2, 4, 5], [2, 2, 5], [2, 3, 4], [5, 6, 7]] {
            for start in [[0, 0, 0], [1, 0, 0], [-1, 1, -2], [2, 3, 4], [9, 0, 0]] {
                let window = Window {
                    volume,
                    start,
                    shape,
                };
                let mut found = vec![None; window.voxels()];
                for run in window.runs() {
                    for i in 0..run.length {
                        assert_eq!(found[run.window + i].replace(run.volume + i), None);
                    }
                }
                let mut index = 0;
                for z in 0..shape[0] as i64 {
                    for y in 0..shape[1] as i64 {
                        for x in 0..shape[2] as i64 {
                            let at = [z + start[0], y + start[1], x + start[2]];
                            let inside = (0..3).all(|a| (0..volume[a] as i64).contains(&at[a]));
                            let flat = (at[0] * 4 + at[1]) * 5 + at[2];
                            assert_eq!(found[index], inside.then_some(flat as usize), "{window:?}");
                            index += 1;
                        }
                    }
                }
            }
        }
        assert_eq!(Window::whole(volume).runs().count(), 1);
        let planes = Window {
            shape: [2, 4, 5],
            ..Window::whole(volume)
        };
        assert_eq!(planes.runs().count(), 1);
    }
}
