use std::io;
use std::path::Path;

use burn::tensor::{Bytes, DType as BurnType, TensorData};
use pytorch_reader::{DType, PytorchError, PytorchReader};

use crate::{TensorMap, WeightsError};

/// Where checkpoints of a whole training keep their weights.
const WEIGHT_KEYS: [&str; 3] = ["network_weights.", "state_dict.", "model_state_dict."];

pub(super) fn read(path: &Path) -> Result<TensorMap, WeightsError> {
    let reader = PytorchReader::new(path).map_err(|source| WeightsError::Checkpoint {
        path: path.to_path_buf(),
        source,
    })?;
    let tensors = reader.tensors();
    let has = |key: &&str| tensors.keys().any(|name| name.starts_with(key));
    let key = WEIGHT_KEYS.into_iter().find(|key| has(key)).unwrap_or("");
    let mut found = TensorMap::new();
    for (path_in_file, tensor) in tensors {
        let Some(name) = path_in_file.strip_prefix(key) else {
            continue;
        };
        let Some(dtype) = burn_dtype(tensor.dtype()) else {
            return Err(WeightsError::ElementType {
                path: path.to_path_buf(),
                name: name.to_string(),
                found: format!("{:?}", tensor.dtype()),
            });
        };
        let bytes = tensor.read().map_err(|source| damaged(path, source))?;
        let bytes = Bytes::from_bytes_vec(bytes);
        let data = TensorData::from_bytes(bytes, tensor.shape().to_vec(), dtype);
        found.insert(name.to_string(), data);
    }
    Ok(found)
}

fn damaged(path: &Path, source: io::Error) -> WeightsError {
    WeightsError::Checkpoint {
        path: path.to_path_buf(),
        source: PytorchError::Io(source),
    }
}

fn burn_dtype(dtype: DType) -> Option<BurnType> {
    Some(match dtype {
        DType::F64 => BurnType::F64,
        DType::F32 => BurnType::F32,
        DType::F16 => BurnType::F16,
        DType::BF16 => BurnType::BF16,
        DType::I64 => BurnType::I64,
        DType::I32 => BurnType::I32,
        DType::I16 => BurnType::I16,
        DType::I8 => BurnType::I8,
        DType::U64 => BurnType::U64,
        DType::U32 => BurnType::U32,
        DType::U16 => BurnType::U16,
        DType::U8 => BurnType::U8,
        DType::Bool => return None,
    })
}
