/// The gradient of `f` at `x` by central differences,
/// `g_i = (f(x + h e_i) - f(x - h e_i)) / (x_i^+ - x_i^-)`.
///
/// The denominator is the step that was really made in `f32`, not `2 h`: for a large `x_i` the two
/// differ by more than the difference quotient's own error. Keep `x` away from kinks of `f`
/// (ReLU, clamp) by more than `h`. `f` is called `2 * x.len()` times.
///
/// # Panics
///
/// If `h` is not positive, or so small that `x_i + h` rounds to `x_i - h`.
pub fn central_difference(mut f: impl FnMut(&[f32]) -> f64, x: &[f32], h: f32) -> Vec<f64> {
    assert!(h > 0.0, "central_difference: h: expected > 0, got {h}");
    let mut point = x.to_vec();
    let mut gradient = Vec::with_capacity(x.len());
    for (index, &center) in x.iter().enumerate() {
        let (above, below) = (center + h, center - h);
        assert!(
            above > below,
            "central_difference: h: {h:e} vanishes beside x[{index}] = {center:e}; use a larger one"
        );
        point[index] = above;
        let high = f(&point);
        point[index] = below;
        let low = f(&point);
        point[index] = center;
        gradient.push((high - low) / (f64::from(above) - f64::from(below)));
    }
    gradient
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_of_a_quadratic_is_exact() {
        // f = x0^2 + 3 x0 x1, gradient (2 x0 + 3 x1, 3 x0)
        let f = |x: &[f32]| f64::from(x[0]).powi(2) + 3.0 * f64::from(x[0]) * f64::from(x[1]);
        let gradient = central_difference(f, &[2.0, -1.0], 1e-2);
        assert!((gradient[0] - 1.0).abs() < 1e-9, "{gradient:?}");
        assert!((gradient[1] - 6.0).abs() < 1e-9, "{gradient:?}");
    }

    #[test]
    #[should_panic(expected = "vanishes beside x[0]")]
    fn a_step_below_the_resolution_is_refused() {
        central_difference(|x| f64::from(x[0]), &[1e8], 1e-3);
    }
}
