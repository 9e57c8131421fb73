use std::path::Path;

use burn::tensor::{Bytes, DType as BurnType, TensorData};
use voxshield_pytorch::{
    check_checkpoint,
    pytorch_reader::{DType, PytorchError, PytorchReader},
};

use super::io_error;
use crate::{TensorMap, WeightsError};

/// Where checkpoints of a whole training keep their weights.
const WEIGHT_KEYS: [&str; 3] = ["network_weights.", "state_dict.", "model_state_dict."];

/// The weights may take so many times the length of their file: nnU-Net's checkpoints name each of them four times.
const MOST_COPIES: u64 = 16;

pub(super) fn read(path: &Path) -> Result<TensorMap, WeightsError> {
    let unreadable = |source| unreadable(path, source);
    let length = check_checkpoint(path).map_err(|error| match error {
        PytorchError::Io(source) => io_error(path, source),
        error => unreadable(error),
    })?;
    let reader = PytorchReader::new(path).map_err(unreadable)?;
    let tensors = reader.tensors();
    let has = |key: &&str| tensors.keys().any(|name| name.starts_with(key));
    let key = WEIGHT_KEYS.into_iter().find(|key| has(key)).unwrap_or("");
    let weights = || {
        let all = tensors.iter();
        all.filter_map(|(name, tensor)| Some((name.strip_prefix(key)?, tensor)))
    };
    // A view may repeat few bytes many times, and many tensors may be the same bytes.
    let bytes = weights().fold(0u64, |sum, (_, tensor)| {
        sum.saturating_add(tensor.byte_len() as u64)
    });
    if bytes > length.saturating_mul(MOST_COPIES) {
        let reason = format!("{bytes} bytes of weights in a file of {length}");
        return Err(unreadable(PytorchError::InvalidFormat(reason)));
    }
    let mut found = TensorMap::new();
    for (name, tensor) in weights() {
        let Some(dtype) = burn_dtype(tensor.dtype()) else {
            return Err(WeightsError::ElementType {
                path: path.to_path_buf(),
                name: name.to_string(),
                found: format!("{:?}", tensor.dtype()),
            });
        };
        let bytes = tensor.read().map_err(|error| unreadable(error.into()))?;
        let bytes = Bytes::from_bytes_vec(bytes);
        let data = TensorData::from_bytes(bytes, tensor.shape().to_vec(), dtype);
        found.insert(name.to_string(), data);
    }
    Ok(found)
}

fn unreadable(path: &Path, source: PytorchError) -> WeightsError {
    WeightsError::Checkpoint {
        path: path.to_path_buf(),
        source,
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
