/// The largest absolute value of `values`; 0 for an empty slice, NaN if one of them is NaN.
pub fn max_abs(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).abs()).fold(0.0, worse)
}

/// The largest absolute difference of two arrays and the index at which it stands.
///
/// A NaN counts as larger than every number; two empty arrays give `(0.0, 0)`.
///
/// # Panics
///
/// If the lengths differ.
pub fn max_difference(actual: &[f32], expected: &[f32]) -> (f64, usize) {
    assert_eq!(
        actual.len(),
        expected.len(),
        "max_difference: lengths differ (actual, expected)"
    );
    let mut largest = (0.0, 0);
    for (index, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let difference = if a == e {
            0.0
        } else {
            (f64::from(a) - f64::from(e)).abs()
        };
        if difference.is_nan() {
            return (f64::NAN, index);
        }
        if difference > largest.0 {
            largest = (difference, index);
        }
    }
    largest
}

/// Checks `|actual[i] - expected[i]| <= abs` for every element; NaN is never close to anything.
///
/// # Panics
///
/// With `what`, the largest difference, its index and both values there, if one element is
/// further off than `abs` or if the lengths differ.
#[track_caller]
pub fn assert_close(what: &str, actual: &[f32], expected: &[f32], abs: f64) {
    assert_eq!(
        actual.len(),
        expected.len(),
        "{what}: expected {} elements, got {}",
        expected.len(),
        actual.len()
    );
    let (difference, index) = max_difference(actual, expected);
    assert!(
        difference <= abs,
        "{what}: largest difference {difference:e} at index {index} of {}: \
         expected {:e}, got {:e}, tolerance {abs:e}",
        actual.len(),
        expected[index],
        actual[index],
    );
}

fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_difference_is_found_where_it_stands() {
        let (difference, index) = max_difference(&[1.0, 2.0, 3.0], &[1.0, 2.5, 2.75]);
        assert_eq!((difference, index), (0.5, 1));
        assert_eq!(max_abs(&[0.5, -2.0, 1.0]), 2.0);
    }

    #[test]
    #[should_panic(expected = "at index 1 of 2")]
    fn a_difference_beyond_the_tolerance_panics_with_its_index() {
        assert_close("pair", &[1.0, 2.0], &[1.0, 2.1], 0.05);
    }

    #[test]
    #[should_panic(expected = "largest difference NaN")]
    fn nan_is_never_close() {
        assert_close("nan", &[f32::NAN], &[0.0], 1e9);
    }

    #[test]
    #[should_panic(expected = "expected 2 elements, got 1")]
    fn different_lengths_are_refused() {
        assert_close("length", &[1.0], &[1.0, 2.0], 1.0);
    }

    #[test]
    fn nan_is_the_largest_value_and_equal_infinities_are_close() {
        assert!(max_abs(&[1.0, f32::NAN, 2.0]).is_nan());
        assert_close("inf", &[f32::INFINITY], &[f32::INFINITY], 0.0);
    }
}
