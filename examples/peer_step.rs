//! Times one S-step and one N-step with the paper's networks; a PyTorch peer, which is not part of this repository, prints the same JSON.
//!
//! ```sh
//! cargo run --release --example peer_step --features flex -- --size 64 --threads 2
//! ```
//!
//! `--size N`, `--batch N`, `--channels N`, `--classes N`, `--threads N`, `--reps N`,
//! `--device cpu|vulkan|wgpu|metal|cuda`, `--precision f32|bf16`, `--checkpointing on|off`.
//! `benches/peer.sh` runs both in turn.
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::{error::Error, time::Instant};

use serde_json::{Value, json};
use voxshield::burn::tensor::{Device, Int, Tensor, TensorData};
use voxshield::kernels::{IscScaling, inter_slice_divergence};
use voxshield::models::{NoiseGeneratorConfig, Precision, ResidualUnetConfig};
use voxshield::perturb::{Batch, Budget, NoiseLearner, SurrogateLearner, View, voxshield_terms};
use voxshield::pipeline::DeviceChoice;

const EPSILON: f64 = 4.0 / 255.0;

fn main() -> Result<(), Box<dyn Error>> {
    let option = |name: &str, default: &str| {
        let mut args = std::env::args().skip_while(|arg| arg != name);
        args.nth(1).unwrap_or_else(|| default.to_owned())
    };
    let number = |name: &str, default: &str| option(name, default).parse::<usize>();
    let (size, batch) = (number("--size", "64")?, number("--batch", "1")?);
    let (channels, classes) = (number("--channels", "1")?, number("--classes", "5")?);
    let (threads, reps) = (number("--threads", "2")?, number("--reps", "5")?);
    let name = option("--device", "cpu");
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()?;
    let device = name.parse::<DeviceChoice>()?.open()?;
    let precision: Precision = option("--precision", "f32").parse()?;
    precision.check(&device)?;
    let checkpointing = match option("--checkpointing", "off").as_str() {
        "on" => true,
        "off" => false,
        other => return Err(format!("--checkpointing {other}: expected on or off").into()),
    };

    let mut tracked = device.clone().autodiff();
    if checkpointing {
        tracked = tracked.gradient_checkpointing();
    }
    let surrogate = ResidualUnetConfig::surrogate(channels, classes).init(0, &tracked)?;
    let surrogate = precision.apply(Box::new(surrogate));
    let generator = NoiseGeneratorConfig::new(channels, EPSILON).init(1, &tracked)?;
    let generator = generator.with_precision(precision);
    let budget = Budget::new(EPSILON)?;
    let mut surrogate = SurrogateLearner::new(surrogate, 5e-4, budget);
    let terms = voxshield_terms(0.2, IscScaling::Reference, 1, 0.05);
    let mut noise = NoiseLearner::new(generator, 1e-4, budget, terms);
    let batch_of = phantom(size, batch, channels, classes, &device);

    let mut delta = noise.delta(&batch_of);
    let s_step = timed(reps, &device, || {
        surrogate
            .step(&batch_of, delta.clone(), &View::identity())
            .map(drop)
    })?;
    let n_step = timed(reps, &device, || {
        noise.step(&batch_of, surrogate.network(), &View::identity())?;
        delta = noise.delta(&batch_of);
        Ok::<_, voxshield::perturb::PerturbError>(())
    })?;
    let full = batch_of.support.ones_like().autodiff();
    let frequency_loss = timed(reps, &device, || {
        let leaf = delta.clone().autodiff().require_grad();
        let value = inter_slice_divergence(leaf.clone(), &full, IscScaling::Reference)?;
        leaf.grad(&value.backward());
        Ok::<_, voxshield::kernels::KernelError>(())
    })?;
    let result = json!({
        "config": {"size": size, "batch": batch, "channels": channels, "classes": classes,
                   "device": name, "threads": threads, "reps": reps,
                   "precision": precision, "checkpointing": checkpointing},
        "voxshield": env!("CARGO_PKG_VERSION"),
        "s_step": s_step, "n_step": n_step, "frequency_loss": frequency_loss,
        "peak_bytes": peak_bytes(),
    });
    println!("{result}");
    Ok(())
}

/// Median and minimum seconds, after two runs to warm up.
fn timed<E>(
    reps: usize,
    device: &Device,
    mut run: impl FnMut() -> Result<(), E>,
) -> Result<Value, Box<dyn Error>>
where
    E: Error + 'static,
{
    let mut seconds = Vec::with_capacity(reps);
    for rep in 0..reps + 2 {
        device.sync()?;
        let start = Instant::now();
        run()?;
        device.sync()?;
        if rep >= 2 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    let median = (seconds[(reps - 1) / 2] + seconds[reps / 2]) / 2.0;
    Ok(json!({"median_s": median, "min_s": seconds[0]}))
}

/// The peer's batch: noise, with a box for every class.
fn phantom(n: usize, batch: usize, channels: usize, classes: usize, device: &Device) -> Batch {
    let voxels = n * n * n;
    let image: Vec<f32> = (0..batch * channels * voxels)
        .map(|i| (i as u32).wrapping_mul(0x9E37_79B9) as f32 / u32::MAX as f32)
        .collect();
    let label = |i: usize| {
        let [z, y, x] = [i / (n * n), i / n % n, i % n];
        let inside = |v: usize| v >= n / 4 && v < 3 * (n / 4);
        let class = (1..classes).rev().find(|k| {
            let start = (k - 1) * n / classes + n / 10;
            (start..start + n / 6).contains(&z)
        });
        class.filter(|_| inside(y) && inside(x)).unwrap_or(0)
    };
    let labels: Vec<i32> = (0..batch * voxels)
        .map(|i| label(i % voxels) as i32)
        .collect();
    let support: Vec<f32> = labels.iter().map(|&l| f32::from(u8::from(l > 0))).collect();
    let data = |values, channels| TensorData::new(values, [batch, channels, n, n, n]);
    Batch {
        image: Tensor::from_data(data(image, channels), device),
        labels: Tensor::<4, Int>::from_data(TensorData::new(labels, [batch, n, n, n]), device),
        support: Tensor::from_data(data(support, 1), device),
    }
}

/// The largest resident set, where the system says it.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
