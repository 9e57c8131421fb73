use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

/// One file of `tests/golden`: tensors computed by another implementation.
///
/// Tensors are `[batch, channel, depth, height, width]`, labels are integers
/// `[batch, depth, height, width]`. `tests/golden/README.md` says how each file was made and how
/// closely a float32 implementation has to agree with it.
///
/// `VOXSHIELD_GOLDEN` names another folder, for tests that run where they were not built.
///
/// # Panics
///
/// Every method panics, naming the file and the tensor, if the file is missing or damaged, if the
/// tensor is absent, or if its rank or its type is not the requested one.
#[derive(Debug)]
pub struct Golden {
    name: String,
    bytes: Vec<u8>,
}

impl Golden {
    /// Opens `tests/golden/<name>.safetensors` of the workspace.
    pub fn open(name: &str) -> Self {
        let golden = Self {
            name: name.to_string(),
            bytes: read(&format!("{name}.safetensors")),
        };
        golden.file();
        golden
    }

    /// Reads `tests/golden/<name>.json`: scalars that belong to the safetensors file of that name.
    pub fn json(name: &str) -> Value {
        serde_json::from_slice(&read(&format!("{name}.json")))
            .unwrap_or_else(|error| panic!("golden {name}.json: not JSON: {error}"))
    }

    /// The tensor `key` as floats on `device`, with its stored shape.
    pub fn tensor<const D: usize>(&self, key: &str, device: &Device) -> Tensor<D> {
        let shape: [usize; D] = self.fixed_shape(key);
        Tensor::from_data(TensorData::new(self.values(key), shape), device)
    }

    /// The tensor `key` as integers on `device`, with its stored shape.
    pub fn int_tensor<const D: usize>(&self, key: &str, device: &Device) -> Tensor<D, Int> {
        let shape: [usize; D] = self.fixed_shape(key);
        Tensor::from_data(TensorData::new(self.ints(key), shape), device)
    }

    /// All tensors whose keys start with `prefix`, by the rest of the key: the weights of a network.
    pub fn tensors(&self, prefix: &str) -> BTreeMap<String, TensorData> {
        let keys = self.keys().into_iter();
        keys.filter_map(|key| {
            let name = key.strip_prefix(prefix)?.to_string();
            Some((name, TensorData::new(self.values(&key), self.shape(&key))))
        })
        .collect()
    }

    /// The values of an integer tensor (uint8, int8, int32 or int64) in C order.
    pub fn ints(&self, key: &str) -> Vec<i64> {
        let view = self.view(key);
        let data = view.data();
        match view.dtype() {
            Dtype::U8 => data.iter().map(|&v| i64::from(v)).collect(),
            Dtype::I8 => data.iter().map(|&v| i64::from(v.cast_signed())).collect(),
            Dtype::I32 => numbers(data, |b| i64::from(i32::from_le_bytes(b))),
            Dtype::I64 => numbers(data, i64::from_le_bytes),
            other => panic!(
                "golden {}: {key}: expected integers, got {other:?}",
                self.name
            ),
        }
    }

    /// The values of a float32 tensor, or of an integer one converted to floats, in C order.
    pub fn values(&self, key: &str) -> Vec<f32> {
        let view = self.view(key);
        match view.dtype() {
            Dtype::F32 => numbers(view.data(), f32::from_le_bytes),
            Dtype::U8 => view.data().iter().map(|&v| f32::from(v)).collect(),
            Dtype::I8 => view
                .data()
                .iter()
                .map(|&v| f32::from(v.cast_signed()))
                .collect(),
            other => panic!(
                "golden {}: {key}: expected float32, got {other:?}",
                self.name
            ),
        }
    }

    /// The stored shape of `key`.
    pub fn shape(&self, key: &str) -> Vec<usize> {
        self.view(key).shape().to_vec()
    }

    /// All tensor names, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.file().names().into_iter().map(String::from).collect();
        keys.sort_unstable();
        keys
    }

    /// Whether the file holds a tensor `key`.
    pub fn has(&self, key: &str) -> bool {
        self.file().tensor(key).is_ok()
    }

    /// The entry `key` of the file's metadata, parsed: each entry is stored as a JSON text.
    pub fn metadata(&self, key: &str) -> Value {
        let (_, header) = SafeTensors::read_metadata(&self.bytes)
            .unwrap_or_else(|error| panic!("golden {}: {error}", self.name));
        let text = header
            .metadata()
            .as_ref()
            .and_then(|entries| entries.get(key))
            .unwrap_or_else(|| panic!("golden {}: no metadata entry {key}", self.name));
        serde_json::from_str(text)
            .unwrap_or_else(|error| panic!("golden {}: metadata {key}: {error}", self.name))
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes)
            .unwrap_or_else(|error| panic!("golden {}: {error}", self.name))
    }

    fn view(&self, key: &str) -> TensorView<'_> {
        self.file()
            .tensor(key)
            .unwrap_or_else(|error| panic!("golden {}: {key}: {error}", self.name))
    }

    fn fixed_shape<const D: usize>(&self, key: &str) -> [usize; D] {
        let shape = self.shape(key);
        shape.as_slice().try_into().unwrap_or_else(|_| {
            panic!(
                "golden {}: {key}: expected rank {D}, got {shape:?}",
                self.name
            )
        })
    }
}

fn numbers<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| convert(chunk)).collect()
}

fn read(file: &str) -> Vec<u8> {
    let folder = match std::env::var_os("VOXSHIELD_GOLDEN") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden"),
    };
    let path = folder.join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("golden {}: {error}", path.display()))
}
