/// Replaces every line of `values` (`[depth, height, width]` = `shape`) along `axis` by what `map` writes for it: the line as it
/// was, and the line to fill.
pub(super) fn along(
    values: &mut [f32],
    shape: [usize; 3],
    axis: usize,
    mut map: impl FnMut(&[f32], &mut [f32]),
) {
    let length = shape[axis];
    let stride: usize = shape[axis + 1..].iter().product();
    let mut line = vec![0.0; length];
    let mut out = vec![0.0; length];
    for block in values.chunks_exact_mut((length * stride).max(1)) {
        for first in 0..stride {
            let places = (first..block.len()).step_by(stride);
            for (value, place) in line.iter_mut().zip(places.clone()) {
                *value = block[place];
            }
            map(&line, &mut out);
            for (&value, place) in out.iter().zip(places) {
                block[place] = value;
            }
        }
    }
}
