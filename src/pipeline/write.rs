use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ndarray::Array4;

use super::{PipelineError, PreparedCase, ProtectOptions, scan::ScannedCase};
use crate::{
    data::{
        Case, CaseRecord, Dataset, FileRecord, LabelRecord, Recipients, UNLOCK_FOLDER,
        UnlockRecord, Volume, compare, copy_file_atomic, file_parts, seal_residual, sha256_file,
    },
    eval::metrics,
    perturb::Budget,
};

/// A case that is ready for its perturbation.
pub(super) struct ReadCase<'a> {
    scanned: &'a ScannedCase,
    pub(super) prepared: PreparedCase,
    /// Normalised, `[channel, depth, height, width]`.
    pub(super) image: Vec<f32>,
    /// The share of epsilon that each voxel may use, `[depth, height, width]`.
    mask: Vec<f32>,
    /// Time spent on the case so far.
    pub(super) spent: Duration,
}

impl<'a> ReadCase<'a> {
    pub(super) fn open(
        dataset: &Dataset,
        scanned: &'a ScannedCase,
        options: &ProtectOptions,
    ) -> Result<Self, PipelineError> {
        let start = Instant::now();
        let prepared = PreparedCase::open_with(dataset, &scanned.case, options.labels)?;
        let image = prepared.normalised(&scanned.ranges);
        let mask = prepared.support(options, &scanned.case.id, &image)?;
        Ok(Self {
            scanned,
            prepared,
            image,
            mask,
            spent: start.elapsed(),
        })
    }
}

/// Perturbs one case by `delta` `[channel, depth, height, width]`, before projection; writes its files, re-opens and checks
/// them.
///
/// On any error nothing of the case stays in `output`.
pub(super) fn write_case(
    dataset: &Dataset,
    case: ReadCase<'_>,
    mut delta: Vec<f32>,
    output: &Path,
    epsilon: f64,
    recipients: &Recipients,
) -> Result<CaseRecord, PipelineError> {
    let start = Instant::now();
    let ReadCase {
        scanned,
        prepared,
        image,
        mask,
        spent,
    } = case;
    let voxels = mask.len();
    Budget::new(epsilon)?.clip(&image, &mask, &mut delta);
    let [d, h, w] = prepared.volume.shape();
    let channels = prepared.volume.channels();
    let found = delta.len();
    let delta = Array4::from_shape_vec((channels, d, h, w), delta).map_err(|_| {
        crate::perturb::PerturbError::Extent {
            case: 0,
            what: "delta",
            expected: channels * voxels,
            found,
        }
    })?;
    let support_voxels = mask.iter().filter(|&&share| share > 0.0).count() as u64;
    let mask = prepared.mask_array(mask)?;
    let perturbed =
        prepared
            .volume
            .perturb_within(delta.view(), mask.view(), &scanned.ranges, epsilon)?;

    let mut written = Written::default();
    for (file, relative) in perturbed.files.iter().zip(&scanned.case.images) {
        let target = output.join(relative);
        create_parent(&target)?;
        written.push(&target);
        file.write_atomic(&target)?;
    }
    // Header and voxels of an .hdr/.img pair are two files; the layout names the header.
    let targets = written.0.clone();
    let protected = Volume::open(&targets)?;
    let comparison = compare(
        &prepared.volume,
        &protected,
        &scanned.ranges,
        epsilon,
        Some(mask.view()),
    )?;
    if !comparison.is_kept() {
        return Err(PipelineError::Unverified {
            path: protected.path().to_path_buf(),
            reason: format!(
                "{} voxels beyond the budget, {} changed outside the support, header {}",
                comparison.over_budget,
                comparison.outside_support,
                if comparison.header_equal {
                    "equal"
                } else {
                    "changed"
                }
            ),
        });
    }
    let unlock = seal(
        &scanned.case,
        &prepared.volume,
        &protected,
        recipients,
        output,
        &mut written,
    )?;
    let after = PreparedCase {
        volume: protected,
        labels: None,
        warning: None,
    };
    let after = after.normalised(&scanned.ranges);
    let psnr = metrics::psnr(&image, &after)?;
    let ssim = metrics::ssim(&image, &after, [d, h, w])?;

    let mut files = Vec::new();
    for (target, relative) in targets.iter().zip(&scanned.case.images) {
        files.push(FileRecord {
            path: manifest_path(relative),
            sha256_before: sha256_file(&dataset.root.join(relative))?,
            sha256_after: sha256_file(target)?,
        });
    }
    let mut labels = Vec::new();
    if let Some(relative) = &scanned.case.label {
        create_parent(&output.join(relative))?;
        // A pair is two files.
        for part in file_parts(&dataset.root.join(relative))? {
            let relative = relative.with_file_name(part.file_name().unwrap_or_default());
            let target = output.join(&relative);
            written.push(&target);
            copy_file_atomic(&part, &target)?;
            labels.push(LabelRecord {
                path: manifest_path(&relative),
                sha256: sha256_file(&target)?,
            });
        }
    }
    written.keep();
    Ok(CaseRecord {
        id: scanned.case.id.clone(),
        files,
        labels,
        unlock,
        ranges: scanned.ranges.clone(),
        epsilon_stored: perturbed.epsilon_stored,
        achieved: comparison.achieved,
        changed_voxels: comparison.changed,
        support_voxels,
        psnr_db: psnr.is_finite().then_some(psnr),
        ssim,
        seconds: (spent + start.elapsed()).as_secs_f64(),
    })
}

/// Where the residual of a case is, relative to the protected folder.
pub(super) fn unlock_path(case: &Case) -> Option<PathBuf> {
    let mut name = case.images.first()?.clone().into_os_string();
    name.push(".age");
    Some(Path::new(UNLOCK_FOLDER).join(name))
}

/// Writes the encrypted residual of a case, if somebody is to have it.
fn seal(
    case: &Case,
    clean: &Volume,
    protected: &Volume,
    recipients: &Recipients,
    output: &Path,
    written: &mut Written,
) -> Result<Option<UnlockRecord>, PipelineError> {
    let (false, Some(relative)) = (recipients.is_empty(), unlock_path(case)) else {
        return Ok(None);
    };
    let target = output.join(&relative);
    written.push(&target);
    seal_residual(
        &case.id,
        clean.files(),
        protected.files(),
        recipients,
        &target,
    )?;
    Ok(Some(UnlockRecord {
        path: manifest_path(&relative),
        sha256: sha256_file(&target)?,
    }))
}

/// Files of a case in progress; removed again unless the case is finished.
#[derive(Default)]
pub(super) struct Written(Vec<PathBuf>);

impl Written {
    pub(super) fn push(&mut self, path: &Path) {
        self.0.push(path.to_path_buf());
    }

    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for path in &self.0 {
            let parts = file_parts(path).unwrap_or_else(|_| vec![path.clone()]);
            for part in parts {
                // The case has failed already; its error is the one to report.
                let _ = fs::remove_file(part);
            }
        }
    }
}

pub(super) fn create_parent(path: &Path) -> Result<(), PipelineError> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|source| PipelineError::Io {
            action: "create the folder",
            path: parent.to_path_buf(),
            source,
        }),
        None => Ok(()),
    }
}

pub(super) fn manifest_path(relative: &Path) -> String {
    relative.to_string_lossy().replace('\\', "/")
}
