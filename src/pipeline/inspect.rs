use std::path::Path;

use serde::Serialize;

use super::{PipelineError, PreparedCase};
use crate::data::{
    Case, DataError, Datatype, LabelMap, Modality, Normalisation, StoredVolume, Volume, discover,
    identifying_name,
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
        /// Its cases.
        cases: Vec<CaseSummary>,
        /// Cases that cannot be used: id and reason.
        problems: Vec<(String, String)>,
        /// What the program works around, and the owner may want to mend: labels that the header places elsewhere.
        cautions: Vec<String>,
        /// What may identify somebody: free text in headers, the shape of names. Protection keeps both as they are.
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
    /// Epsilon in stored steps per channel if the file is normalised as MRI is, or why there is none; CT depends on the whole dataset.
    pub epsilon_stored: String,
    /// Bytes of header extensions and padding before the voxels.
    pub header_bytes: usize,
    /// What may identify somebody: free text in the header, the shape of the name.
    pub warnings: Vec<String>,
}

/// One case of a dataset.
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
    /// Modality of each channel; guessed where the dataset does not say.
    pub modality: Vec<Modality>,
    /// Label values.
    pub classes: Vec<u16>,
    /// Share of labelled voxels.
    pub foreground: f64,
    /// Epsilon in stored steps per channel (MRI channels of integer type; CT depends on the whole
    /// dataset and is given by `protect`).
    pub epsilon_stored: Option<String>,
}

/// Says what a file or a dataset is. `epsilon` is in normalised units.
///
/// # Errors
/// [`PipelineError`] if the path is neither a readable NIfTI file nor a dataset.
pub fn inspect(path: &Path, epsilon: f64) -> Result<Inspection, PipelineError> {
    if path.is_file() {
        let stored = StoredVolume::read(path)?;
        let header_bytes = stored.header_bytes().len();
        let volume = Volume::from_files(vec![stored])?;
        let mut summary = file_summary(&volume, header_bytes, epsilon);
        let name = path.file_name().unwrap_or_default();
        summary.warnings.extend(identifying_name(name.as_ref()));
        return Ok(Inspection::File(summary));
    }
    let dataset = discover(path)?;
    let mut problems: Vec<(String, String)> = dataset
        .problems
        .iter()
        .map(|p| (p.id.clone(), p.error.to_string()))
        .collect();
    let paths = |case: &Case| {
        case.images
            .iter()
            .chain(&case.label)
            .cloned()
            .collect::<Vec<_>>()
    };
    let files = dataset.cases.iter().flat_map(paths);
    let files = files.chain(dataset.auxiliary.iter().cloned());
    let mut warnings: Vec<String> = files.filter_map(|path| identifying_name(&path)).collect();
    let (mut cases, mut cautions) = (Vec::new(), Vec::new());
    for case in &dataset.cases {
        match PreparedCase::open(&dataset, case) {
            Ok(prepared) => {
                for (file, path) in prepared.volume.files().iter().zip(&case.images) {
                    let fields = file.identifying_fields().into_iter();
                    warnings.extend(fields.map(|field| format!("{}: {field}", path.display())));
                }
                cautions.extend(prepared.warning.clone());
                let modalities = prepared.modalities(&dataset);
                match case_summary(&case.id, &prepared, modalities, epsilon) {
                    Ok(summary) => cases.push(summary),
                    Err(error) => problems.push((case.id.clone(), error.to_string())),
                }
            }
            Err(error) => problems.push((case.id.clone(), error.to_string())),
        }
    }
    Ok(Inspection::Dataset {
        layout: dataset.layout,
        channels: dataset.channels.iter().map(|c| c.name.clone()).collect(),
        labels: dataset.labels.clone().into_iter().collect(),
        cases,
        problems,
        cautions,
        warnings,
    })
}

fn file_summary(volume: &Volume, header_bytes: usize, epsilon: f64) -> FileSummary {
    let stored = &volume.files()[0];
    let scaling = stored.scaling();
    let extent = (0..volume.channels())
        .flat_map(|channel| volume.channel_values(channel))
        .fold([f32::INFINITY, f32::NEG_INFINITY], |[lo, hi], v| {
            [lo.min(v), hi.max(v)]
        });
    FileSummary {
        dims: stored.dims(),
        datatype: name(stored.datatype()),
        scaling: [scaling.slope, scaling.inter],
        axes: volume.orientation().codes(),
        spacing: volume.spacing(),
        extent,
        epsilon_stored: stored_steps(volume, epsilon).unwrap_or_else(|error| error.to_string()),
        header_bytes,
        warnings: stored.identifying_fields(),
    }
}

fn case_summary(
    id: &str,
    prepared: &PreparedCase,
    modality: Vec<Modality>,
    epsilon: f64,
) -> Result<CaseSummary, DataError> {
    let volume = &prepared.volume;
    let shape = volume.shape();
    let voxels = shape.iter().product::<usize>().max(1);
    Ok(CaseSummary {
        id: id.to_owned(),
        shape,
        datatype: name(volume.files()[0].datatype()),
        axes: volume.orientation().codes(),
        classes: prepared.labels.iter().flat_map(LabelMap::classes).collect(),
        foreground: prepared
            .labels
            .as_ref()
            .map_or(0, LabelMap::foreground_count) as f64
            / voxels as f64,
        epsilon_stored: modality
            .iter()
            .all(|m| *m == Modality::Mri)
            .then(|| stored_steps(volume, epsilon))
            .transpose()?,
        modality,
    })
}

fn stored_steps(volume: &Volume, epsilon: f64) -> Result<String, DataError> {
    let ranges = (0..volume.channels())
        .map(|channel| Normalisation::Mri.range(volume, channel))
        .collect::<Result<Vec<_>, _>>()?;
    let steps = volume.epsilon_stored(&ranges, epsilon)?;
    let steps = steps
        .iter()
        .map(|s| s.map_or_else(|| "float".to_owned(), |s| s.to_string()));
    Ok(steps.collect::<Vec<_>>().join(", "))
}

fn name(datatype: Datatype) -> String {
    datatype.to_string()
}
