//! A made-up evaluation of the size of a real one.

use voxshield_eval::metrics::{NoiseMetrics, RegionScore};
use voxshield_eval::picture::{Montage, Subject};
use voxshield_eval::record::{
    Cell, CellKey, CellResult, CurvePoint, DatasetFacts, DetectorScore, EvaluationRecord,
    EvaluationSettings, LabelScore, Outcome, Quality, Role, Scores, Shift, Spectrum, Summary,
    TrainingSet, Utility,
};
use voxshield_eval::{Augmentation, EvalError, Preprocessing};

const NETWORKS: [&str; 3] = ["residual-unet", "nnunet", "con-res-net"];
const DEFENCES: [&str; 12] = [
    "none",
    "gaussian-blur:1",
    "gamma:1.5",
    "low-resolution:0.5",
    "affine:15",
    "jpeg:50",
    "bit-depth:4",
    "median:3",
    "median-z:3",
    "slab-mean:2",
    "skip-slices:2",
    "histogram-match",
];
const AUGMENTATIONS: [Augmentation; 2] = [Augmentation::None, Augmentation::NnUnet];

/// The peak Dice of a victim: 0.9 clean, 0.88 random, else 0.2 or more, 0.62 behind the blur.
fn peak(key: &CellKey, role: Role) -> f64 {
    let network = NETWORKS
        .iter()
        .position(|name| *name == key.network)
        .unwrap_or(0);
    let augmented = if key.augmentation == Augmentation::None {
        0.0
    } else {
        0.01
    };
    let base = match role {
        Role::Clean => 0.9,
        Role::Random => 0.88,
        _ => {
            let defence = DEFENCES
                .iter()
                .position(|name| *name == key.defence)
                .unwrap_or(0);
            match defence {
                1 => 0.62,
                i => 0.1 + 0.04 * i as f64,
            }
        }
    };
    // The first network without augmentation learns most.
    base - 0.03 * network as f64 - augmented + [0.02, -0.02, 0.0][key.seed as usize]
}

fn scores(dice: f64) -> Scores {
    let label = |label, share: f64| LabelScore {
        label,
        cases: 9,
        found: 8,
        dice: Some(dice * share),
        // Over the cases a standard deviation of 0.0274.
        dice_by_case: (0..9)
            .map(|case| dice * share + 0.01 * (f64::from(case) - 4.0))
            .collect(),
        iou: Some(dice * share / (2.0 - dice * share)),
        hd95_mm: (label == 1).then_some(3.25),
        assd_mm: (label == 1).then_some(0.75),
    };
    Scores {
        mean_dice: dice,
        labels: vec![label(1, 1.05), label(2, 0.95)],
        regions: vec![RegionScore {
            name: "wt".into(),
            dice: Some(dice),
            iou: Some(dice / 2.0),
            cases: 9,
        }],
    }
}

fn result(peak: f64) -> CellResult {
    let curve = (0..=12).map(|point| {
        let t = f64::from(point) / 12.0;
        CurvePoint {
            step: 20 * point as usize,
            loss: 1.6 * (-2.0 * t).exp() + 0.1,
            dice: peak * (1.0 - (-4.0 * t).exp()) * (1.0 - 0.1 * t),
        }
    });
    CellResult {
        last: scores(0.9 * peak),
        peak: scores(peak),
        peak_step: 180,
        curve: curve.collect(),
        seconds: 41.5,
    }
}

fn cells(sets: &[TrainingSet]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for seed in 0..3 {
        for set in sets {
            for network in NETWORKS {
                for augmentation in AUGMENTATIONS {
                    for defence in DEFENCES {
                        if set.role != Role::Protected && defence != "none" {
                            continue;
                        }
                        let key = CellKey {
                            training_set: set.name.clone(),
                            network: network.into(),
                            preprocessing: Preprocessing::Plain,
                            augmentation,
                            defence: defence.into(),
                            seed,
                        };
                        let failed = network == "con-res-net"
                            && defence == "jpeg:50"
                            && augmentation == Augmentation::NnUnet
                            && seed == 1;
                        cells.push(Cell {
                            hash: "00".into(),
                            outcome: match failed {
                                true => Outcome::Failed {
                                    reason: format!("out of memory in {}", set.name),
                                },
                                false => Outcome::Done(Box::new(result(peak(&key, set.role)))),
                            },
                            key,
                        });
                    }
                }
            }
        }
    }
    cells
}

fn quality(name: &str) -> Quality {
    let frequencies: Vec<f64> = (0..=16).map(|k| f64::from(k) / 32.0).collect();
    let clean: Vec<f64> = frequencies
        .iter()
        .map(|f| (-14.0 * f).exp() + 1e-5)
        .collect();
    let delta: Vec<f64> = frequencies
        .iter()
        .map(|f| 1e-6 + 2e-3 * (18.0 * (f - 0.5)).exp())
        .collect();
    let protected = clean.iter().zip(&delta).map(|(a, b)| a + b).collect();
    Quality {
        training_set: name.into(),
        cases: 40,
        psnr_db: Some(52.347),
        psnr_percentiles_db: Some(44.816),
        psnr_roi_db: Some(38.123),
        ssim: 0.99871,
        ssim_roi: Some(0.98123),
        noise: NoiseMetrics {
            l1: 0.0005,
            l2: 0.0024,
            linf: 0.0157,
            tv: 0.0031,
            gradient: 0.0043,
        },
        changed_share: 0.0412,
        shift: vec![Shift {
            channel: 0,
            unit: "sd".into(),
            mean: 0.11,
            largest: 0.157,
        }],
        spectrum: Spectrum {
            frequencies,
            clean,
            protected,
            delta,
        },
        utility: vec![Utility {
            network: "residual-unet".into(),
            preprocessing: Preprocessing::Plain,
            augmentation: Augmentation::None,
            seed: 0,
            cases: 16,
            clean_dice: 0.9,
            protected_dice: 0.897,
        }],
        detector: Some(DetectorScore {
            label_auc: 0.973,
            clean_label_auc: 0.612,
            support_auc: None,
        }),
    }
}

/// The record of an evaluation whose names are `name`.
pub(crate) fn record(name: &str) -> EvaluationRecord {
    let set = |set: &str, role| TrainingSet {
        name: set.into(),
        role,
        facts: DatasetFacts {
            cases: 40,
            sha256: "0123456789abcdef".repeat(4),
        },
        epsilon: (role != Role::Clean).then_some(4.0 / 255.0),
        support: (role != Role::Clean).then(|| "roi".into()),
        method: (role != Role::Clean)
            .then(|| format!("{{\"name\":\"voxshield\",\"of\":\"{name}\",\"rounds\":20}}")),
    };
    let training_sets = vec![
        set("clean", Role::Clean),
        set("random", Role::Random),
        set(name, Role::Protected),
    ];
    let cells = cells(&training_sets);
    EvaluationRecord {
        format: EvaluationRecord::FORMAT,
        version: "0.1.0".into(),
        revision: 7,
        settings: EvaluationSettings {
            networks: NETWORKS.map(String::from).to_vec(),
            width: voxshield_models::Width::Narrow,
            preprocessing: vec![Preprocessing::Plain, Preprocessing::Paper],
            augmentations: AUGMENTATIONS.to_vec(),
            defences: DEFENCES.map(String::from).to_vec(),
            defend_controls: false,
            noise: voxshield_perturb::RandomNoise::Rademacher,
            seeds: vec![0, 1, 2],
            steps: 240,
            test_every: 20,
            batch: 4,
            patch: [32; 3],
            grid: [160, 144, 128],
            target_spacing: Some([2.5, 0.8, 0.8]),
            optimiser: format!("Adam, 1e-2, {name}"),
            precision: voxshield_models::Precision::Bf16,
            checkpointing: true,
            device: "cpu".into(),
        },
        test: DatasetFacts {
            cases: 9,
            sha256: "fedcba9876543210".repeat(4),
        },
        label_names: vec![(1, "anterior".into()), (2, name.into())],
        summary: Summary::of(&cells),
        cells,
        quality: vec![quality("random"), quality(name)],
        notes: vec![format!("a note about {name}")],
        seconds: 9876.0,
        training_sets,
    }
}

/// Two pictures of a ball with an alternating pattern inside.
pub(crate) fn montages(case: &str) -> Result<Vec<Montage>, EvalError> {
    let shape = [5, 40, 48];
    let epsilon = 4.0 / 255.0f32;
    let (mut clean, mut labels, mut delta) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..shape.iter().product::<usize>() {
        let [z, y, x] = [i / (40 * 48), i / 48 % 40, i % 48].map(|v| v as f32);
        let inside = (y - 18.0).powi(2) + (x - 24.0).powi(2) < 150.0 - 20.0 * (z - 2.0).abs();
        clean.push(
            0.2 + 0.4 * f32::from(u8::from(inside)) + 0.1 * (0.3 * x).sin() * (0.2 * y).cos(),
        );
        labels.push(u16::from(inside));
        let sign = if (z as usize + y as usize + x as usize).is_multiple_of(2) {
            epsilon
        } else {
            -epsilon
        };
        delta.push(if inside { sign } else { 0.0 });
    }
    let protected: Vec<f32> = clean.iter().zip(&delta).map(|(c, d)| c + d).collect();
    let subject = Subject {
        clean: &clean,
        protected: &protected,
        labels: &labels,
        shape,
        spacing: [2.0, 1.0, 1.0],
    };
    ["random", case]
        .map(|set| Montage::new(set, case, &subject, f64::from(epsilon)))
        .into_iter()
        .collect()
}
