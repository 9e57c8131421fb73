use std::path::Path;

use serde::Serialize;

use super::{
    NormalisationChoice, PipelineError, PreparedCase, ProtectOptions, ScanEvent, ScannedCase,
    check_clean, memory::Work, scan::scan_seeing,
};
use crate::data::{
    DataError, FailedCase, IntensityRange, LabelMap, Modality, Normalisation, StoredVolume, Volume,
    discover, file_parts, identifying_gzip, identifying_name,
};

/// What a path is.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Inspection {
    /// One NIfTI file.
    File(FileSummary),
    /// A dataset.
    Dataset {
        /// The layout by name.
        layout: &'static str,
        /// Channel names.
        channels: Vec<String>,
        /// Label values and names, where the dataset gives names.
        labels: Vec<(u16, String)>,
        /// Its cases that can be protected.
        cases: Vec<CaseSummary>,
        /// Cases that cannot be used: id and reason.
        problems: Vec<(String, String)>,
        /// Cases that are left out for want of a label: id and reason.
        skipped: Vec<(String, String)>,
        /// What the program works around, and the owner may want to mend: labels that the header places elsewhere, or that there are none.
        cautions: Vec<String>,
        /// What may identify somebody: free text in headers of images and labels, the shape of names, what the gzip headers of labels say.
        /// Protection keeps all of it as it is.
        warnings: Vec<String>,
    },
}

/// One NIfTI file.
#[derive(Debug, Clone, Serialize)]
pub struct FileSummary {
    /// Stored dimensions `(i, j, k, channel)`.
    pub dims: [usize; 4],
    /// Stored datatype.
    pub datatype: String,
    /// `scl_slope` and `scl_inter` as they take effect.
    pub scaling: [f64; 2],
    /// Axis codes, e.g. `LPS`.
    pub axes: String,
    /// Voxel size along depth, height and width of the canonical volume, in mm.
    pub spacing: [f64; 3],
    /// Smallest and largest intensity.
    pub extent: [f32; 2],
    /// How it is normalised: as asked for, else as its intensities suggest.
    pub normalisation: NormalisationChoice,
    /// (lo, hi) of each channel in file units; empty where the file alone does not say.
    pub ranges: Vec<IntensityRange>,
    /// Epsilon in stored steps per channel, or why there is none; CT depends on the whole dataset.
    pub epsilon_stored: String,
    /// Bytes of header extensions and padding before the voxels.
    pub header_bytes: usize,
    /// What may identify somebody: free text in the header, the shape of the name, what the gzip header says (which protection leaves out of images).
    pub warnings: Vec<String>,
}

/// One case of a dataset, as `protect` takes it.
#[derive(Debug, Clone, Serialize)]
pub struct CaseSummary {
    /// Its id.
    pub id: String,
    /// `[depth, height, width]`.
    pub shape: [usize; 3],
    /// Stored datatype of the first file.
    pub datatype: String,
    /// Axis codes of the first file.
    pub axes: String,
    /// Modality of each channel; guessed where neither dataset nor options say.
    pub modality: Vec<Modality>,
    /// Label values.
    pub classes: Vec<u16>,
    /// Share of labelled voxels.
    pub foreground: f64,
    /// (lo, hi) of each channel in file units.
    pub ranges: Vec<IntensityRange>,
    /// Epsilon in stored steps per channel; `float` for one that has no steps.
    pub epsilon_stored: String,
}

/// Says what a file or a dataset is, and which cases [`protect`](super::protect) with these options would take: a dataset is read
/// as it reads it before it begins. Of a file, options matter that say how it is normalised, and epsilon.
///
/// # Errors
/// [`PipelineError`] if the path is neither a readable NIfTI file nor a dataset, or the options are out of range.
pub fn inspect(path: &Path, options: &ProtectOptions) -> Result<Inspection, PipelineError> {
    options.validate()?;
    if path.is_file() {
        return Ok(Inspection::File(file_summary(path, options)?));
    }
    let mut cautions = Vec::new();
    // What `protect` refuses at once.
    cautions.extend(check_clean(path).err().map(|error| error.to_string()));
    let (scanned, cases) = scan_seeing(
        discover(path)?,
        options,
        Work::Protect(options),
        &case_summary,
        &mut |event| {
            if let ScanEvent::Warning(text) = event {
                cautions.push(text);
            }
        },
    )?;
    if let Some(cases) = scanned.unlabelled() {
        let path = path.to_path_buf();
        cautions.push(PipelineError::NoLabels { path, cases }.to_string());
    }
    let dataset = &scanned.dataset;
    let images = || dataset.cases.iter().flat_map(|case| &case.images);
    let labels = dataset.cases.iter().flat_map(|case| &case.label);
    let names = images().chain(labels).chain(&dataset.auxiliary);
    let mut warnings: Vec<String> = names.filter_map(|path| identifying_name(path)).collect();
    let labels = dataset.cases.iter().flat_map(|case| &case.label);
    for path in images().chain(labels.clone()) {
        // What has no header is among the problems.
        if let Ok(frame) = StoredVolume::frame_of(&dataset.root.join(path)) {
            let fields = frame.identifying_fields().into_iter();
            warnings.extend(fields.map(|field| format!("{}: {field}", path.display())));
        }
    }
    // Labels are copied byte for byte; images are compressed anew, without the names of before.
    for path in labels {
        let parts = file_parts(&dataset.root.join(path)).unwrap_or_default();
        let found = parts.iter().flat_map(|part| identifying_gzip(part));
        warnings.extend(found.map(|text| format!("{}: {text}", path.display())));
    }
    Ok(Inspection::Dataset {
        layout: dataset.layout,
        channels: dataset.channels.iter().map(|c| c.name.clone()).collect(),
        labels: dataset.labels.clone().into_iter().collect(),
        cases,
        problems: reasons(scanned.failed),
        skipped: reasons(scanned.skipped),
        cautions,
        warnings,
    })
}

fn reasons(failed: Vec<FailedCase>) -> Vec<(String, String)> {
    failed.into_iter().map(|f| (f.id, f.reason)).collect()
}

fn file_summary(path: &Path, options: &ProtectOptions) -> Result<FileSummary, PipelineError> {
    let stored = StoredVolume::read(path)?;
    let header_bytes = stored.header_bytes().len();
    let volume = Volume::from_files(vec![stored])?;
    let stored = &volume.files()[0];
    let scaling = stored.scaling();
    let extent = (0..volume.channels())
        .flat_map(|channel| volume.channel_values(channel))
        .fold([f32::INFINITY, f32::NEG_INFINITY], |[lo, hi], v| {
            [lo.min(v), hi.max(v)]
        });
    let normalisation = match (options.normalisation, Modality::guess(&volume)) {
        (NormalisationChoice::Auto, Modality::Ct) => NormalisationChoice::Ct,
        (NormalisationChoice::Auto, Modality::Mri) => NormalisationChoice::Mri,
        (asked, _) => asked,
    };
    let ranges = ranges_of_file(&volume, normalisation);
    let steps = ranges.as_deref().map_or_else(Clone::clone, |ranges| {
        let steps = volume.epsilon_stored(ranges, options.method.epsilon());
        steps.map_or_else(|error| error.to_string(), |steps| in_words(&steps))
    });
    let mut warnings = stored.identifying_fields();
    let name = path.file_name().unwrap_or_default();
    warnings.extend(identifying_name(name.as_ref()));
    let parts = file_parts(path).unwrap_or_default();
    warnings.extend(parts.iter().flat_map(|part| identifying_gzip(part)));
    Ok(FileSummary {
        dims: stored.dims(),
        datatype: stored.datatype().to_string(),
        scaling: [scaling.slope, scaling.inter],
        axes: volume.orientation().codes(),
        spacing: volume.spacing(),
        extent,
        normalisation,
        ranges: ranges.unwrap_or_default(),
        epsilon_stored: steps,
        header_bytes,
        warnings,
    })
}

/// The range of each channel, or why the file alone does not say.
fn ranges_of_file(
    volume: &Volume,
    choice: NormalisationChoice,
) -> Result<Vec<IntensityRange>, String> {
    let normalisation = match choice {
        NormalisationChoice::Window { lo, hi } => Normalisation::Window { lo, hi },
        NormalisationChoice::Ct => {
            return Err(
                "CT depends on the labelled voxels of the whole dataset: inspect that, or pass --normalise window:LO,HI"
                    .into(),
            );
        }
        _ => Normalisation::Mri,
    };
    let ranges = (0..volume.channels()).map(|channel| normalisation.range(volume, channel));
    let ranges: Result<Vec<_>, DataError> = ranges.collect();
    ranges.map_err(|error| error.to_string())
}

fn case_summary(prepared: &PreparedCase, scanned: &ScannedCase) -> CaseSummary {
    let volume = &prepared.volume;
    let shape = volume.shape();
    let labels = prepared.labels.as_ref();
    let labelled = labels.map_or(0, LabelMap::foreground_count);
    CaseSummary {
        id: scanned.case.id.clone(),
        shape,
        datatype: volume.files()[0].datatype().to_string(),
        axes: volume.orientation().codes(),
        modality: scanned.modalities.clone(),
        classes: labels.into_iter().flat_map(LabelMap::classes).collect(),
        foreground: labelled as f64 / shape.iter().product::<usize>().max(1) as f64,
        ranges: scanned.ranges.clone(),
        epsilon_stored: in_words(&scanned.epsilon_stored),
    }
}

fn in_words(steps: &[Option<i64>]) -> String {
    let steps = steps
        .iter()
        .map(|s| s.map_or_else(|| "float".to_owned(), |s| s.to_string()));
    steps.collect::<Vec<_>>().join(", ")
}
