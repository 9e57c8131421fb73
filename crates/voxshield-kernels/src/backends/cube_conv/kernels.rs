use burn_cubecl::cubecl::{self, prelude::*, std::FastDivmod};

/// One axis of a convolution: output position `o` and tap `k` read `o stride + k dilation -
/// padding`.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Axis {
    pub(super) input: usize,
    pub(super) output: FastDivmod<usize>,
    pub(super) outputs: usize,
    pub(super) kernel: FastDivmod<usize>,
    pub(super) taps: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) dilation: usize,
}

/// The axes of a convolution, and the vectors that hold its input channels.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Taps {
    pub(super) depth: Axis,
    pub(super) height: Axis,
    pub(super) width: Axis,
    pub(super) vectors: FastDivmod<usize>,
    pub(super) channels: usize,
}

/// The input position plus the padding that an output position reads through a tap.
#[cube]
fn padded(axis: &Axis, output: usize, tap: usize) -> usize {
    output * axis.stride + tap * axis.dilation
}

/// Whether a position is not in the padding.
#[cube]
fn within(axis: &Axis, padded: usize) -> bool {
    padded >= axis.padding && padded < axis.padding + axis.input
}

/// Rows `first`, .. of the matrix of columns `[output position, (tap, channel)]` of `x`,
/// `[batch, depth, height, width, channel]`: what a convolution multiplies with its weight.
#[cube(launch, address_type = "dynamic")]
pub(super) fn gather_columns<F: Numeric, N: Size>(
    x: &[Vector<F, N>],
    columns: &mut [Vector<F, N>],
    taps: &Taps,
    first: usize,
    length: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < length {
        let (rest, channel) = taps.vectors.div_mod(ABSOLUTE_POS);
        let (rest, tap_w) = taps.width.kernel.div_mod(rest);
        let (rest, tap_h) = taps.height.kernel.div_mod(rest);
        let (row, tap_d) = taps.depth.kernel.div_mod(rest);
        let (rest, w) = taps.width.output.div_mod(row + first);
        let (rest, h) = taps.height.output.div_mod(rest);
        let (sample, d) = taps.depth.output.div_mod(rest);
        let d = padded(&taps.depth, d, tap_d);
        let h = padded(&taps.height, h, tap_h);
        let w = padded(&taps.width, w, tap_w);
        let mut value = Vector::<F, N>::from_int(0);
        if within(&taps.depth, d) && within(&taps.height, h) && within(&taps.width, w) {
            let at = sample * taps.depth.input + (d - taps.depth.padding);
            let at = at * taps.height.input + (h - taps.height.padding);
            let at = at * taps.width.input + (w - taps.width.padding);
            value = x[at * taps.channels + channel];
        }
        columns[ABSOLUTE_POS] = value;
    }
}

/// The output position that reads a padded input position through a tap, or the number of output
/// positions if there is none.
#[cube]
fn reader(axis: &Axis, padded: usize, tap: usize) -> usize {
    let offset = tap * axis.dilation;
    let distance = select(padded >= offset, padded - offset, 0);
    let output = distance / axis.stride;
    let reads = padded >= offset && output * axis.stride == distance && output < axis.outputs;
    select(reads, output, axis.outputs)
}

/// The adjoint of [`gather_columns`]: adds rows `first` to `last` of the matrix to the input
/// positions that they were read from, `start`, .. of `x`. A unit adds all that goes to one vector.
#[cube(launch, address_type = "dynamic")]
pub(super) fn scatter_columns<F: Float, N: Size>(
    columns: &[Vector<F, N>],
    x: &mut [Vector<F, N>],
    taps: &Taps,
    first: usize,
    last: usize,
    start: usize,
    length: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < length {
        let index = start + ABSOLUTE_POS;
        let (voxel, channel) = taps.vectors.div_mod(index);
        let w = voxel % taps.width.input + taps.width.padding;
        let rest = voxel / taps.width.input;
        let h = rest % taps.height.input + taps.height.padding;
        let rest = rest / taps.height.input;
        let d = rest % taps.depth.input + taps.depth.padding;
        let sample = rest / taps.depth.input;

        let mut sum = Vector::<f32, N>::new(0.0f32);
        for tap_d in 0..taps.depth.taps {
            let out_d = reader(&taps.depth, d, tap_d);
            if out_d < taps.depth.outputs {
                for tap_h in 0..taps.height.taps {
                    let out_h = reader(&taps.height, h, tap_h);
                    if out_h < taps.height.outputs {
                        for tap_w in 0..taps.width.taps {
                            let out_w = reader(&taps.width, w, tap_w);
                            let row =
                                (sample * taps.depth.outputs + out_d) * taps.height.outputs + out_h;
                            let row = row * taps.width.outputs + out_w;
                            if out_w < taps.width.outputs && row >= first && row < last {
                                let column =
                                    (tap_d * taps.height.taps + tap_h) * taps.width.taps + tap_w;
                                let at = (row - first)
                                    * taps.depth.taps
                                    * taps.height.taps
                                    * taps.width.taps
                                    + column;
                                sum += Vector::cast_from(columns[at * taps.channels + channel]);
                            }
                        }
                    }
                }
            }
        }
        let before = Vector::<f32, N>::cast_from(x[index]);
        x[index] = Vector::cast_from(before + sum);
    }
}
