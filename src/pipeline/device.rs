use std::{fmt, str::FromStr};

use burn::tensor::Device;
use serde::Serialize;

use super::PipelineError;

/// What to compute on, as a user names it: `cpu`, `wgpu`, `vulkan`, `metal`, `cuda` or `cuda:N`.
///
/// There is no fall-back: a device that is not compiled in is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The CPU (feature `flex`).
    #[default]
    Cpu,
    /// The default WebGPU adapter (feature `wgpu`).
    Wgpu,
    /// The default Vulkan adapter (feature `vulkan`).
    Vulkan,
    /// The default Metal adapter (feature `metal`).
    Metal,
    /// A CUDA device by index (feature `cuda`).
    Cuda(usize),
}

/// A kind of device and whether this build has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// The name to pass.
    pub name: &'static str,
    /// The cargo feature that brings it.
    pub feature: &'static str,
    /// Whether this build has it.
    pub compiled: bool,
}

/// Every kind of device, in order of preference for a CPU user.
pub fn devices() -> Vec<DeviceInfo> {
    let info = |name, feature, compiled| DeviceInfo {
        name,
        feature,
        compiled,
    };
    vec![
        info("cpu", "flex", cfg!(feature = "flex")),
        info("cuda", "cuda", cfg!(feature = "cuda")),
        info("vulkan", "vulkan", cfg!(feature = "vulkan")),
        info("metal", "metal", cfg!(feature = "metal")),
        info("wgpu", "wgpu", cfg!(feature = "wgpu")),
    ]
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu => f.write_str("wgpu"),
            Self::Vulkan => f.write_str("vulkan"),
            Self::Metal => f.write_str("metal"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = PipelineError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let unknown = || PipelineError::Device {
            name: name.to_owned(),
            reason: "unknown; known are cpu, cuda, cuda:N, vulkan, metal, wgpu".to_owned(),
        };
        match name {
            "cpu" => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu),
            "vulkan" => Ok(Self::Vulkan),
            "metal" => Ok(Self::Metal),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let index = name.strip_prefix("cuda:").ok_or_else(unknown)?;
                Ok(Self::Cuda(index.parse().map_err(|_| unknown())?))
            }
        }
    }
}

impl DeviceChoice {
    /// The device, without autodiff. Whether the machine has it shows where something is first computed there: CubeCL panics
    /// without a driver, or for an index that no device has.
    ///
    /// # Errors
    /// [`PipelineError::Device`] if this build does not have it.
    pub fn open(self) -> Result<Device, PipelineError> {
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "metal")]
            Self::Metal => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => Ok(Device::cuda(index)),
            #[allow(unreachable_patterns, reason = "with every feature on nothing is left")]
            missing => Err(missing.not_compiled()),
        }
    }

    #[allow(dead_code, reason = "unused where every feature is on")]
    fn not_compiled(self) -> PipelineError {
        let kind = self.to_string();
        let kind = kind.split(':').next().unwrap_or_default();
        let all = devices();
        let feature = all
            .iter()
            .find(|d| d.name == kind)
            .map_or("", |d| d.feature);
        let have: Vec<&str> = all.iter().filter(|d| d.compiled).map(|d| d.name).collect();
        PipelineError::Device {
            name: self.to_string(),
            reason: format!(
                "not in this build, which has: {}; build with --features {feature}",
                have.join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_print_back() {
        for name in ["cpu", "wgpu", "vulkan", "metal", "cuda:3"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        for name in ["gpu", "cuda:x", ""] {
            assert!(name.parse::<DeviceChoice>().is_err(), "{name}");
        }
    }
}
