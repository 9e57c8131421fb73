//! Small datasets in files, and a network that needs no training.

use std::{fs, path::Path, path::PathBuf};

use burn::tensor::Tensor;
use ndarray::Array3;

use super::{
    EvaluateOptions,
    labelled::LabelledSet,
    plan::{Context, NamedSet},
};
use crate::{
    data::{
        Affine, CaseRecord, FileRecord, IntensityRange, MANIFEST_NAME, Manifest, NewVoxels,
        sha256_volume, write_new,
    },
    eval::record::{NO_DEFENCE, Role},
    models::Segmenter,
    perturb::RandomNoise,
    pipeline::{Method, ProtectOptions},
};

/// The budget of [`publish`].
pub(super) const EPSILON: f64 = 0.05;

/// Image and labels of a case, `[depth, height, width]`.
pub(super) type Drawn = (Array3<f32>, Array3<u8>);

/// Writes cases `0`, `1`, ... of one channel; `spacing` is `[depth, height, width]` in mm.
pub(super) fn write(root: &Path, spacing: [f64; 3], cases: &[Drawn]) {
    let [depth, height, width] = spacing;
    let affine = Affine::from_spacing([height, width, depth]);
    for (id, (image, labels)) in cases.iter().enumerate() {
        let path = |kind: &str| {
            fs::create_dir_all(root.join(kind)).unwrap();
            root.join(kind).join(format!("{id}.nii"))
        };
        // Files have the depth last.
        let axes = [1, 2, 0];
        let image = NewVoxels::from(image.view().permuted_axes(axes));
        write_new(&path("images"), image, &affine).unwrap();
        let labels = NewVoxels::from(labels.view().permuted_axes(axes));
        write_new(&path("labels"), labels, &affine).unwrap();
    }
}

/// A dataset of two cases of 4 x 4 x 4 voxels, in which `labels` occur; another seed is another one.
pub(super) fn textured(root: &Path, seed: u32, labels: &[u8]) -> PathBuf {
    let case = |case: u32| {
        let image = Array3::from_shape_fn((4, 4, 4), |(z, y, x)| {
            let place = (16 * z + 4 * y + x) as f32;
            1.0 + (seed + 10 * case) as f32 + place * (1.0 + seed as f32)
        });
        let mut mask = Array3::zeros((4, 4, 4));
        for (x, &label) in labels.iter().enumerate() {
            mask[[1, 1, x]] = label;
        }
        (image, mask)
    };
    write(root, [1.0; 3], &[case(0), case(1)]);
    root.to_path_buf()
}

/// Writes the manifest of a set as if random noise had made it from `clean`, in these intensities.
pub(super) fn publish(root: &Path, clean: &Path, (lo, hi): (f64, f64)) {
    let made_with = ProtectOptions {
        method: Method::Random {
            noise: RandomNoise::Rademacher,
            epsilon: EPSILON,
            seed: 3,
        },
        ..ProtectOptions::default()
    };
    let record = |id: usize| {
        let path = format!("images/{id}.nii");
        CaseRecord {
            id: id.to_string(),
            files: vec![FileRecord {
                sha256_before: sha256_volume(&clean.join(&path)).unwrap(),
                sha256_after: sha256_volume(&root.join(&path)).unwrap(),
                content_before: Vec::new(),
                path,
            }],
            labels: Vec::new(),
            unlock: None,
            ranges: vec![IntensityRange { lo, hi }],
            epsilon_stored: vec![None],
            achieved: EPSILON,
            changed_voxels: 1,
            support_voxels: 1,
            psnr_db: None,
            ssim: 1.0,
            seconds: 0.0,
        }
    };
    let cases = fs::read_dir(root.join("images")).unwrap().count();
    let manifest = Manifest {
        format: Manifest::FORMAT,
        program: "voxshield".into(),
        version: "0".into(),
        layout: "plain".into(),
        method: made_with.to_json(),
        epsilon: EPSILON,
        support: "roi".into(),
        seed: 3,
        device: "cpu".into(),
        normalisation: Vec::new(),
        cases: (0..cases).map(record).collect(),
        failed: Vec::new(),
        skipped: Vec::new(),
        others: None,
    };
    manifest.write_atomic(&root.join(MANIFEST_NAME)).unwrap();
}

pub(super) fn open(root: &Path) -> LabelledSet {
    LabelledSet::open(root, None).unwrap()
}

pub(super) fn named(name: &str, role: Role, root: &Path) -> NamedSet {
    NamedSet {
        name: name.into(),
        role,
        set: open(root),
        pairs: None,
    }
}

/// What cells share, without defences.
pub(super) fn context<'a>(
    options: &'a EvaluateOptions,
    sets: Vec<NamedSet>,
    test: &Path,
) -> Context<'a> {
    Context {
        options,
        device: crate::pipeline::DeviceChoice::Cpu.open().unwrap(),
        defences: vec![NO_DEFENCE.into()],
        sets,
        test: open(test),
    }
}

/// Class 1 where its one channel is above 0, class 2 where it is above 2.
pub(super) struct Thresholds;

impl Segmenter for Thresholds {
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let (one, two) = (x.clone(), x.clone() * 2.0 - 2.0);
        Tensor::cat(vec![x.zeros_like(), one, two], 1)
    }

    fn in_channels(&self) -> usize {
        1
    }

    fn classes(&self) -> usize {
        3
    }

    fn size_multiple(&self) -> [usize; 3] {
        [1; 3]
    }

    fn flops(&self, _: [usize; 3]) -> u64 {
        0
    }
}

/// A case of 6 x 4 x 4 voxels in which [`Thresholds`] sees, after a z-score, class 1 at the depths 1 to 3 of one column and class 2 at one voxel
/// of another: 8 and 40 stand 1.7 and 9.2 deviations above the mean, 0 stands .2 below it. `column` are the depths that label 2 really
/// has; the other voxel has `other`.
pub(super) fn seen(column: std::ops::Range<usize>, other: u8) -> Drawn {
    let (mut image, mut labels) = (Array3::zeros((6, 4, 4)), Array3::zeros((6, 4, 4)));
    for z in 1..4 {
        image[[z, 1, 1]] = 8.0;
    }
    for z in column {
        labels[[z, 1, 1]] = 2;
    }
    image[[5, 3, 3]] = 40.0;
    labels[[5, 3, 3]] = other;
    (image, labels)
}
