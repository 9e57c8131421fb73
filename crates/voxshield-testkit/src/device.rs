use burn::tensor::Device;

/// The device under test: what the environment variable `VOXSHIELD_TEST_DEVICE` names (`cpu`, `cuda`,
/// `vulkan`, `metal` or `wgpu`), or else the enabled feature's.
///
/// `cuda`, `metal`, `vulkan` and `wgpu` are taken in this order when enabled; without any of them
/// it is `flex`, the CPU. The device carries no autodiff: call `.autodiff()` on it for gradients.
///
/// The same test then runs everywhere:
/// `cargo test -p voxshield-models --features voxshield-testkit/cuda`.
///
/// # Panics
///
/// If the variable names a device that is not compiled in.
pub fn device() -> Device {
    match std::env::var("VOXSHIELD_TEST_DEVICE") {
        Ok(name) => named(&name).unwrap_or_else(|| {
            panic!("VOXSHIELD_TEST_DEVICE={name}: not in this build of the tests")
        }),
        Err(_) => preferred(),
    }
}

fn named(name: &str) -> Option<Device> {
    match name {
        #[cfg(feature = "flex")]
        "cpu" => Some(Device::flex()),
        #[cfg(feature = "cuda")]
        "cuda" => Some(Device::cuda(burn::tensor::DeviceIndex::Default)),
        #[cfg(feature = "metal")]
        "metal" => Some(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        _ => None,
    }
}

fn preferred() -> Device {
    #[cfg(feature = "cuda")]
    return Device::cuda(burn::tensor::DeviceIndex::Default);
    #[cfg(all(feature = "metal", not(feature = "cuda")))]
    return Device::metal(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(all(feature = "vulkan", not(any(feature = "cuda", feature = "metal"))))]
    return Device::vulkan(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(all(
        feature = "wgpu",
        not(any(feature = "cuda", feature = "metal", feature = "vulkan"))
    ))]
    return Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(all(feature = "flex", not(any(feature = "cuda", feature = "wgpu"))))]
    return Device::flex();
    #[cfg(not(any(feature = "flex", feature = "cuda", feature = "wgpu")))]
    compile_error!(
        "enable one device feature of voxshield-testkit: flex, wgpu, vulkan, metal or cuda"
    );
}
