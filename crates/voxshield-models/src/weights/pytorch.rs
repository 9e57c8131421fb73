use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use burn::tensor::{Bytes, DType as BurnType, TensorData};
use pytorch_reader::{DType, PytorchError, PytorchReader};
use zip::ZipArchive;

use super::io_error;
use crate::{TensorMap, WeightsError};

/// Where checkpoints of a whole training keep their weights.
const WEIGHT_KEYS: [&str; 3] = ["network_weights.", "state_dict.", "model_state_dict."];

/// The weights may take so many times the length of their file: nnU-Net's checkpoints name each of them four times.
const MOST_COPIES: u64 = 16;

pub(super) fn read(path: &Path) -> Result<TensorMap, WeightsError> {
    let unreadable = |source| unreadable(path, source);
    let length = check_container(path)?;
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

/// The file's length, if its archive unpacks to no more than that. pytorch-reader would unpack a hundred MiB of deflated pickle, and sparse
/// TAR entries of any length.
fn check_container(path: &Path) -> Result<u64, WeightsError> {
    let io = |source| io_error(path, source);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut start = Vec::new();
    (&file).take(262).read_to_end(&mut start).map_err(io)?;
    let refuse = |reason: &str| {
        let advice = "; open it in PyTorch and save it again with torch.save";
        Err(unreadable(
            path,
            PytorchError::InvalidFormat(format!("{reason}{advice}")),
        ))
    };
    if !(start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")) {
        return match start.get(257..) == Some(b"ustar") {
            true => refuse("TAR archives, of PyTorch before 0.1.10, are not read"),
            false => Ok(length),
        };
    }
    let zip = |error: zip::result::ZipError| unreadable(path, error.into());
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(zip)?;
    let mut unpacked = 0u64;
    for entry in 0..archive.len() {
        let size = archive.by_index_raw(entry).map_err(zip)?.size();
        unpacked = unpacked.saturating_add(size);
    }
    match unpacked <= length {
        true => Ok(length),
        false => refuse("the archive is compressed, or says that it is longer than the file"),
    }
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
