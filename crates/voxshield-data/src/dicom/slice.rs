//! One file of a series.

use std::path::{Path, PathBuf};

use dicom_core::Tag;
use dicom_object::{DefaultDicomObject, open_file};
use dicom_pixeldata::{PixelDecoder, PixelRepresentation};

use super::DicomError;
use super::check::{MAXIMUM_RATIO, check_lengths, unreadable};

const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);
const IMAGE_POSITION: Tag = Tag(0x0020, 0x0032);
const IMAGE_ORIENTATION: Tag = Tag(0x0020, 0x0037);
const PIXEL_SPACING: Tag = Tag(0x0028, 0x0030);
const SAMPLES_PER_PIXEL: Tag = Tag(0x0028, 0x0002);
const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
const RESCALE_INTERCEPT: Tag = Tag(0x0028, 0x1052);
const RESCALE_SLOPE: Tag = Tag(0x0028, 0x1053);
/// Cosines are stored as decimal text.
const UNIT_TOLERANCE: f64 = 1e-3;

/// A slice: stored numbers and where they are in the patient (LPS, mm).
pub(super) struct Slice {
    pub(super) path: PathBuf,
    pub(super) series: String,
    /// Rows and columns.
    pub(super) size: [usize; 2],
    /// Of the first voxel.
    pub(super) position: [f64; 3],
    /// Direction of a row (growing column index), then of a column.
    pub(super) orientation: [[f64; 3]; 2],
    /// Distance of the rows, then of the columns.
    pub(super) spacing: [f64; 2],
    pub(super) slope: f64,
    pub(super) intercept: f64,
    /// Row after row.
    pub(super) values: Vec<i32>,
}

impl Slice {
    pub(super) fn read(path: &Path) -> Result<Self, DicomError> {
        check_lengths(path)?;
        let object = open_file(path).map_err(|error| unreadable(&error))?;
        let position = numbers(
            &object,
            IMAGE_POSITION,
            "Image Position (Patient)",
            "three numbers",
        )?;
        let [a, b, c, d, e, f] = numbers(
            &object,
            IMAGE_ORIENTATION,
            "Image Orientation (Patient)",
            "six cosines",
        )?;
        let orientation = [[a, b, c], [d, e, f]];
        check_orientation(&orientation)?;
        let spacing = numbers(
            &object,
            PIXEL_SPACING,
            "Pixel Spacing",
            "two positive numbers",
        )?;
        if !spacing.iter().all(|&size: &f64| size > 0.0) {
            return Err(attribute("Pixel Spacing", "two positive numbers"));
        }
        check_pixels(&object, path)?;
        let decoded = object
            .decode_pixel_data()
            .map_err(|error| unreadable(&error))?;
        let unsupported = |what: String| Err(DicomError::Unsupported { what });
        match (decoded.samples_per_pixel(), decoded.number_of_frames()) {
            (1, 1) => {}
            (1, frames) => return unsupported(format!("a file with {frames} frames")),
            (samples, _) => {
                return unsupported(format!("an image with {samples} samples per pixel"));
            }
        }
        let size = [decoded.rows() as usize, decoded.columns() as usize];
        let (stored, signed) = (
            decoded.bits_stored(),
            decoded.pixel_representation() == PixelRepresentation::Signed,
        );
        let pixels = size[0] * size[1];
        let data = match (decoded.bits_allocated(), decoded.data()) {
            // DICOM's elements have an even length: an odd number of bytes is followed by one that means nothing.
            (8, [data @ .., _]) if data.len() == pixels && !pixels.is_multiple_of(2) => data,
            (_, data) => data,
        };
        let raw: Vec<u16> = match decoded.bits_allocated() {
            8 => data.iter().map(|&byte| byte.into()).collect(),
            16 => data
                .chunks_exact(2)
                .map(|pair| u16::from_ne_bytes([pair[0], pair[1]]))
                .collect(),
            bits => return unsupported(format!("{bits} bits allocated")),
        };
        if stored == 0 || stored > decoded.bits_allocated() || raw.len() != pixels {
            return Err(attribute(
                "Pixel Data",
                "as many values as rows times columns",
            ));
        }
        Ok(Self {
            path: path.to_path_buf(),
            series: text(&object, SERIES_INSTANCE_UID),
            size,
            position,
            orientation,
            spacing,
            slope: optional(&object, RESCALE_SLOPE, "Rescale Slope", 1.0)?,
            intercept: optional(&object, RESCALE_INTERCEPT, "Rescale Intercept", 0.0)?,
            values: raw.iter().map(|&raw| value(raw, stored, signed)).collect(),
        })
    }

    /// The direction of growing slice index, by the right-hand rule.
    pub(super) fn normal(&self) -> [f64; 3] {
        let [[a, b, c], [d, e, f]] = self.orientation;
        [b * f - c * e, c * d - a * f, a * e - b * d]
    }
}

/// Refuses an image that is larger than its file can say, before it is decoded.
fn check_pixels(object: &DefaultDicomObject, path: &Path) -> Result<(), DicomError> {
    // What is missing is found by the decoder.
    let number = |tag| {
        let element = object.element_opt(tag).ok().flatten();
        element.map_or(1, |element| element.to_int::<u64>().unwrap_or(u64::MAX))
    };
    let bytes = [
        ROWS,
        COLUMNS,
        SAMPLES_PER_PIXEL,
        NUMBER_OF_FRAMES,
        BITS_ALLOCATED,
    ]
    .map(number)
    .into_iter()
    .fold(1, u64::saturating_mul)
        / 8;
    let length = std::fs::metadata(path)
        .map_err(|error| unreadable(&error))?
        .len();
    if bytes <= length.saturating_mul(MAXIMUM_RATIO) {
        return Ok(());
    }
    Err(attribute(
        "Pixel Data",
        "an image that the file is large enough for",
    ))
}

/// The number in the lowest `stored` bits; above them old files keep overlays.
fn value(raw: u16, stored: u16, signed: bool) -> i32 {
    let unused = 32 - u32::from(stored);
    let shifted = u32::from(raw) << unused;
    match signed {
        true => shifted as i32 >> unused,
        false => (shifted >> unused) as i32,
    }
}

fn numbers<const N: usize>(
    object: &DefaultDicomObject,
    tag: Tag,
    name: &'static str,
    expected: &'static str,
) -> Result<[f64; N], DicomError> {
    let found = object.element(tag).ok();
    let values = found.and_then(|element| element.to_multi_float64().ok());
    values
        .and_then(|values| <[f64; N]>::try_from(values).ok())
        .filter(|values| values.iter().all(|value| value.is_finite()))
        .ok_or_else(|| attribute(name, expected))
}

/// A number that may be left out, but must be one if it is there.
fn optional(
    object: &DefaultDicomObject,
    tag: Tag,
    name: &'static str,
    default: f64,
) -> Result<f64, DicomError> {
    match object.element(tag) {
        Err(_) => Ok(default),
        Ok(_) => numbers::<1>(object, tag, name, "one number").map(|[value]| value),
    }
}

fn text(object: &DefaultDicomObject, tag: Tag) -> String {
    let element = object.element(tag).ok();
    let text =
        element.and_then(|element| element.to_str().ok().map(|text| text.trim().to_string()));
    text.unwrap_or_default()
}

fn check_orientation(axes: &[[f64; 3]; 2]) -> Result<(), DicomError> {
    let dot = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let [row, column] = axes;
    let units = [
        dot(row, row) - 1.0,
        dot(column, column) - 1.0,
        dot(row, column),
    ];
    match units.iter().all(|error| error.abs() <= UNIT_TOLERANCE) {
        true => Ok(()),
        false => Err(attribute(
            "Image Orientation (Patient)",
            "two unit vectors at a right angle",
        )),
    }
}

fn attribute(attribute: &'static str, expected: &'static str) -> DicomError {
    DicomError::Attribute {
        attribute,
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_live_in_the_stored_bits() {
        assert_eq!(value(0xF7FF, 12, false), 0x7FF);
        assert_eq!(value(0x0800, 12, true), -2048);
        assert_eq!(value(0x07FF, 12, true), 2047);
        assert_eq!(value(0xFFFF, 16, true), -1);
        assert_eq!(value(0xFFFF, 16, false), 65535);
        assert_eq!(value(0x80, 8, true), -128);
    }
}
