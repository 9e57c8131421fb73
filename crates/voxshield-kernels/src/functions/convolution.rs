use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor};

use super::axes::at_least;
use crate::{
    KernelError,
    ops::{Bias, ConvGeometry, ConvOps},
};

const AXES: [&str; 3] = ["depth", "height", "width"];

/// 3D convolution as networks mean it (a cross-correlation), with zeros outside the volume:
/// `y[b, o, p] = bias[o] + sum_{c, k} weight[o, c, k] x[b, c, p * stride + k * dilation - padding]`.
///
/// Differentiable; gradients that nobody asks for are not computed.
///
/// # Shapes
/// - `x`: `[batch, in, depth, height, width]`, of any type, which weight, bias and output have too
/// - `weight`: `[out, in, depth, height, width]`, `bias`: `[out]`
/// - output: `[batch, out, ..]` of [`ConvGeometry::output_sizes`]
///
/// # Errors
/// [`KernelError::Shape`] if weight or bias do not fit, [`KernelError::TooShort`] if an axis of `x`
/// is empty or the padded volume smaller than the kernel, [`KernelError::Parameter`] if a stride or
/// a dilation is 0, or weight or bias are of another type.
pub fn conv3d(
    x: Tensor<5>,
    weight: Tensor<5>,
    bias: Option<Tensor<1>>,
    geometry: ConvGeometry,
) -> Result<Tensor<5>, KernelError> {
    const OP: &str = "conv3d";
    at_least(OP, x.dims(), [1; 5])?;
    let [_, channels, sizes @ ..] = x.dims();
    let [out, _, kernel @ ..] = weight.dims();
    check(OP, &geometry, channels, weight.dims(), 1)?;
    check_bias(OP, bias.as_ref(), out)?;
    check_types(OP, &x, &weight, bias.as_ref())?;
    if geometry.output_sizes(sizes, kernel).is_none() {
        return Err(too_short(OP, sizes, |axis| {
            let reach = geometry.dilation[axis] * kernel[axis].saturating_sub(1) + 1;
            reach.saturating_sub(2 * geometry.padding[axis])
        }));
    }
    Ok(Tensor::from_dispatch(<Dispatch as ConvOps>::convolve(
        x.into_dispatch(),
        weight.into_dispatch(),
        into_bias(bias),
        geometry,
    )))
}

/// Transposed 3D convolution, the adjoint of [`conv3d`] plus a bias: every input voxel `p` adds
/// `weight[c, o, k] x[b, c, p]` to the output voxel `p * stride + k * dilation - padding`.
///
/// `output_padding` makes the output longer at the end of each axis `[depth, height, width]`, to
/// choose among the sizes that a convolution would map to that of `x`.
///
/// Differentiable; gradients that nobody asks for are not computed.
///
/// # Shapes
/// - `x`: `[batch, in, depth, height, width]`, of any type, which weight, bias and output have too
/// - `weight`: `[in, out, depth, height, width]`, `bias`: `[out]`
/// - output: `[batch, out, ..]` of [`ConvGeometry::transposed_sizes`]
///
/// # Errors
/// [`KernelError::Shape`] if weight or bias do not fit, [`KernelError::TooShort`] if an axis of `x`
/// is empty or one of the output would be, [`KernelError::Parameter`] if a stride or a dilation is
/// 0, an output padding is not below its stride, or weight or bias are of another type.
pub fn conv_transpose3d(
    x: Tensor<5>,
    weight: Tensor<5>,
    bias: Option<Tensor<1>>,
    output_padding: [usize; 3],
    geometry: ConvGeometry,
) -> Result<Tensor<5>, KernelError> {
    const OP: &str = "conv_transpose3d";
    at_least(OP, x.dims(), [1; 5])?;
    let [_, channels, sizes @ ..] = x.dims();
    let [_, out, kernel @ ..] = weight.dims();
    check(OP, &geometry, channels, weight.dims(), 0)?;
    check_bias(OP, bias.as_ref(), out)?;
    check_types(OP, &x, &weight, bias.as_ref())?;
    for axis in 0..3 {
        if output_padding[axis] >= geometry.stride[axis] {
            return Err(KernelError::Parameter {
                op: OP,
                parameter: "output_padding",
                expected: format!("less than the stride {:?} on every axis", geometry.stride),
                got: format!("{output_padding:?}"),
            });
        }
    }
    let Some(target) = geometry.transposed_sizes(sizes, kernel, output_padding) else {
        return Err(too_short(OP, sizes, |axis| {
            let rest =
                geometry.dilation[axis] * kernel[axis].saturating_sub(1) + output_padding[axis];
            let missing = (2 * geometry.padding[axis]).saturating_sub(rest);
            missing.div_ceil(geometry.stride[axis]) + 1
        }));
    };
    Ok(Tensor::from_dispatch(
        <Dispatch as ConvOps>::convolve_adjoint(
            x.into_dispatch(),
            weight.into_dispatch(),
            into_bias(bias),
            target,
            geometry,
        ),
    ))
}

fn into_bias(bias: Option<Tensor<1>>) -> Bias<Dispatch> {
    bias.map_or(Bias::Absent, |bias| Bias::Values(bias.into_dispatch()))
}

/// Strides, dilations, kernel sizes and the weight's input channels, which are on its axis
/// `channel_axis`.
fn check(
    op: &'static str,
    geometry: &ConvGeometry,
    channels: usize,
    weight: [usize; 5],
    channel_axis: usize,
) -> Result<(), KernelError> {
    for (parameter, values) in [
        ("stride", geometry.stride),
        ("dilation", geometry.dilation),
        ("kernel", [weight[2], weight[3], weight[4]]),
    ] {
        if values.contains(&0) {
            return Err(KernelError::Parameter {
                op,
                parameter,
                expected: "at least 1 on every axis".into(),
                got: format!("{values:?}"),
            });
        }
    }
    if channels != weight[channel_axis] {
        let mut expected = weight.to_vec();
        expected[channel_axis] = channels;
        return Err(KernelError::Shape {
            op,
            argument: "weight",
            expected,
            got: weight.to_vec(),
        });
    }
    Ok(())
}

fn check_bias(op: &'static str, bias: Option<&Tensor<1>>, out: usize) -> Result<(), KernelError> {
    match bias.map(Tensor::dims) {
        Some(got) if got != [out] => Err(KernelError::Shape {
            op,
            argument: "bias",
            expected: vec![out],
            got: got.to_vec(),
        }),
        _ => Ok(()),
    }
}

/// No backend computes with two types.
fn check_types(
    op: &'static str,
    x: &Tensor<5>,
    weight: &Tensor<5>,
    bias: Option<&Tensor<1>>,
) -> Result<(), KernelError> {
    let expected = x.dtype();
    let found = |(parameter, got): (&'static str, DType)| {
        (got != expected).then(|| KernelError::Parameter {
            op,
            parameter,
            expected: format!("the type of x, {expected:?}"),
            got: format!("{got:?}"),
        })
    };
    let bias = bias.map(|bias| ("bias", bias.dtype()));
    let mut tensors = [Some(("weight", weight.dtype())), bias]
        .into_iter()
        .flatten();
    tensors.find_map(found).map_or(Ok(()), Err)
}

/// The first axis that is shorter than `least` of it.
fn too_short(op: &'static str, sizes: [usize; 3], least: impl Fn(usize) -> usize) -> KernelError {
    let axis = (0..3)
        .find(|&axis| sizes[axis] < least(axis).max(1))
        .unwrap_or(0);
    KernelError::TooShort {
        op,
        axis: AXES[axis],
        least: least(axis).max(1),
        got: sizes[axis],
    }
}
