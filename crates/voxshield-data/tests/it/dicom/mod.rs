//! DICOM series made with dicom-rs: voxels, places and scaling of the volume that comes out.

use std::fs;
use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use voxshield_data::{DataError, DicomError, StoredVolume, Volume, import_dicom};

mod folders;

const ROWS: usize = 4;
const COLUMNS: usize = 3;
const SLICES: usize = 5;

/// An oblique volume with a tilted gantry: the slices shift within their plane.
#[derive(Clone)]
struct Scan {
    row: [f64; 3],
    column: [f64; 3],
    step: [f64; 3],
    origin: [f64; 3],
    signed: bool,
    bits_stored: u16,
    slopes: [f64; SLICES],
    series: [&'static str; SLICES],
}

impl Scan {
    fn new() -> Self {
        let (sin, cos) = 0.3f64.sin_cos();
        Self {
            row: [cos, sin, 0.0],
            column: [-sin, cos, 0.0],
            step: [0.1, 0.4, 2.5],
            origin: [-100.5, 20.25, 900.0],
            signed: true,
            bits_stored: 16,
            slopes: [1.0; SLICES],
            series: ["1.2.3"; SLICES],
        }
    }

    fn value(&self, column: usize, row: usize, slice: usize) -> i32 {
        let value = (column + 10 * row + 100 * slice) as i32;
        if self.signed { value - 300 } else { value }
    }

    /// RAS+ place of a voxel, by the definition in DICOM PS3.3 C.7.6.2.1.1.
    fn place(&self, column: usize, row: usize, slice: usize) -> [f64; 3] {
        let lps = [0, 1, 2].map(|axis| {
            self.origin[axis]
                + self.step[axis] * slice as f64
                + self.row[axis] * 0.75 * column as f64
                + self.column[axis] * 1.5 * row as f64
        });
        [-lps[0], -lps[1], lps[2]]
    }

    fn slice(&self, slice: usize) -> InMemDicomObject {
        let text = |tag, vr, text: String| DataElement::new(tag, vr, PrimitiveValue::from(text));
        let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
        let join = |values: &[f64]| {
            values
                .iter()
                .map(f64::to_string)
                .collect::<Vec<_>>()
                .join("\\")
        };
        let position: Vec<f64> = (0..3)
            .map(|axis| self.origin[axis] + self.step[axis] * slice as f64)
            .collect();
        let mask = ((1u32 << self.bits_stored) - 1) as u16;
        let pixels: Vec<u16> = (0..ROWS * COLUMNS)
            // What lies above the stored bits is not part of the number.
            .map(|at| self.value(at % COLUMNS, at / COLUMNS, slice) as u16 & mask | 0xF000 & !mask)
            .collect();
        InMemDicomObject::from_element_iter([
            text(
                Tag(0x0008, 0x0016),
                VR::UI,
                "1.2.840.10008.5.1.4.1.1.2".into(),
            ),
            text(Tag(0x0008, 0x0018), VR::UI, format!("1.2.3.{slice}")),
            text(Tag(0x0010, 0x0010), VR::PN, "Doe^Jane".into()),
            text(Tag(0x0020, 0x000E), VR::UI, self.series[slice].into()),
            text(Tag(0x0020, 0x0032), VR::DS, join(&position)),
            text(
                Tag(0x0020, 0x0037),
                VR::DS,
                join(&[self.row, self.column].concat()),
            ),
            number(Tag(0x0028, 0x0002), 1),
            text(Tag(0x0028, 0x0004), VR::CS, "MONOCHROME2".into()),
            number(Tag(0x0028, 0x0010), ROWS as u16),
            number(Tag(0x0028, 0x0011), COLUMNS as u16),
            text(Tag(0x0028, 0x0030), VR::DS, join(&[1.5, 0.75])),
            number(Tag(0x0028, 0x0100), 16),
            number(Tag(0x0028, 0x0101), self.bits_stored),
            number(Tag(0x0028, 0x0102), self.bits_stored - 1),
            number(Tag(0x0028, 0x0103), self.signed.into()),
            text(Tag(0x0028, 0x1052), VR::DS, "-1024".into()),
            text(Tag(0x0028, 0x1053), VR::DS, self.slopes[slice].to_string()),
            DataElement::new(
                Tag(0x7FE0, 0x0010),
                VR::OW,
                PrimitiveValue::U16(pixels.into()),
            ),
        ])
    }

    /// Writes the slices under names whose order is not theirs, some in a folder of their own.
    fn write(&self, folder: &Path) {
        for slice in 0..SLICES {
            let name = ["IM3", "IM0", "deep/IM2", "IM4", "deep/IM1"][slice];
            write(&folder.join(name), self.slice(slice));
        }
    }
}

fn write(path: &Path, object: InMemDicomObject) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let meta = FileMetaTableBuilder::new().transfer_syntax("1.2.840.10008.1.2.1");
    object.with_meta(meta).unwrap().write_to_file(path).unwrap();
}

/// Imports one series.
fn import(scan: &Scan) -> Result<(tempfile::TempDir, StoredVolume), DataError> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("knee"), folder.path().join("out"));
    scan.write(&input);
    let mut cases = import_dicom(&input, &output, &mut |_| {}).unwrap();
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0].id, "knee");
    let path = output.join("images/knee.nii.gz");
    match cases.remove(0).shape {
        Ok(shape) => {
            assert_eq!(shape, [COLUMNS, ROWS, SLICES]);
            Ok((folder, StoredVolume::read(&path).unwrap()))
        }
        Err(error) => {
            assert!(!path.exists());
            Err(error)
        }
    }
}

fn problem(scan: &Scan) -> DicomError {
    match import(scan) {
        Err(DataError::Dicom { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_voxel_is_where_dicom_has_it() {
    let mut reversed = Scan::new();
    reversed.step = reversed.step.map(|value| -value);
    for scan in [Scan::new(), reversed.clone()] {
        let (_folder, volume) = import(&scan).unwrap();
        let values: Vec<f64> = volume.values().collect();
        // Slices come in the order of the normal: those of a scan against it are counted from the other end.
        let forward = scan.step[2] > 0.0;
        for (at, value) in values.iter().enumerate() {
            let (column, row, slice) = (at % COLUMNS, at / COLUMNS % ROWS, at / (COLUMNS * ROWS));
            let source = if forward { slice } else { SLICES - 1 - slice };
            assert_eq!(*value, f64::from(scan.value(column, row, source)) - 1024.0);
            let found = volume
                .affine()
                .apply([column as f64, row as f64, slice as f64]);
            for (found, expected) in found.iter().zip(scan.place(column, row, source)) {
                assert!((found - expected).abs() < 1e-3, "{found} {expected}");
            }
        }
    }
}

#[test]
fn nothing_of_the_patient_is_in_the_volume() {
    let (folder, volume) = import(&Scan::new()).unwrap();
    let mut bytes = volume.header_bytes().to_vec();
    bytes.extend(volume.voxel_bytes());
    assert!(!bytes.windows(4).any(|word| word == b"Jane"));
    assert!(Volume::open(&[folder.path().join("out/images/knee.nii.gz")]).is_ok());
}

#[test]
fn stored_bits_signs_and_slopes() {
    let twelve = Scan {
        bits_stored: 12,
        ..Scan::new()
    };
    let unsigned = Scan {
        signed: false,
        ..twelve.clone()
    };
    for scan in [twelve, unsigned] {
        let (_folder, volume) = import(&scan).unwrap();
        assert_eq!(volume.datatype().to_string(), "int16");
        let last = scan.value(COLUMNS - 1, ROWS - 1, SLICES - 1);
        assert_eq!(volume.values().last().unwrap(), f64::from(last) - 1024.0);
    }
    let slopes = [1.0, 1.5, 2.0, 2.5, 3.0];
    let scan = Scan {
        slopes,
        ..Scan::new()
    };
    let (_folder, volume) = import(&scan).unwrap();
    assert_eq!(volume.datatype().to_string(), "float32");
    for (at, value) in volume.values().enumerate() {
        let slice = at / (COLUMNS * ROWS);
        let stored = scan.value(at % COLUMNS, at / COLUMNS % ROWS, slice);
        assert_eq!(value, f64::from(stored) * slopes[slice] - 1024.0);
    }
}

#[test]
fn slices_with_and_without_a_sign_keep_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("knee"), folder.path().join("out"));
    let scan = Scan::new();
    scan.write(&input);
    // One slice without sign, whose padding is that of the others read as unsigned.
    let mut object = scan.slice(2);
    for (tag, vr, values) in [
        (Tag(0x0028, 0x0103), VR::US, vec![0_u16]),
        (Tag(0x7FE0, 0x0010), VR::OW, vec![63536; ROWS * COLUMNS]),
    ] {
        object.put(DataElement::new(
            tag,
            vr,
            PrimitiveValue::U16(values.into()),
        ));
    }
    write(&input.join("deep/IM2"), object);
    let cases = import_dicom(&input, &output, &mut |_| {}).unwrap();
    assert!(cases[0].shape.is_ok(), "{:?}", cases[0].shape);
    let volume = StoredVolume::read(&output.join("images/knee.nii.gz")).unwrap();
    assert_eq!(volume.datatype().to_string(), "int32");
    for (at, value) in volume.values().enumerate() {
        let (column, row, slice) = (at % COLUMNS, at / COLUMNS % ROWS, at / (COLUMNS * ROWS));
        let stored = match slice {
            2 => 63536,
            _ => scan.value(column, row, slice),
        };
        assert_eq!(value, f64::from(stored) - 1024.0);
    }
}

#[test]
fn eight_bits_and_an_odd_number_of_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("knee"), folder.path().join("out"));
    // Three by three bytes and the one that makes their number even; the second time, two.
    for (bytes, good) in [(10, true), (11, false), (12, false)] {
        for slice in 0..2 {
            let mut object = Scan::new().slice(slice);
            for (tag, value) in [
                (Tag(0x0028, 0x0010), 3),
                (Tag(0x0028, 0x0011), 3),
                (Tag(0x0028, 0x0100), 8),
                (Tag(0x0028, 0x0101), 8),
                (Tag(0x0028, 0x0102), 7),
                (Tag(0x0028, 0x0103), 0),
            ] {
                object.put(DataElement::new(
                    tag,
                    VR::US,
                    PrimitiveValue::from(value as u16),
                ));
            }
            let mut pixels: Vec<u8> = (0..bytes).map(|at| at + 100 * slice as u8).collect();
            pixels[9] = 0;
            object.put(DataElement::new(
                Tag(0x7FE0, 0x0010),
                VR::OB,
                PrimitiveValue::U8(pixels.into()),
            ));
            write(&input.join(slice.to_string()), object);
        }
        let cases = import_dicom(&input, &output, &mut |_| {}).unwrap();
        match &cases[0].shape {
            Ok(shape) => assert!(good && *shape == [3, 3, 2], "{bytes} bytes"),
            Err(error) => assert!(!good, "{bytes} bytes: {error}"),
        }
        if good {
            let volume = StoredVolume::read(&output.join("images/knee.nii.gz")).unwrap();
            let expected = (0..9)
                .chain(100..109)
                .map(|value| f64::from(value) - 1024.0);
            assert!(volume.values().eq(expected));
        }
    }
}

#[test]
fn series_that_are_no_volume_are_refused() {
    let mut mixed = Scan::new();
    mixed.series[3] = "4.5.6";
    assert!(matches!(
        problem(&mixed),
        DicomError::Mixed {
            what: "Series Instance UID",
            ..
        }
    ));
    let flat = Scan {
        step: [0.0; 3],
        ..Scan::new()
    };
    assert!(matches!(problem(&flat), DicomError::Spacing { .. }));
    let mut skewed = Scan::new();
    skewed.column = skewed.row;
    assert!(matches!(problem(&skewed), DicomError::Attribute { .. }));

    let folder = tempfile::tempdir().unwrap();
    let (series, output) = (folder.path().join("s"), folder.path().join("out"));
    let reason = |what: &str| {
        let cases = import_dicom(&series, &output, &mut |_| {}).unwrap();
        match &cases[0].shape {
            Err(DataError::Dicom { problem, .. }) => problem.clone(),
            other => panic!("{what}: {other:?}"),
        }
    };
    Scan::new().write(&series);
    fs::remove_file(series.join("deep/IM2")).unwrap();
    assert!(matches!(reason("a hole"), DicomError::Spacing { .. }));
    fs::write(series.join("notes.txt"), "no DICOM").unwrap();
    assert!(matches!(
        reason("another file"),
        DicomError::Unreadable { .. }
    ));
    fs::remove_file(series.join("notes.txt")).unwrap();
    let mut object = Scan::new().slice(2);
    object.put(DataElement::new(
        Tag(0x0028, 0x0008),
        VR::IS,
        PrimitiveValue::from("2"),
    ));
    write(&series.join("deep/IM2"), object);
    assert!(matches!(
        reason("two frames"),
        DicomError::Unsupported { .. } | DicomError::Unreadable { .. }
    ));
}

/// The bytes of a slice, and where the last of `needle` is in them.
fn slice_with(needle: &[u8]) -> (Vec<u8>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slice");
    write(&path, Scan::new().slice(0));
    let bytes = fs::read(&path).unwrap();
    let at = bytes.windows(needle.len()).rposition(|part| part == needle);
    (bytes, at.unwrap())
}

/// What is wrong with a series of a good slice and these bytes.
fn problem_with(bytes: &[u8]) -> DicomError {
    let folder = tempfile::tempdir().unwrap();
    let series = folder.path().join("s");
    write(&series.join("a"), Scan::new().slice(1));
    fs::write(series.join("b"), bytes).unwrap();
    let cases = import_dicom(&series, &folder.path().join("out"), &mut |_| {}).unwrap();
    match &cases[0].shape {
        Err(DataError::Dicom { problem, .. }) => problem.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sizes_that_the_file_cannot_back_are_refused_before_memory_is_taken() {
    let unreadable = |bytes: &[u8], what: &str| match problem_with(bytes) {
        DicomError::Unreadable { reason } => assert!(reason.contains(what), "{reason}"),
        other => panic!("{other}"),
    };
    // The length of the pixels, and of an element of the file's first group.
    for element in [&b"\xE0\x7F\x10\x00OW\0\0"[..], b"\x02\x00\x01\x00OB\0\0"] {
        let (mut bytes, at) = slice_with(element);
        bytes[at + 8..at + 12].copy_from_slice(&0x7000_0000u32.to_le_bytes());
        unreadable(&bytes, "1879048192 bytes");
    }
    // Sequences of undefined length, each in an item of the one before.
    let (mut bytes, at) = slice_with(b"\xE0\x7F\x10\x00OW");
    let nested = [
        &b"\x40\x00\x75\x02SQ\0\0\xFF\xFF\xFF\xFF"[..],
        b"\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF",
    ];
    bytes.splice(at..at, nested.concat().repeat(100_000));
    unreadable(&bytes, "within one another");
    // Half a number, after which dicom-rs takes the rest of it for the next element: found by fuzzing, with 1.3 GB for 494 bytes.
    let (mut bytes, at) = slice_with(b"\xE0\x7F\x10\x00OW");
    bytes.splice(at..at, *b"\x40\x00\x75\x02UL\x02\x00\x01\x00");
    unreadable(&bytes, "an element of 2 bytes, whose numbers have 4");
    // Rows and columns.
    let (mut bytes, at) = slice_with(b"\x28\x00\x10\x00US\x02\x00");
    bytes[at + 8..at + 10].fill(0xFF);
    bytes[at + 18..at + 20].fill(0xFF);
    assert!(matches!(problem_with(&bytes), DicomError::Attribute { .. }));
}
