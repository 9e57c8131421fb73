use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ndarray::{Array4, Axis};

use super::{
    PipelineError, PreparedCase, ProtectOptions, protect::DeltaSlabs, quality::SlabQuality,
    room::Room, scan::ScannedCase,
};
use crate::{
    data::{
        Case, CaseRecord, Dataset, FileRecord, IntensityRange, LabelRecord, Perturber, Recipients,
        ResidualCase, Shares, StoredVolume, UNLOCK_FOLDER, UnlockRecord, compare_files,
        copy_file_atomic, file_parts, seal_residual, sha256_file, sha256_volume, slabs,
    },
    perturb::{Budget, PerturbError},
};

/// A case that is ready for its perturbation.
pub(super) struct ReadCase<'a> {
    scanned: &'a ScannedCase,
    pub(super) prepared: PreparedCase,
    /// The share of epsilon that each voxel may use.
    shares: Shares,
    /// Time spent on the case so far.
    pub(super) spent: Duration,
    _room: Room,
}

impl<'a> ReadCase<'a> {
    pub(super) fn open(
        dataset: &Dataset,
        scanned: &'a ScannedCase,
        options: &ProtectOptions,
    ) -> Result<Self, PipelineError> {
        let room = Room::of_case(dataset, &scanned.case);
        let start = Instant::now();
        let prepared = PreparedCase::open_with(dataset, &scanned.case, options.labels)?;
        let shares = prepared.support(options, &scanned.case.id, &scanned.ranges)?;
        Ok(Self {
            scanned,
            prepared,
            shares,
            spent: start.elapsed(),
            _room: room,
        })
    }

    pub(super) fn ranges(&self) -> &'a [IntensityRange] {
        &self.scanned.ranges
    }

    /// Adds the perturbation, slab by slab, to the volume in memory.
    fn perturb(
        &mut self,
        mut deltas: DeltaSlabs<'_>,
        epsilon: f64,
    ) -> Result<(Perturber, SlabQuality), PipelineError> {
        let ranges = self.ranges();
        let budget = Budget::new(epsilon)?;
        let mut perturber = self.prepared.volume.perturber(ranges, epsilon)?;
        let (shape, channels) = (
            self.prepared.volume.shape(),
            self.prepared.volume.channels(),
        );
        let mut quality = SlabQuality::new(channels, shape);
        for slices in slabs(shape) {
            let clean = self.prepared.normalised_slab(ranges, slices.clone());
            let mut delta = deltas.next(&self.prepared, ranges, slices.clone())?;
            let shares = self.shares.slab(slices.clone());
            budget.clip(&clean, shares.as_slice().unwrap_or_default(), &mut delta)?;
            let found = delta.len();
            let dims = (channels, slices.len(), shape[1], shape[2]);
            let delta = Array4::from_shape_vec(dims, delta).map_err(|_| PerturbError::Extent {
                case: 0,
                what: "delta",
                expected: clean.len(),
                found,
            })?;
            let shares = shares.insert_axis(Axis(0));
            let volume = &mut self.prepared.volume;
            perturber.apply(volume, slices.clone(), delta.view(), Some(shares.view()))?;
            quality.add(&clean, &self.prepared.normalised_slab(ranges, slices))?;
        }
        Ok((perturber, quality))
    }
}

/// Perturbs one case, writes its files, re-opens and checks them.
///
/// On any error nothing of the case stays in `output`.
pub(super) fn write_case(
    dataset: &Dataset,
    mut case: ReadCase<'_>,
    deltas: DeltaSlabs<'_>,
    output: &Path,
    epsilon: f64,
    recipients: &Recipients,
) -> Result<CaseRecord, PipelineError> {
    let start = Instant::now();
    let (perturber, quality) = case.perturb(deltas, epsilon)?;
    let mut changed = perturber.changed_by_channel().iter();
    if let Some(channel) = changed.position(|&voxels| voxels == 0) {
        let files = case.prepared.volume.files();
        let mut channels = files
            .iter()
            .flat_map(|file| vec![file.path(); file.dims()[3]]);
        return Err(PipelineError::NothingChanged {
            path: channels.nth(channel).unwrap_or(Path::new("")).to_path_buf(),
            channel,
        });
    }
    let (psnr, ssim) = quality.finish();
    let ReadCase {
        scanned,
        prepared,
        shares,
        spent,
        _room: room,
    } = case;
    let mut written = Written::default();
    for (file, relative) in prepared.volume.files().iter().zip(&scanned.case.images) {
        let target = output.join(relative);
        create_parent(&target)?;
        written.push(&target);
        file.write_atomic(&target)?;
    }
    drop(prepared);
    // Header and voxels of an .hdr/.img pair are two files; the layout names the header.
    let (clean, targets) = (dataset.absolute(&scanned.case.images), written.0.clone());
    let comparison = compare_files(&clean, &targets, &scanned.ranges, epsilon, &shares)?;
    let meant = comparison.changed == perturber.changed() as u64;
    if !(comparison.is_kept() && meant) {
        return Err(PipelineError::Unverified {
            path: targets.first().cloned().unwrap_or_default(),
            reason: format!(
                "{} voxels beyond the budget, {} changed outside the support, {} changed of {} meant, header {}",
                comparison.over_budget,
                comparison.outside_support,
                comparison.changed,
                perturber.changed(),
                if comparison.header_equal {
                    "equal"
                } else {
                    "changed"
                }
            ),
        });
    }
    let support_voxels = shares.support_voxels();
    drop((shares, room));
    let mut files = Vec::new();
    for (target, relative) in targets.iter().zip(&scanned.case.images) {
        files.push(FileRecord {
            path: manifest_path(relative),
            sha256_before: sha256_volume(&dataset.root.join(relative))?,
            sha256_after: sha256_volume(target)?,
            content_before: StoredVolume::content_sha256_of(&dataset.root.join(relative))?,
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
    // Last, since it is bound to the names and to the label.
    let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    let case = ResidualCase {
        id: &scanned.case.id,
        paths: &paths,
        labels: &labels,
    };
    let unlock = seal(
        (&case, unlock_path(&scanned.case)),
        (&clean, &targets),
        recipients,
        output,
        &mut written,
    )?;
    written.keep();
    Ok(CaseRecord {
        id: scanned.case.id.clone(),
        files,
        labels,
        unlock,
        ranges: scanned.ranges.clone(),
        epsilon_stored: perturber.epsilon_stored().to_vec(),
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
    (case, path): (&ResidualCase<'_>, Option<PathBuf>),
    (clean, protected): (&[PathBuf], &[PathBuf]),
    recipients: &Recipients,
    output: &Path,
    written: &mut Written,
) -> Result<Option<UnlockRecord>, PipelineError> {
    let (false, Some(relative)) = (recipients.is_empty(), path) else {
        return Ok(None);
    };
    let target = output.join(&relative);
    written.push(&target);
    seal_residual(case, clean, protected, recipients, &target)?;
    Ok(Some(UnlockRecord {
        path: manifest_path(&relative),
        sha256: sha256_file(&target)?,
        recipients: recipients.fingerprint(),
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
        Some(parent) => {
            fs::create_dir_all(parent).map_err(PipelineError::io("create the folder", parent))
        }
        None => Ok(()),
    }
}

pub(super) fn manifest_path(relative: &Path) -> String {
    relative.to_string_lossy().replace('\\', "/")
}
