use crate::ops::ConvGeometry;

/// Sizes of a convolution's arrays.
#[derive(Debug, Clone, Copy)]
pub struct ConvSizes {
    /// Samples.
    pub batch: usize,
    /// `[in, out]`.
    pub channels: [usize; 2],
    /// `[depth, height, width]` of the convolution's input.
    pub input: [usize; 3],
    /// `[depth, height, width]` of the convolution's output.
    pub output: [usize; 3],
    /// `[depth, height, width]`.
    pub kernel: [usize; 3],
}

/// Calls `f` with the flat indices `(x, weight, y)` of every product of a convolution:
/// `y += weight * x`.
fn products(s: ConvSizes, geometry: ConvGeometry, mut f: impl FnMut(usize, usize, usize)) {
    let [input, out] = s.channels;
    let volume = |sizes: [usize; 3]| sizes.iter().product::<usize>();
    let flat = |[d, h, w]: [usize; 3], sizes: [usize; 3]| (d * sizes[1] + h) * sizes[2] + w;
    let positions = |sizes: [usize; 3]| {
        let [d, h, w] = sizes;
        (0..d * h * w).map(move |i| [i / (h * w), i / w % h, i % w])
    };
    for position in positions(s.output) {
        for tap in positions(s.kernel) {
            let from: [isize; 3] = std::array::from_fn(|axis| {
                let at =
                    position[axis] * geometry.stride[axis] + tap[axis] * geometry.dilation[axis];
                at as isize - geometry.padding[axis] as isize
            });
            if (0..3).any(|axis| from[axis] < 0 || from[axis] >= s.input[axis] as isize) {
                continue;
            }
            let from = flat(from.map(|at| at as usize), s.input);
            let (tap, to) = (flat(tap, s.kernel), flat(position, s.output));
            for b in 0..s.batch {
                for o in 0..out {
                    for c in 0..input {
                        f(
                            (b * input + c) * volume(s.input) + from,
                            (o * input + c) * volume(s.kernel) + tap,
                            (b * out + o) * volume(s.output) + to,
                        );
                    }
                }
            }
        }
    }
}

/// `[batch, out, ..output]`: [`crate::conv3d`] without bias.
pub fn convolve(x: &[f64], weight: &[f64], s: ConvSizes, geometry: ConvGeometry) -> Vec<f64> {
    let mut y = vec![0.0; s.batch * s.channels[1] * s.output.iter().product::<usize>()];
    products(s, geometry, |i, k, o| y[o] += weight[k] * x[i]);
    y
}

/// `[batch, in, ..input]`: the gradient of `sum(y convolve(x, weight))` with respect to `x`, and
/// [`crate::conv_transpose3d`] without bias.
pub fn convolve_adjoint(
    y: &[f64],
    weight: &[f64],
    s: ConvSizes,
    geometry: ConvGeometry,
) -> Vec<f64> {
    let mut x = vec![0.0; s.batch * s.channels[0] * s.input.iter().product::<usize>()];
    products(s, geometry, |i, k, o| x[i] += weight[k] * y[o]);
    x
}

/// `[out, in, ..kernel]`: the gradient of `sum(y convolve(x, weight))` with respect to `weight`.
pub fn convolve_weight_gradient(
    x: &[f64],
    y: &[f64],
    s: ConvSizes,
    geometry: ConvGeometry,
) -> Vec<f64> {
    let [input, out] = s.channels;
    let mut weight = vec![0.0; out * input * s.kernel.iter().product::<usize>()];
    products(s, geometry, |i, k, o| weight[k] += x[i] * y[o]);
    weight
}
