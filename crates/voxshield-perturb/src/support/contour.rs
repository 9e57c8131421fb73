use super::{lines::along, soft_roi::dilate};

/// The voxels within `width` voxels of the boundary between labelled and unlabelled ones, on both sides: labelled voxels dilated, and
/// unlabelled ones dilated, by a cube of `2 width + 1` voxels; both. Outside the volume there is nothing.
pub(super) fn mask(labels: &[u16], shape: [usize; 3], width: usize) -> Vec<bool> {
    let near = |inside: bool| {
        let mut near: Vec<f32> = labels
            .iter()
            .map(|&label| f32::from(u8::from((label > 0) == inside)))
            .collect();
        for axis in 0..3 {
            along(&mut near, shape, axis, |line, out| dilate(line, width, out));
        }
        near
    };
    let (foreground, background) = (near(true), near(false));
    foreground
        .iter()
        .zip(&background)
        .map(|(&a, &b)| a > 0.0 && b > 0.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the definition: a voxel with both kinds in the cube around it.
    #[test]
    fn both_kinds_are_near() {
        let shape = [6, 7, 8];
        let place = |i: usize| [i / 56, i / 8 % 7, i % 8];
        let voxels = 6 * 7 * 8;
        let labels: Vec<u16> = (0..voxels)
            .map(|i| {
                let [z, y, x] = place(i);
                u16::from(z > 1 && (2..5).contains(&y) && x < 5)
            })
            .collect();
        for width in [0, 1, 2] {
            let found = mask(&labels, shape, width);
            for (i, &found) in found.iter().enumerate() {
                let near = |wanted: u16| {
                    (0..voxels).any(|j| {
                        let apart = |axis: usize| place(i)[axis].abs_diff(place(j)[axis]) <= width;
                        labels[j] == wanted && (0..3).all(apart)
                    })
                };
                assert_eq!(found, near(0) && near(1), "{width} {:?}", place(i));
            }
            assert_eq!(found.contains(&true), width > 0);
        }
    }
}
