//! Protects one in-memory volume through the library: no files, no command line.
//!
//! `cargo run --release --features flex --example quickstart`
#![allow(clippy::print_stdout, reason = "an example shows its result")]
use voxshield::{
    eval::metrics,
    perturb::{
        Bilevel, BilevelConfig, Budget, InMemory, Support, SurrogateConfig, TileConfig,
        TrainingVolume, generate,
    },
    pipeline::DeviceChoice,
};

const SHAPE: [usize; 3] = [16, 24, 24];

/// A bright ball in a dim box: `[channel = 1, depth, height, width]` in 0..1, and its labels.
fn ball() -> (Vec<f32>, Vec<u16>) {
    let [depth, height, width] = SHAPE;
    let mut image = Vec::new();
    let mut labels = Vec::new();
    for z in 0..depth {
        for y in 0..height {
            for x in 0..width {
                let square = |a: usize, n: usize| (a as f32 - n as f32 / 2.0).powi(2);
                let inside = square(z, depth) + square(y, height) + square(x, width) < 36.0;
                let texture = ((z * 7 + y * 3 + x * 5) % 11) as f32 / 110.0;
                image.push(texture + if inside { 0.6 } else { 0.3 });
                labels.push(u16::from(inside));
            }
        }
    }
    (image, labels)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = DeviceChoice::Cpu.open()?;
    let (image, labels) = ball();
    let support = Support::Roi.mask(&image, &labels, SHAPE, 0)?;
    let volume = TrainingVolume {
        image: image.clone(),
        labels: labels.iter().map(|&label| i32::from(label)).collect(),
        support: support.clone(),
        channels: 1,
        shape: SHAPE,
    };
    let config = BilevelConfig {
        common: SurrogateConfig {
            rounds: 4,
            batch: 2,
            patch: [16, 16, 16],
            ..SurrogateConfig::compact()
        },
        ..BilevelConfig::compact()
    };
    let mut source = InMemory::new(vec![volume])?;
    let trained = Bilevel::new(config.clone(), 1, 2, &device)?.run(&mut source, &mut |_| {})?;

    let tiles = TileConfig::new(config.common.patch);
    let mut delta = generate(
        &trained.generator,
        &image,
        &labels,
        1,
        SHAPE,
        tiles,
        &device,
    )?;
    Budget::new(config.common.epsilon)?.clip(&image, &support, &mut delta)?;
    let protected: Vec<f32> = image.iter().zip(&delta).map(|(x, d)| x + d).collect();

    let largest = delta.iter().fold(0f32, |a, d| a.max(d.abs()));
    println!(
        "largest |delta| {largest:.5} of {:.5}",
        config.common.epsilon
    );
    println!("PSNR {:.2} dB", metrics::psnr(&image, &protected)?);
    // In the precision of delta, in which epsilon may round upwards.
    if largest == 0.0 || largest > config.common.epsilon as f32 {
        return Err("the perturbation is not within the budget".into());
    }
    Ok(())
}
