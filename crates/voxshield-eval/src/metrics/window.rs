/// The smallest box that holds both masks: no surface and no shortest way leaves it.
pub(super) struct Window {
    first: [usize; 3],
    /// Its extent, 0 if both masks are empty.
    pub(super) size: [usize; 3],
}

impl Window {
    pub(super) fn around(a: &[bool], b: &[bool], shape: [usize; 3]) -> Self {
        let [_, height, width] = shape;
        let (mut first, mut end) = (shape, [0; 3]);
        for (i, _) in a.iter().zip(b).enumerate().filter(|(_, (a, b))| **a || **b) {
            let place = [i / (height * width), i / width % height, i % width];
            for axis in 0..3 {
                first[axis] = first[axis].min(place[axis]);
                end[axis] = end[axis].max(place[axis] + 1);
            }
        }
        Self {
            first,
            size: std::array::from_fn(|axis| end[axis].saturating_sub(first[axis])),
        }
    }

    /// The part of a mask in the box.
    pub(super) fn cut(&self, mask: &[bool], shape: [usize; 3]) -> Vec<bool> {
        let ([z, y, x], [depth, height, width]) = (self.first, self.size);
        let rows = (z..z + depth).flat_map(|z| (y..y + height).map(move |y| (z, y)));
        rows.flat_map(|(z, y)| {
            let start = (z * shape[1] + y) * shape[2] + x;
            &mask[start..start + width]
        })
        .copied()
        .collect()
    }
}
