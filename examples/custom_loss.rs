//! Adds a term of one's own to the noise generator's loss: here total variation along the slice
//! axis is rewarded, which pushes neighbouring slices apart without any Fourier transform. Then protects
//! a folder with the generator.
//!
//! `cargo run --release --features flex --example custom_loss`
#![allow(clippy::print_stdout, reason = "an example shows its result")]
use voxshield::{
    burn::tensor::Tensor,
    data::{PhantomConfig, phantom, write_phantom_dataset},
    perturb::{
        Bilevel, BilevelConfig, Event, InMemory, NoiseStep, PerturbError, SurrogateConfig, Term,
        TrainingVolume,
    },
    pipeline::{
        DeviceChoice, Method, NormalisationChoice, ProtectOptions, SavedGenerator, protect, verify,
    },
};

/// The intensity that becomes 1, in file units.
const BRIGHTEST: f32 = 1200.0;

/// `-mean |delta_{z+1} - delta_z| / epsilon`.
struct SliceContrast {
    epsilon: f64,
}

impl Term for SliceContrast {
    fn name(&self) -> &'static str {
        "slice_contrast"
    }

    fn weight(&self) -> f64 {
        50.0
    }

    fn value(&self, step: &NoiseStep) -> Result<Tensor<1>, PerturbError> {
        let depth = step.delta.dims()[2];
        let upper = step.delta.clone().narrow(2, 1, depth - 1);
        let lower = step.delta.clone().narrow(2, 0, depth - 1);
        Ok((upper - lower).abs().mean() / -self.epsilon)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = DeviceChoice::Cpu.open()?;
    let shape = [16, 24, 24];
    let volumes = (0..2)
        .map(|case| {
            let phantom = phantom(&PhantomConfig::new(shape, 3), case);
            let normalised = |v: &f32| (v / BRIGHTEST).clamp(0.0, 1.0);
            TrainingVolume {
                image: phantom.image.iter().map(normalised).collect(),
                labels: phantom.label.iter().map(|&l| i32::from(l)).collect(),
                support: phantom
                    .label
                    .iter()
                    .map(|&l| f32::from(u8::from(l > 0)))
                    .collect(),
                channels: 1,
                shape,
            }
        })
        .collect();
    let config = BilevelConfig {
        common: SurrogateConfig {
            rounds: 8,
            surrogate_steps: 2,
            batch: 2,
            patch: [16; 3],
            ..SurrogateConfig::compact()
        },
        ..BilevelConfig::compact()
    };
    let term = SliceContrast {
        epsilon: config.common.epsilon,
    };
    let bilevel = Bilevel::new(config.clone(), 1, 3, &device)?.with_term(Box::new(term));
    let trained = bilevel.run(&mut InMemory::new(volumes)?, &mut |event| {
        if let Event::RoundFinished(round) = event {
            println!("round {}: {:?}", round.round, round.terms);
        }
    })?;
    let contrast = |round: usize| trained.history[round].terms.last().map_or(0.0, |t| t.1);
    println!("slice contrast {:.4} -> {:.4}", -contrast(0), -contrast(7));
    if contrast(7) >= contrast(0) {
        return Err("the term did not move".into());
    }

    let folder = tempfile::tempdir()?;
    let [clean, out, file] =
        ["clean", "protected", "generator.safetensors"].map(|n| folder.path().join(n));
    write_phantom_dataset(&clean, 2, &PhantomConfig::new(shape, 4))?;
    // What the generator was trained for: the labels as support, the volumes normalised as above.
    let trained_for = ProtectOptions {
        method: Method::Bilevel(config),
        normalisation: NormalisationChoice::Window {
            lo: 0.0,
            hi: BRIGHTEST.into(),
        },
        ..ProtectOptions::default()
    };
    let saved = SavedGenerator::save(&file, &trained.generator, 1, &trained_for)?;
    let options = ProtectOptions::default().with_generator(saved);
    let manifest = protect(&clean, &out, &options, &mut |_| {})?;
    println!("{} cases protected", manifest.cases.len());
    if manifest.cases.len() != 2 || !verify(&clean, &out, &mut |_| {})?.is_kept() {
        return Err("the folder is not protected".into());
    }
    Ok(())
}
