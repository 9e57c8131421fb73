use voxshield::{
    data::Manifest,
    perturb::{
        BilevelConfig, ClosedForm, Family, LearningRates, PerturbationMethod, PgdConfig, Recipe,
        Scale, Sparsity,
    },
    pipeline::{Method, ProtectOptions, SurrogateWeights, protect},
};

use crate::{
    args::{Format, Preset, ProtectArgs, ProtectionArgs},
    output::{self, Outcome},
    progress::Progress,
};

pub(super) fn run(args: &ProtectArgs, format: Format, quiet: bool) -> anyhow::Result<Outcome> {
    let options = options(&args.protection)?;
    let progress = Progress::new(quiet);
    let manifest = protect(&args.dataset, &args.output, &options, &mut |event| {
        progress.protect(&event)
    });
    progress.finish();
    let manifest = manifest?;
    if format == Format::Json {
        output::json(&manifest)?;
    } else {
        summary(&manifest);
    }
    Ok(Outcome::of(manifest.failed.is_empty()))
}

pub(super) fn options(args: &ProtectionArgs) -> anyhow::Result<ProtectOptions> {
    let family = PerturbationMethod::find(&args.method).map(PerturbationMethod::family);
    let method = match family {
        Some(Family::Random) => Method::Random {
            noise: args.noise,
            epsilon: args.epsilon,
            seed: args.seed,
        },
        Some(Family::Voxshield) => Method::Voxshield(bilevel(args)),
        Some(Family::SampleWise) => Method::SampleWise(sample_wise(args)?),
        _ => Method::ClosedForm {
            code: ClosedForm::find(&args.method)?,
            epsilon: args.epsilon,
            seed: args.seed,
        },
    };
    let weights = args.surrogate_weights.as_deref();
    Ok(ProtectOptions {
        method,
        support: args.support,
        normalisation: args.normalise,
        surrogate_weights: weights.map(SurrogateWeights::open).transpose()?,
        device: args.device,
        ..ProtectOptions::default()
    })
}

fn bilevel(args: &ProtectionArgs) -> BilevelConfig {
    let preset = match args.preset {
        Preset::Compact => BilevelConfig::compact(),
        Preset::Paper => BilevelConfig::paper(),
    };
    BilevelConfig {
        epsilon: args.epsilon,
        surrogate: args.surrogate.clone().unwrap_or(preset.surrogate),
        networks: args.width.map_or(preset.networks, Into::into),
        rounds: args.rounds.unwrap_or(preset.rounds),
        surrogate_steps: args.surrogate_steps.unwrap_or(preset.surrogate_steps),
        batch: args.batch.unwrap_or(preset.batch),
        patch: args.patch.unwrap_or(preset.patch),
        learning_rates: LearningRates {
            surrogate: args
                .surrogate_rate
                .unwrap_or(preset.learning_rates.surrogate),
            noise: args.noise_rate.unwrap_or(preset.learning_rates.noise),
        },
        isc_weight: args.isc_weight.unwrap_or(preset.isc_weight),
        isc_mode: args.isc_mode.unwrap_or(preset.isc_mode),
        spd_weight: args.spd_weight.unwrap_or(preset.spd_weight),
        seed: args.seed,
        precision: args.compute.precision,
        checkpointing: args.compute.checkpointing,
    }
}

fn sample_wise(args: &ProtectionArgs) -> anyhow::Result<PgdConfig> {
    let scale = match args.preset {
        Preset::Compact => Scale::Compact,
        Preset::Paper => Scale::Source,
    };
    let preset = PgdConfig::new(&args.method, scale)?;
    let sparsity = preset.recipe.sparsity.map(|sparsity| Sparsity {
        share: args.share.unwrap_or(sparsity.share),
        ..sparsity
    });
    Ok(PgdConfig {
        recipe: Recipe {
            steps: args.steps.unwrap_or(preset.recipe.steps),
            sparsity,
            ..preset.recipe
        },
        epsilon: args.epsilon,
        surrogate: args.surrogate.clone().unwrap_or(preset.surrogate),
        networks: args.width.map_or(preset.networks, Into::into),
        rounds: args.rounds.unwrap_or(preset.rounds),
        surrogate_steps: args.surrogate_steps.unwrap_or(preset.surrogate_steps),
        batch: args.batch.unwrap_or(preset.batch),
        patch: args.patch.unwrap_or(preset.patch),
        surrogate_rate: args.surrogate_rate.unwrap_or(preset.surrogate_rate),
        seed: args.seed,
        precision: args.compute.precision,
        checkpointing: args.compute.checkpointing,
        method: preset.method,
    })
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
                    .map_or_else(|| "unchanged".into(), |v| format!("{v:.2}")),
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
