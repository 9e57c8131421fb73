//! NIfTI files made byte by byte, independently of the crate's writer.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::{Array, ArrayD, Dimension};
use safetensors::{Dtype, SafeTensors};

/// Stored axes i, j, k run to posterior, superior and right (canonical y backwards, z, x).
pub(crate) const PSR: [[f64; 4]; 3] = [
    [0.0, 0.0, 2.0, -5.0],
    [-0.5, 0.0, 0.0, 7.0],
    [0.0, 3.0, 0.0, 11.0],
];

#[derive(Clone, Debug)]
pub(crate) struct Nifti {
    pub(crate) two: bool,
    pub(crate) big: bool,
    pub(crate) pair: bool,
    pub(crate) dim: [i64; 8],
    pub(crate) code: i16,
    pub(crate) bitpix: i16,
    pub(crate) slope: f64,
    pub(crate) inter: f64,
    pub(crate) srow: [[f64; 4]; 3],
    pub(crate) extension: Vec<u8>,
    /// In place of the offset that fits.
    pub(crate) vox_offset: Option<f64>,
    pub(crate) voxels: Vec<u8>,
    pub(crate) trailing: Vec<u8>,
}

pub(crate) const DATATYPES: [(i16, i16); 10] = [
    (2, 8),
    (256, 8),
    (4, 16),
    (512, 16),
    (8, 32),
    (768, 32),
    (1024, 64),
    (1280, 64),
    (16, 32),
    (64, 64),
];

impl Nifti {
    pub(crate) fn new(shape: &[i64], code: i16, voxels: Vec<u8>) -> Self {
        let mut dim = [1; 8];
        dim[0] = shape.len() as i64;
        dim[1..=shape.len()].copy_from_slice(shape);
        Self {
            two: false,
            big: false,
            pair: false,
            dim,
            code,
            bitpix: DATATYPES.iter().find(|d| d.0 == code).map_or(8, |d| d.1),
            slope: 1.0,
            inter: 0.0,
            srow: [
                [1.0, 0.0, 0.0, 0.0],
                [0.0, 1.0, 0.0, 0.0],
                [0.0, 0.0, 1.0, 0.0],
            ],
            extension: vec![0; 4],
            vox_offset: None,
            voxels,
            trailing: vec![],
        }
    }

    pub(crate) fn i16(shape: &[i64], values: &[i16]) -> Self {
        Self::new(
            shape,
            4,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        )
    }

    pub(crate) fn f32(shape: &[i64], values: &[f32]) -> Self {
        Self::new(
            shape,
            16,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        )
    }

    pub(crate) fn u8(shape: &[i64], values: &[u8]) -> Self {
        Self::new(shape, 2, values.to_vec())
    }

    pub(crate) fn scaled(mut self, slope: f64, inter: f64) -> Self {
        (self.slope, self.inter) = (slope, inter);
        self
    }

    pub(crate) fn header(&self) -> Vec<u8> {
        let size = if self.two { 540 } else { 348 };
        let mut bytes = vec![0; size];
        let order = |mut field: Vec<u8>| {
            if self.big {
                field.reverse();
            }
            field
        };
        let mut put = |at: usize, field: Vec<u8>| {
            let field = order(field);
            bytes[at..at + field.len()].copy_from_slice(&field);
        };
        let real = |value: f64| {
            if self.two {
                value.to_le_bytes().to_vec()
            } else {
                (value as f32).to_le_bytes().to_vec()
            }
        };
        let width = if self.two { 8 } else { 4 };
        put(0, (size as i32).to_le_bytes().to_vec());
        let (dim, code, bitpix, pixdim, scale, sform, srow) = if self.two {
            (16, 12, 14, 104, 176, 348, 400)
        } else {
            (40, 70, 72, 76, 112, 254, 280)
        };
        for (index, &value) in self.dim.iter().enumerate() {
            if self.two {
                put(dim + 8 * index, value.to_le_bytes().to_vec());
            } else {
                put(dim + 2 * index, (value as i16).to_le_bytes().to_vec());
            }
            put(pixdim + width * index, real(1.0));
        }
        put(code, self.code.to_le_bytes().to_vec());
        put(bitpix, self.bitpix.to_le_bytes().to_vec());
        put(scale, real(self.slope));
        put(scale + width, real(self.inter));
        let offset = self.vox_offset.unwrap_or(if self.pair {
            0.0
        } else {
            (size + self.extension.len()) as f64
        });
        if self.two {
            put(168, (offset as i64).to_le_bytes().to_vec());
            put(sform, 1_i32.to_le_bytes().to_vec());
        } else {
            put(108, (offset as f32).to_le_bytes().to_vec());
            put(sform, 1_i16.to_le_bytes().to_vec());
        }
        for (row, values) in self.srow.iter().enumerate() {
            for (column, &value) in values.iter().enumerate() {
                put(srow + width * (4 * row + column), real(value));
            }
        }
        match (self.two, self.pair) {
            (false, false) => bytes[344..348].copy_from_slice(b"n+1\0"),
            (false, true) => bytes[344..348].copy_from_slice(b"ni1\0"),
            (true, false) => bytes[4..12].copy_from_slice(b"n+2\0\r\n\x1a\n"),
            (true, true) => bytes[4..12].copy_from_slice(b"ni2\0\r\n\x1a\n"),
        }
        bytes.extend(&self.extension);
        bytes
    }

    pub(crate) fn image(&self) -> Vec<u8> {
        let mut bytes = vec![];
        let size = (self.bitpix / 8).max(1) as usize;
        for voxel in self.voxels.chunks(size) {
            let mut voxel = voxel.to_vec();
            if self.big {
                voxel.reverse();
            }
            bytes.extend(voxel);
        }
        bytes.extend(&self.trailing);
        bytes
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header();
        bytes.extend(self.image());
        bytes
    }

    /// Writes `.nii`, `.nii.gz` or a pair by the name.
    pub(crate) fn write(&self, path: &Path) -> PathBuf {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).unwrap();
        }
        let name = path.to_string_lossy().into_owned();
        if name.ends_with(".hdr") {
            std::fs::write(path, self.header()).unwrap();
            std::fs::write(path.with_extension("img"), self.image()).unwrap();
        } else if name.ends_with(".gz") {
            std::fs::write(path, gzip(&self.bytes())).unwrap();
        } else {
            std::fs::write(path, self.bytes()).unwrap();
        }
        path.to_path_buf()
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The folder of real volumes, or `None` with a note.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
pub(crate) fn real_data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("VOXSHIELD_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("{test}: skipped: VOXSHIELD_DATA is not set");
    }
    folder
}

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Tensors of another implementation, from `tests/golden`.
pub(crate) struct Fixture(Vec<u8>);

impl Fixture {
    pub(crate) fn open(name: &str) -> Self {
        Self(std::fs::read(golden(name)).unwrap())
    }

    pub(crate) fn metadata(&self, key: &str) -> String {
        let (_, metadata) = SafeTensors::read_metadata(&self.0).unwrap();
        metadata.metadata().as_ref().unwrap()[key].clone()
    }

    pub(crate) fn f32<D: Dimension>(&self, name: &str) -> Array<f32, D> {
        self.array(name, Dtype::F32, f32::from_le_bytes)
    }

    pub(crate) fn u8<D: Dimension>(&self, name: &str) -> Array<u8, D> {
        self.array(name, Dtype::U8, u8::from_le_bytes)
    }

    pub(crate) fn i8<D: Dimension>(&self, name: &str) -> Array<i8, D> {
        self.array(name, Dtype::I8, i8::from_le_bytes)
    }

    fn array<T, D: Dimension, const N: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        read: fn([u8; N]) -> T,
    ) -> Array<T, D> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let view = tensors.tensor(name).unwrap();
        assert_eq!(view.dtype(), dtype, "{name}");
        let (values, rest) = view.data().as_chunks();
        assert!(rest.is_empty(), "{name}");
        let values = values.iter().map(|&bytes| read(bytes)).collect();
        let array = ArrayD::from_shape_vec(view.shape(), values).unwrap();
        array.into_dimensionality().unwrap()
    }
}

/// Names of all files in a folder, hidden ones too.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
