//! Weights in files.

mod pytorch;
mod safetensors;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

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
    write_weights(&parameters(module)?, path)
}

/// The network with the weights of a file that [`read_weights`] reads, on the device where it is.
///
/// # Errors
///
/// As [`read_weights`], and [`WeightsError::Mismatch`] if the file belongs to another network.
pub fn load_weights<M: NamedParameters>(module: M, path: &Path) -> Result<M, WeightsError> {
    load_parameters(module, &read_weights(path)?)
}

/// As [`save_weights`], for tensors that are on the host already.
///
/// # Errors
///
/// [`WeightsError::Io`], or [`WeightsError::Data`] if a tensor is not float32.
pub fn write_weights(tensors: &TensorMap, path: &Path) -> Result<(), WeightsError> {
    let bytes = safetensors::encode(tensors, None, path)?;
    // A temporary file is private by default; the weights get the permissions of any new file.
    write_atomically(path, &bytes, 0o666).map_err(|source| io_error(path, source))
}

/// As [`write_weights`], with a text that says what the weights are, for [`read_description`]. On Unix only the owner can read
/// the file: described weights are those of generators, which show what was added to published data.
///
/// # Errors
///
/// As [`write_weights`].
pub fn write_described_weights(
    tensors: &TensorMap,
    description: &str,
    path: &Path,
) -> Result<(), WeightsError> {
    let bytes = safetensors::encode(tensors, Some(description), path)?;
    write_atomically(path, &bytes, 0o600).map_err(|source| io_error(path, source))
}

/// The text that [`write_described_weights`] put into a safetensors file; `None` if there is none.
///
/// # Errors
///
/// [`WeightsError::Io`], or [`WeightsError::Format`] if it is not a safetensors file.
pub fn read_description(path: &Path) -> Result<Option<String>, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| io_error(path, source))?;
    safetensors::description(&bytes, path)
}

/// The tensors of a safetensors file, or of a checkpoint that `torch.save` wrote.
///
/// The kind of file is seen from its content. Of a checkpoint with more than weights, the weights
/// are taken: those under `network_weights` (nnU-Net), `state_dict` or `model_state_dict`. The
/// prefixes `module.` (data-parallel training) and `_orig_mod.` (`torch.compile`) are removed.
/// Integers stay integers; they and floats of any width are converted to float32 when they are
/// loaded into a network.
///
/// # Errors
///
/// [`WeightsError::Io`], [`WeightsError::Format`] or [`WeightsError::Checkpoint`] if the file cannot
/// be read, [`WeightsError::ElementType`] if a tensor has no type that Burn knows.
pub fn read_weights(path: &Path) -> Result<TensorMap, WeightsError> {
    let tensors = match is_safetensors(path).map_err(|source| io_error(path, source))? {
        true => {
            let bytes = std::fs::read(path).map_err(|source| io_error(path, source))?;
            safetensors::decode(&bytes, path)?
        }
        false => pytorch::read(path)?,
    };
    let tensors = without_prefix(tensors, "module.");
    Ok(without_prefix(tensors, "_orig_mod."))
}

/// A safetensors file begins with the length of its header and a JSON object.
fn is_safetensors(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(9).read_to_end(&mut start)?;
    Ok(start.get(8) == Some(&b'{'))
}

/// Removes `prefix` from all names, if all have it.
fn without_prefix(tensors: TensorMap, prefix: &str) -> TensorMap {
    if !tensors.keys().all(|name| name.starts_with(prefix)) {
        return tensors;
    }
    let strip = |name: String| name.strip_prefix(prefix).map(str::to_string);
    let tensors = tensors.into_iter();
    tensors
        .filter_map(|(name, data)| Some((strip(name)?, data)))
        .collect()
}

fn io_error(path: &Path, source: io::Error) -> WeightsError {
    WeightsError::Io {
        path: path.to_path_buf(),
        source,
    }
}

/// Writes a file with these permissions, where the system is a Unix.
fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".weights-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
