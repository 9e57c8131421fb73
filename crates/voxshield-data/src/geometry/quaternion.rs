/// The rotation matrix of the unit quaternion `a + b i + c j + d k`.
pub(crate) fn quaternion_rotation([a, b, c, d]: [f64; 4]) -> [[f64; 3]; 3] {
    [
        [
            1.0 - 2.0 * (c * c + d * d),
            2.0 * (b * c - a * d),
            2.0 * (b * d + a * c),
        ],
        [
            2.0 * (b * c + a * d),
            1.0 - 2.0 * (b * b + d * d),
            2.0 * (c * d - a * b),
        ],
        [
            2.0 * (b * d - a * c),
            2.0 * (c * d + a * b),
            1.0 - 2.0 * (b * b + c * c),
        ],
    ]
}
