use std::f64::consts::TAU;

/// `|F x|` of one `[height, width]` slice, the full spectrum, by the definition of the DFT.
fn amplitudes(slice: &[f64], height: usize, width: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(height * width);
    for u in 0..height {
        for v in 0..width {
            let (mut re, mut im) = (0.0, 0.0);
            for y in 0..height {
                for x in 0..width {
                    let turns = ((u * y) % height) as f64 / height as f64
                        + ((v * x) % width) as f64 / width as f64;
                    let value = slice[y * width + x];
                    re += value * (TAU * turns).cos();
                    im -= value * (TAU * turns).sin();
                }
            }
            out.push(f64::hypot(re, im));
        }
    }
    out
}

/// Slice distances of a `[volume, depth, height, width]` array, `[volume, depth - 1]`: the formula
/// of [`crate::slice_distances`] with the full spectrum and no trick.
pub fn slice_distances(x: &[f64], [volumes, depth, height, width]: [usize; 4]) -> Vec<f64> {
    let spectra: Vec<Vec<f64>> = x
        .chunks_exact(height * width)
        .map(|slice| amplitudes(slice, height, width))
        .collect();
    let mut out = Vec::new();
    for volume in 0..volumes {
        for z in 0..depth - 1 {
            let (a, b) = (
                &spectra[volume * depth + z],
                &spectra[volume * depth + z + 1],
            );
            let sum: f64 = a.iter().zip(b).map(|(a, b)| (b - a).powi(2)).sum();
            out.push((sum + 1e-10).sqrt());
        }
    }
    out
}
