use anyhow::{bail, ensure};
use voxshield::{
    data::{MANIFEST_NAME, Manifest, SigningKey},
    perturb::{
        BilevelConfig, GeneratorKind, MethodKind, PerturbationMethod, PgdConfig, Scale, Schedule,
        SharedBy, SharedNoiseConfig, SurrogateConfig,
    },
    pipeline::{
        GeneratorTarget, Method, ProtectOptions, SavedGenerator, SurrogateWeights, protect,
    },
};

use super::{seed::about_seed, signing};
use crate::{
    args::{Format, Preset, ProtectArgs, ProtectionArgs},
    output::{self, Outcome},
    progress::Progress,
};

pub(super) fn run(args: &ProtectArgs, format: Format, quiet: bool) -> anyhow::Result<Outcome> {
    let mut options = options(&args.protection)?;
    options.resume = args.resume || args.shard.is_some();
    options.shard = args.shard;
    for recipient in &args.unlock_to {
        options.unlock_to.add(recipient)?;
    }
    for file in &args.unlock_to_file {
        options.unlock_to.add_file(file)?;
    }
    let key = args.sign.as_deref().map(SigningKey::open).transpose()?;
    ensure!(
        !(options.resume && args.protection.seed.is_some_and(|seed| seed.drawn)),
        "--seed random: a run that goes on, and all shards of one, need the same seed; pass the number that was drawn, or one of your own"
    );
    if let Some(note) = about_seed(&args.protection, &options.method) {
        output::note(note);
    }
    let progress = Progress::new(quiet);
    let manifest = protect(&args.dataset, &args.output, &options, &mut |event| {
        progress.protect(&event)
    });
    progress.finish();
    let manifest = manifest?;
    if let Some(key) = key {
        if args.resume {
            signing::check(args, options.max_memory)?;
        }
        let path = args.output.join(MANIFEST_NAME);
        key.sign(&path, &manifest.to_bytes(&path)?)?;
    } else if args.resume
        && let Some(note) = signing::about(&args.output)
    {
        output::note(note);
    }
    if format == Format::Json {
        output::json(&manifest)?;
    } else {
        summary(&manifest);
    }
    if let Some(shard) = args.shard {
        output::note(format!(
            "shard {shard} is done; when all are, the same command with --resume in place of --shard completes the output"
        ));
    }
    Ok(Outcome::of(manifest.failed.is_empty()))
}

/// The paper's bound, 4/255 of the intensity range.
const EPSILON: f64 = 4.0 / 255.0;

pub(super) fn options(args: &ProtectionArgs) -> anyhow::Result<ProtectOptions> {
    let epsilon = args.epsilon.unwrap_or(EPSILON);
    let common = ProtectOptions {
        device: args.device,
        max_memory: args.max_memory,
        labels: args.labels.unwrap_or_default(),
        label_weights: args.label_weights.clone().unwrap_or_default(),
        ..ProtectOptions::default()
    };
    if let Some(path) = &args.generator {
        meaningful(args, None)?;
        let saved = SavedGenerator::open(path)?;
        if let Some(epsilon) = args.epsilon {
            saved.expect_epsilon(epsilon)?;
        }
        // What is asked for otherwise is refused, and not overheard.
        let mut options = common.with_generator(saved);
        set(&mut options.support, args.support);
        set(&mut options.labels, args.labels);
        set(&mut options.label_weights, args.label_weights.clone());
        set(&mut options.normalisation, args.normalise);
        return Ok(options);
    }
    let kind = PerturbationMethod::find(&args.method).map(PerturbationMethod::kind);
    meaningful(args, kind)?;
    let ProtectOptions {
        mut method,
        support,
        ..
    } = ProtectOptions::of(&args.method, epsilon, seed(args).unwrap_or_default())?;
    match &mut method {
        Method::Random { noise, .. } => set(noise, args.noise),
        Method::Bilevel(config) => *config = bilevel(args, config.generator, epsilon),
        Method::SharedNoise(config) => *config = shared_noise(args, config.shared_by, epsilon)?,
        Method::SampleWise(config) => *config = sample_wise(args, epsilon)?,
        Method::ClosedForm { .. } | Method::SavedGenerator(_) => {}
    }
    let weights = args.surrogate_weights.as_deref();
    Ok(ProtectOptions {
        method,
        support: args.support.unwrap_or(support),
        normalisation: args.normalise.unwrap_or_default(),
        surrogate_weights: weights.map(SurrogateWeights::open).transpose()?,
        save_generator: args.save_generator.as_deref().map(GeneratorTarget::new),
        ..common
    })
}

/// An error naming the flags that were given and mean nothing for the method; `None` is a saved generator.
fn meaningful(args: &ProtectionArgs, kind: Option<MethodKind>) -> anyhow::Result<()> {
    let generator = matches!(kind, Some(MethodKind::Bilevel(_)));
    let sample_wise = kind == Some(MethodKind::SampleWise);
    let shared = matches!(kind, Some(MethodKind::Shared(_)));
    let surrogate = generator || sample_wise || shared;
    let random = kind == Some(MethodKind::Random);
    let flags = [
        // A saved generator has a seed of its own.
        ("--seed", args.seed.is_some(), kind.is_some()),
        ("--noise", args.noise.is_some(), random),
        ("--preset", args.preset.is_some(), surrogate),
        ("--surrogate", !args.surrogate.is_empty(), surrogate),
        (
            "--surrogate-weights",
            args.surrogate_weights.is_some(),
            surrogate,
        ),
        (
            "--surrogate-steps",
            args.surrogate_steps.is_some(),
            surrogate,
        ),
        ("--surrogate-rate", args.surrogate_rate.is_some(), surrogate),
        ("--width", args.width.is_some(), surrogate),
        ("--rounds", args.rounds.is_some(), surrogate),
        ("--batch", args.batch.is_some(), surrogate),
        ("--patch", args.patch.is_some(), surrogate),
        ("--transforms", args.transforms.is_some(), surrogate),
        ("--precision", args.compute.precision.is_some(), surrogate),
        ("--checkpointing", args.compute.checkpointing, surrogate),
        ("--band-limit", args.band_limit.is_some(), generator),
        ("--isc-weight", args.isc_weight.is_some(), generator),
        ("--isc-mode", args.isc_mode.is_some(), generator),
        ("--isc-lags", args.isc_lags.is_some(), generator),
        ("--spd-weight", args.spd_weight.is_some(), generator),
        ("--noise-rate", args.noise_rate.is_some(), generator),
        ("--tile", args.tile.is_some(), shared),
        ("--steps", args.steps.is_some(), sample_wise),
        ("--share", args.share.is_some(), sample_wise),
        (
            "--training-rounds",
            args.training_rounds.is_some(),
            sample_wise,
        ),
    ];
    let wrong: Vec<&str> = flags
        .into_iter()
        .filter(|(_, given, meant)| *given && !meant)
        .map(|(flag, ..)| flag)
        .collect();
    let of = kind.map_or("a saved generator", |_| args.method.as_str());
    ensure!(
        wrong.is_empty(),
        "{}: without meaning for {of}; leave out, or choose a method that takes it (`voxshield methods`)",
        wrong.join(", ")
    );
    Ok(())
}

fn scale(args: &ProtectionArgs) -> Scale {
    match args.preset {
        None | Some(Preset::Compact) => Scale::Compact,
        Some(Preset::Paper) => Scale::Source,
    }
}

fn bilevel(args: &ProtectionArgs, generator: GeneratorKind, epsilon: f64) -> BilevelConfig {
    let mut config = BilevelConfig::of(generator, scale(args));
    set_common(&mut config.common, args, epsilon);
    set(&mut config.isc_lags, args.isc_lags);
    set(&mut config.isc_weight, args.isc_weight);
    set(&mut config.spd_weight, args.spd_weight);
    set(&mut config.noise_rate, args.noise_rate);
    set(&mut config.isc_mode, args.isc_mode);
    set(&mut config.transforms, args.transforms.clone());
    config.band_limit = args.band_limit.or(config.band_limit);
    config.other_surrogates = args.surrogate.iter().skip(1).cloned().collect();
    config
}

fn shared_noise(
    args: &ProtectionArgs,
    by: SharedBy,
    epsilon: f64,
) -> anyhow::Result<SharedNoiseConfig> {
    one_surrogate(args)?;
    let mut config = SharedNoiseConfig::of(by, scale(args));
    set_common(&mut config.common, args, epsilon);
    set(&mut config.tile, args.tile);
    set(&mut config.transforms, args.transforms.clone());
    Ok(config)
}

fn sample_wise(args: &ProtectionArgs, epsilon: f64) -> anyhow::Result<PgdConfig> {
    one_surrogate(args)?;
    let mut config = PgdConfig::new(&args.method, scale(args))?;
    set_common(&mut config.common, args, epsilon);
    set(&mut config.recipe.steps, args.steps);
    set(
        &mut config.recipe.expectation.transforms,
        args.transforms.clone(),
    );
    match (&mut config.recipe.schedule, args.training_rounds) {
        (Schedule::Pretrained { rounds, .. }, given) => set(rounds, given),
        (Schedule::Alternating, None) => {}
        (Schedule::Alternating, Some(_)) => bail!(
            "--training-rounds: the surrogate of {} is trained between the visits; use --rounds",
            args.method
        ),
    }
    match (&mut config.recipe.sparsity, args.share) {
        (Some(sparsity), share) => set(&mut sparsity.share, share),
        (None, None) => {}
        (None, Some(_)) => bail!("--share: only salm3d chooses voxels, not {}", args.method),
    }
    Ok(config)
}

/// The flags of all methods with a surrogate.
fn set_common(config: &mut SurrogateConfig, args: &ProtectionArgs, epsilon: f64) {
    config.epsilon = epsilon;
    set(&mut config.seed, seed(args));
    set(&mut config.precision, args.compute.precision);
    config.checkpointing = args.compute.checkpointing;
    set(&mut config.surrogate, args.surrogate.first().cloned());
    set(&mut config.networks, args.width.map(Into::into));
    set(&mut config.rounds, args.rounds);
    set(&mut config.surrogate_steps, args.surrogate_steps);
    set(&mut config.batch, args.batch);
    set(&mut config.patch, args.patch);
    set(&mut config.surrogate_rate, args.surrogate_rate);
}

fn one_surrogate(args: &ProtectionArgs) -> anyhow::Result<()> {
    match args.surrogate.len() {
        0 | 1 => Ok(()),
        _ => bail!(
            "--surrogate: {} takes one network; only voxshield and umed3d take several",
            args.method
        ),
    }
}

fn seed(args: &ProtectionArgs) -> Option<u64> {
    args.seed.map(|seed| seed.value)
}

/// A flag changes a preset where it is given.
fn set<T>(value: &mut T, flag: Option<T>) {
    if let Some(flag) = flag {
        *value = flag;
    }
}

fn summary(manifest: &Manifest) {
    let rows: Vec<Vec<String>> = manifest
        .cases
        .iter()
        .map(|case| {
            let steps: Vec<String> = case
                .epsilon_stored
                .iter()
                .map(|s| s.map_or_else(|| "float".into(), |s| s.to_string()))
                .collect();
            vec![
                case.id.clone(),
                steps.join(","),
                format!("{:.5}", case.achieved),
                case.changed_voxels.to_string(),
                case.psnr_db
                    .map_or_else(|| "-".into(), |v| format!("{v:.2}")),
                format!("{:.5}", case.ssim),
                format!("{:.2}", case.seconds),
            ]
        })
        .collect();
    output::table(
        &[
            "case",
            "eps steps",
            "max |delta|",
            "changed",
            "PSNR dB",
            "SSIM",
            "s",
        ],
        &rows,
    );
    output::line(format!(
        "{} protected, {} failed, {} skipped; epsilon {:.6}, support {}, seed {}",
        manifest.cases.len(),
        manifest.failed.len(),
        manifest.skipped.len(),
        manifest.epsilon,
        manifest.support,
        manifest.seed
    ));
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use voxshield::models::Precision;

    use super::*;
    use crate::args::{Cli, Command};

    fn parsed(flags: &str) -> anyhow::Result<ProtectOptions> {
        let line = format!("voxshield protect clean out {flags}");
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Protect(args) => options(&args.protection),
            _ => unreachable!("the line says protect"),
        }
    }

    #[test]
    fn flags_that_mean_nothing_are_errors_also_with_the_value_of_the_default() {
        for (flags, wrong) in [
            ("--generator file --seed 99", "--seed"),
            ("--generator file --seed 0", "--seed"),
            ("--generator file --precision f32", "--precision"),
            (
                "--method contrast-inversion --precision bf16",
                "--precision",
            ),
            ("--method random --checkpointing", "--checkpointing"),
        ] {
            let error = parsed(flags).unwrap_err().to_string();
            let expected = format!("{wrong}: without meaning");
            assert!(error.starts_with(&expected), "{flags}: {error}");
        }
        let common = |flags| parsed(flags).unwrap().method.common().cloned().unwrap();
        let asked = common("--method emn --seed 3 --precision bf16");
        assert_eq!((asked.seed, asked.precision), (3, Precision::Bf16));
        let default = common("--method emn --preset paper");
        assert_eq!((default.seed, default.precision), (0, Precision::F32));
        assert_eq!(parsed("--method random --seed 3").unwrap().method.seed(), 3);
        assert!(parsed("--seed -1").is_err() && parsed("--seed none").is_err());
        let drawn = || {
            parsed("--method random --seed random")
                .unwrap()
                .method
                .seed()
        };
        assert_ne!(drawn(), drawn());
    }
}
