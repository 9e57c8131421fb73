use askama::Template;

use super::format::{augmentation, number, significant};
use crate::record::{EvaluationRecord, Quality};

/// How visible the perturbations are, and what they cost honest users.
#[derive(Template)]
#[template(path = "report/quality.html")]
pub(super) struct QualityTable {
    sets: Vec<String>,
    rows: Vec<QualityRow>,
}

struct QualityRow {
    name: String,
    cells: Vec<String>,
}

impl QualityTable {
    pub(super) fn of(record: &EvaluationRecord) -> Self {
        let mut rows = Vec::new();
        let mut row = |name: &str, cell: &dyn Fn(&Quality) -> String| {
            rows.push(QualityRow {
                name: name.into(),
                cells: record.quality.iter().map(cell).collect(),
            });
        };
        row("cases", &|q| q.cases.to_string());
        row("PSNR, whole volume (dB)", &|q| number(q.psnr_db, 2));
        row("PSNR, whole volume, range between percentiles (dB)", &|q| {
            number(q.psnr_percentiles_db, 2)
        });
        row("PSNR, labelled voxels (dB)", &|q| number(q.psnr_roi_db, 2));
        row("SSIM, whole volume", &|q| format!("{:.5}", q.ssim));
        row("SSIM, labelled voxels", &|q| number(q.ssim_roi, 5));
        row("largest change", &|q| significant(q.noise.linf));
        row("mean magnitude of the change", &|q| significant(q.noise.l1));
        row("root mean square of the change", &|q| {
            significant(q.noise.l2)
        });
        row("total variation of the change, per voxel", &|q| {
            significant(q.noise.tv)
        });
        row("changed voxels (%)", &|q| {
            format!("{:.2}", 100.0 * q.changed_share)
        });
        row("mean and largest shift, by channel", &|q| {
            let shifts = q.shift.iter().map(|s| {
                format!(
                    "{}: {} / {} {}",
                    s.channel,
                    significant(s.mean),
                    significant(s.largest),
                    s.unit
                )
            });
            join(shifts)
        });
        row(
            "Dice of clean-trained networks on their own training cases: clean → protected",
            &|q| {
                let utility = q.utility.iter().map(|u| {
                    format!(
                        "{}, {} preprocessing, {}, seed {}, {} cases: {:.3} → {:.3}",
                        u.network,
                        u.preprocessing.name(),
                        augmentation(u.augmentation),
                        u.seed,
                        u.cases,
                        u.clean_dice,
                        u.protected_dice
                    )
                });
                join(utility)
            },
        );
        row(
            "support detector: AUC for the label (on clean volumes)",
            &|q| {
                let detector = q.detector.as_ref();
                join(detector.map(|d| format!("{:.3} ({:.3})", d.label_auc, d.clean_label_auc)))
            },
        );
        row("support detector: AUC for changed voxels", &|q| {
            number(q.detector.as_ref().and_then(|d| d.support_auc), 3)
        });
        Self {
            sets: record
                .quality
                .iter()
                .map(|q| q.training_set.clone())
                .collect(),
            rows,
        }
    }
}

fn join(texts: impl IntoIterator<Item = String>) -> String {
    let texts: Vec<String> = texts.into_iter().collect();
    match texts.is_empty() {
        true => "–".into(),
        false => texts.join("; "),
    }
}
