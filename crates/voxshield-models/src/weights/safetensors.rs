use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Bytes, DType, TensorData};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

use crate::{TensorMap, WeightsError};

/// The key of the description among the file's metadata.
const DESCRIPTION: &str = "voxshield";

/// A description takes the place of the usual `format`: metadata of several keys has no fixed order, and equal weights are to
/// give equal bytes.
pub(super) fn encode(
    tensors: &TensorMap,
    description: Option<&str>,
    path: &Path,
) -> Result<Vec<u8>, WeightsError> {
    let mut stored = Vec::with_capacity(tensors.len());
    for (name, data) in tensors {
        let values = data.as_slice::<f32>().map_err(|error| WeightsError::Data {
            name: name.clone(),
            reason: error.to_string(),
        })?;
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        stored.push((name, data.shape().to_vec(), bytes));
    }
    let (key, value) = match description {
        Some(text) => (DESCRIPTION, text),
        None => ("format", "pt"),
    };
    let metadata = HashMap::from([(key.to_string(), value.to_string())]);
    let views = stored
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, SafeTensorError>>();
    views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|source| format_error(path, source))
}

pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<TensorMap, WeightsError> {
    let file = SafeTensors::deserialize(bytes).map_err(|source| format_error(path, source))?;
    let mut tensors = TensorMap::new();
    for (name, view) in file.iter() {
        let Some(dtype) = burn_dtype(view.dtype()) else {
            return Err(WeightsError::ElementType {
                path: path.to_path_buf(),
                name: name.to_string(),
                found: view.dtype().to_string(),
            });
        };
        let bytes = Bytes::from_bytes_vec(view.data().to_vec());
        let data = TensorData::from_bytes(bytes, view.shape().to_vec(), dtype);
        tensors.insert(name.to_string(), data);
    }
    Ok(tensors)
}

pub(super) fn description(bytes: &[u8], path: &Path) -> Result<Option<String>, WeightsError> {
    let (_, header) =
        SafeTensors::read_metadata(bytes).map_err(|source| format_error(path, source))?;
    let metadata = header.metadata().as_ref();
    Ok(metadata
        .and_then(|metadata| metadata.get(DESCRIPTION))
        .cloned())
}

fn burn_dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U8 => DType::U8,
        _ => return None,
    })
}

fn format_error(path: &Path, source: SafeTensorError) -> WeightsError {
    WeightsError::Format {
        path: path.to_path_buf(),
        source,
    }
}
