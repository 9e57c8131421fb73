/// The distance of every voxel to the nearest voxel with `inside[voxel] == target`, in steps between face neighbours
/// (0 at such voxels); `u32::MAX` everywhere if there is none. `[depth, height, width]`.
pub(super) fn steps_to(inside: &[bool], target: bool, shape: [usize; 3]) -> Vec<u32> {
    let mut steps: Vec<u32> = inside
        .iter()
        .map(|&i| if i == target { 0 } else { u32::MAX })
        .collect();
    let strides = [shape[1] * shape[2], shape[2], 1];
    // The distance is a sum over axes, so a sweep forth and back along each axis in turn is exact.
    for axis in 0..3 {
        let (stride, length) = (strides[axis], shape[axis]);
        for first in (0..steps.len()).filter(|i| i / stride % length == 0) {
            let at = |i: usize| first + i * stride;
            for i in 1..length {
                steps[at(i)] = steps[at(i)].min(steps[at(i - 1)].saturating_add(1));
            }
            for i in (1..length).rev() {
                steps[at(i - 1)] = steps[at(i - 1)].min(steps[at(i)].saturating_add(1));
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_smallest_sum_of_coordinate_differences() {
        let shape = [4, 5, 6];
        let seeds = [[0usize, 1, 2], [3, 4, 5], [2, 0, 0]];
        let index = |p: [usize; 3]| (p[0] * 5 + p[1]) * 6 + p[2];
        let mut inside = vec![false; 120];
        seeds.iter().for_each(|&p| inside[index(p)] = true);
        let found = steps_to(&inside, true, shape);
        for z in 0..4 {
            for y in 0..5 {
                for x in 0..6 {
                    let sum =
                        |p: &[usize; 3]| p[0].abs_diff(z) + p[1].abs_diff(y) + p[2].abs_diff(x);
                    let nearest = seeds.iter().map(sum).min().unwrap() as u32;
                    assert_eq!(found[index([z, y, x])], nearest);
                }
            }
        }
    }

    #[test]
    fn without_a_target_every_voxel_is_infinitely_far() {
        assert_eq!(steps_to(&[false; 8], true, [2; 3]), [u32::MAX; 8]);
    }
}
