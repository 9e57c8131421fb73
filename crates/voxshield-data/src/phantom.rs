//! Labelled synthetic volumes: small enough for a laptop, hard enough that a network has to learn.

use std::path::Path;

use ndarray::{Array3, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::DataError;
use crate::fsx::write_file_atomic;
use crate::geometry::{Affine, Orientation, quaternion_rotation};
use crate::layout::{Dataset, discover};
use crate::nifti::write_new;

/// The brightest ordinary intensity in file units; normalised intensity 1.
const SCALE: f64 = 2000.0;

/// What phantoms look like.
#[derive(Clone, Debug, PartialEq)]
pub struct PhantomConfig {
    /// `[depth, height, width]` in voxels; 16 and more on each axis give organs worth segmenting.
    pub shape: [usize; 3],
    /// Spacing in mm along depth, height and width. Default 1.5, 1, 1.
    pub spacing: [f64; 3],
    /// Seed; every case draws from its own stream of it.
    pub seed: u64,
    /// Standard deviation of the noise, as a fraction of the full intensity (2000). Default 0.03, with organs
    /// about twice that from the body: as faint as the hippocampus is in MRI.
    pub noise: f64,
    /// Strength of the smooth bias field, as a fraction. Default 0.12.
    pub bias: f64,
}

impl PhantomConfig {
    /// Defaults for a shape `[depth, height, width]` and a seed.
    #[must_use]
    pub fn new(shape: [usize; 3], seed: u64) -> Self {
        Self {
            shape,
            spacing: [1.5, 1.0, 1.0],
            seed,
            noise: 0.03,
            bias: 0.12,
        }
    }
}

/// One synthetic case in canonical order.
#[derive(Clone, Debug)]
pub struct Phantom {
    /// Intensities `[depth, height, width]`: whole numbers, 0 outside the body, 1 to about 2000 inside.
    pub image: Array3<f32>,
    /// 0 background, 1 organ A (smooth, brighter than the body), 2 organ B (grainy, darker).
    pub label: Array3<u8>,
}

/// An ellipsoid in coordinates that run from -1 to 1 along every axis.
struct Ellipsoid {
    centre: [f64; 3],
    radii: [f64; 3],
    rotation: [[f64; 3]; 3],
}

impl Ellipsoid {
    /// Squared distance from the centre in radii: below 1 is inside.
    fn level(&self, point: [f64; 3]) -> f64 {
        let offset = [0, 1, 2].map(|axis| point[axis] - self.centre[axis]);
        self.rotation
            .iter()
            .zip(self.radii)
            .map(|(row, radius)| {
                let along: f64 = row.iter().zip(offset).map(|(r, o)| r * o).sum();
                (along / radius).powi(2)
            })
            .sum()
    }

    fn random(rng: &mut ChaCha8Rng, centre: [f64; 3], wander: f64, radii: [f64; 3]) -> Self {
        let shift = |value: f64, rng: &mut ChaCha8Rng| value + rng.random_range(-wander..wander);
        Self {
            centre: centre.map(|value| shift(value, rng)),
            radii: radii.map(|radius| radius * rng.random_range(0.85..1.15)),
            rotation: random_rotation(rng),
        }
    }
}

/// The phantom of one case: a body, two labelled organs, two unlabelled blobs of similar intensity, a bias field and noise.
/// The same configuration and index give the same phantom.
#[must_use]
pub fn phantom(config: &PhantomConfig, case_index: u64) -> Phantom {
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    rng.set_stream(case_index);
    let body = Ellipsoid {
        centre: [0.0; 3],
        radii: [0.9, 0.88, 0.85].map(|radius: f64| radius * rng.random_range(0.93..1.05)),
        rotation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };
    // Two organs and two distractors share the four quadrants of height and width, in a random turn: the place alone does not tell them
    // apart.
    let turn: usize = rng.random_range(0..4);
    let quadrant = |place: usize| {
        let angle = std::f64::consts::FRAC_PI_2 * ((place + turn) % 4) as f64 + 0.785;
        [0.0, 0.42 * angle.cos(), 0.42 * angle.sin()]
    };
    let organ_a = Ellipsoid::random(&mut rng, quadrant(0), 0.12, [0.36, 0.26, 0.24]);
    let organ_b = Ellipsoid::random(&mut rng, quadrant(2), 0.12, [0.33, 0.28, 0.22]);
    // Smaller and rounder than the organs: what tells them apart is size, shape and texture.
    let blob_a = Ellipsoid::random(&mut rng, quadrant(1), 0.12, [0.15, 0.15, 0.15]);
    let blob_b = Ellipsoid::random(&mut rng, quadrant(3), 0.12, [0.15, 0.15, 0.15]);
    let bias: [f64; 6] = std::array::from_fn(|_| rng.random_range(-1.0..1.0));

    let [depth, height, width] = config.shape;
    let mut image = Array3::zeros((depth, height, width));
    let mut label = Array3::zeros((depth, height, width));
    let place = |index: usize, size: usize| (2.0 * index as f64 + 1.0) / size as f64 - 1.0;
    for ((d, h, w), value) in image.indexed_iter_mut() {
        let point = [place(d, depth), place(h, height), place(w, width)];
        // Drawn for every voxel, so that a voxel's noise does not depend on the shapes.
        let (noise, grain) = normal_pair(&mut rng);
        if body.level(point) >= 1.0 {
            continue;
        }
        let (class, mut tissue) = if organ_a.level(point) < 1.0 {
            (1, 0.49)
        } else if organ_b.level(point) < 1.0 {
            (2, 0.36 + 0.04 * grain)
        } else if blob_a.level(point) < 1.0 {
            (0, 0.49)
        } else if blob_b.level(point) < 1.0 {
            (0, 0.36)
        } else {
            (0, 0.42)
        };
        let [z, x, y] = point;
        let field = bias[0] * z
            + bias[1] * x
            + bias[2] * y
            + bias[3] * z * x
            + bias[4] * x * y
            + bias[5] * y * z;
        tissue = tissue * (1.0 + config.bias * field / 2.0) + config.noise * noise;
        *value = (tissue * SCALE).round().clamp(1.0, f64::from(i16::MAX)) as f32;
        if let Some(label) = label.get_mut((d, h, w)) {
            *label = class;
        }
    }
    Phantom { image, label }
}

/// Writes phantoms as an nnU-Net v2 dataset: `imagesTr/case_000_0000.nii.gz` (int16), `labelsTr/case_000.nii.gz` (uint8) and
/// `dataset.json`, stored in LPS order. Returns what [`discover`] finds there.
///
/// # Errors
/// [`DataError::Io`] when writing fails; [`DataError::Header`] or [`DataError::DegenerateAffine`] for a shape or spacing
/// that cannot be written; the errors of [`discover`] when `root` has other files in the way.
pub fn write_phantom_dataset(
    root: &Path,
    cases: u64,
    config: &PhantomConfig,
) -> Result<Dataset, DataError> {
    let affine = lps(config);
    let orientation =
        Orientation::from_affine(&affine).ok_or_else(|| DataError::DegenerateAffine {
            path: root.to_path_buf(),
        })?;
    for index in 0..cases {
        let phantom = phantom(config, index);
        let image = phantom
            .image
            .mapv(|value| value as i16)
            .insert_axis(Axis(0));
        let label = phantom.label.insert_axis(Axis(0));
        write_new(
            &root.join(format!("imagesTr/case_{index:03}_0000.nii.gz")),
            orientation.stored_view(image.view()),
            &affine,
        )?;
        write_new(
            &root.join(format!("labelsTr/case_{index:03}.nii.gz")),
            orientation.stored_view(label.view()),
            &affine,
        )?;
    }
    let json = serde_json::json!({
        "channel_names": { "0": "MRI" },
        "labels": { "background": 0, "organ A": 1, "organ B": 2 },
        "numTraining": cases,
        "file_ending": ".nii.gz",
    });
    write_file_atomic(&root.join("dataset.json"), format!("{json:#}\n").as_bytes())?;
    discover(root)
}

/// Stored axes run to the left, the back and the head; the centre of the volume is a little off the origin, as in a scan.
fn lps(config: &PhantomConfig) -> Affine {
    let [depth, height, width] = config.shape.map(|size| size as f64);
    let [dz, dx, dy] = config.spacing;
    Affine::new([
        [-dx, 0.0, 0.0, 3.0 + dx * height / 2.0],
        [0.0, -dy, 0.0, -7.0 + dy * width / 2.0],
        [0.0, 0.0, dz, 20.0 - dz * depth / 2.0],
        [0.0, 0.0, 0.0, 1.0],
    ])
}

/// Two independent standard normal numbers (Box and Muller).
fn normal_pair(rng: &mut ChaCha8Rng) -> (f64, f64) {
    // 1 - u is never 0.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
    (radius * cos, radius * sin)
}

/// A uniformly random rotation, from a random unit quaternion.
fn random_rotation(rng: &mut ChaCha8Rng) -> [[f64; 3]; 3] {
    let ((a, b), (c, d)) = (normal_pair(rng), normal_pair(rng));
    let norm = (a * a + b * b + c * c + d * d)
        .sqrt()
        .max(f64::MIN_POSITIVE);
    quaternion_rotation([a, b, c, d].map(|value| value / norm))
}
