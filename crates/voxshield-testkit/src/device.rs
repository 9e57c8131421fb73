use burn::tensor::Device;

/// The device under test, chosen by the enabled feature.
///
/// `cuda`, `metal`, `vulkan` and `wgpu` are taken in this order when enabled; without any of them
/// it is `flex`, the CPU. The device carries no autodiff: call `.autodiff()` on it for gradients.
///
/// The same test then runs everywhere:
/// `cargo test -p voxshield-models --features voxshield-testkit/cuda`.
pub fn device() -> Device {
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
