//! Weights in safetensors files.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use burn::tensor::TensorData;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

use crate::{NamedParameters, TensorMap, WeightsError, load_parameters, parameters};

/// Writes the weights of a network to a safetensors file, under the names of its PyTorch model.
///
/// `model.load_state_dict(safetensors.torch.load_file(path))` reads them into MONAI's network. The
/// file is written beside `path`, synchronised and renamed: at any moment `path` is the old file
/// or the complete new one.
///
/// # Errors
///
/// [`WeightsError::Io`], or [`WeightsError::Data`] if the device cannot be read.
pub fn save_weights<M: NamedParameters>(module: &M, path: &Path) -> Result<(), WeightsError> {
    let bytes = encode(&parameters(module)?, path)?;
    write_atomically(path, &bytes).map_err(|source| WeightsError::Io {
        path: path.to_path_buf(),
        source,
    })
}

/// The network with the weights of a safetensors file, on the device where it is.
///
/// # Errors
///
/// [`WeightsError::Io`] or [`WeightsError::Format`] if the file cannot be read,
/// [`WeightsError::ElementType`] if a tensor is not float32, and [`WeightsError::Mismatch`] if the
/// file belongs to another network.
pub fn load_weights<M: NamedParameters>(module: M, path: &Path) -> Result<M, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| WeightsError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    load_parameters(module, &decode(&bytes, path)?)
}

fn encode(tensors: &TensorMap, path: &Path) -> Result<Vec<u8>, WeightsError> {
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
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let views = stored
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, SafeTensorError>>();
    views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|source| WeightsError::Format {
            path: path.to_path_buf(),
            source,
        })
}

fn decode(bytes: &[u8], path: &Path) -> Result<TensorMap, WeightsError> {
    let file = SafeTensors::deserialize(bytes).map_err(|source| WeightsError::Format {
        path: path.to_path_buf(),
        source,
    })?;
    let mut tensors = TensorMap::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(WeightsError::ElementType {
                path: path.to_path_buf(),
                name: name.to_string(),
                found: view.dtype().to_string(),
            });
        }
        let (chunks, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = chunks
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect();
        tensors.insert(name.to_string(), TensorData::new(values, view.shape()));
    }
    Ok(tensors)
}

fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".weights-").suffix(".tmp");
    // A temporary file is private by default; the weights get the permissions of any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
