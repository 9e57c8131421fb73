//! Options of a method that is asked for by its name.

use super::{Method, PipelineError, ProtectOptions};
use crate::perturb::{
    BilevelConfig, ClosedForm, METHODS, MethodKind, PerturbError, PerturbationMethod, PgdConfig,
    RandomNoise, Scale, SharedNoiseConfig,
};

impl ProtectOptions {
    /// The method of that name in [`METHODS`] at [`Scale::Compact`], in the support that it was measured with; all else is the default.
    ///
    /// # Errors
    /// [`PipelineError::Perturb`], which lists the known names.
    ///
    /// # Examples
    /// ```
    /// use voxshield::{perturb::Support, pipeline::ProtectOptions};
    ///
    /// # fn main() -> Result<(), voxshield::pipeline::PipelineError> {
    /// let options = ProtectOptions::of("contrast-inversion", 16.0 / 255.0, 0)?;
    /// assert_eq!(options.support, Support::Full);
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(name: &str, epsilon: f64, seed: u64) -> Result<Self, PipelineError> {
        Self::of_scale(name, Scale::Compact, epsilon, seed)
    }

    /// As [`ProtectOptions::of`], with networks, patches and steps of another [`Scale`].
    ///
    /// # Errors
    /// As [`ProtectOptions::of`].
    pub fn of_scale(
        name: &str,
        scale: Scale,
        epsilon: f64,
        seed: u64,
    ) -> Result<Self, PipelineError> {
        let names = || METHODS.iter().map(|method| method.name);
        let known = PerturbationMethod::find(name).ok_or_else(|| PerturbError::Config {
            what: "method",
            expected: names().collect::<Vec<_>>().join(", "),
            found: name.into(),
        })?;
        let mut method = match known.kind() {
            MethodKind::Bilevel(generator) => Method::Bilevel(BilevelConfig::of(generator, scale)),
            MethodKind::Shared(by) => Method::SharedNoise(SharedNoiseConfig::of(by, scale)),
            MethodKind::SampleWise => Method::SampleWise(PgdConfig::new(name, scale)?),
            MethodKind::Random => Method::Random {
                // Of all distributions within epsilon the one with most power, as the control of `evaluate` is.
                noise: RandomNoise::Rademacher,
                epsilon,
                seed,
            },
            _ => Method::ClosedForm {
                code: ClosedForm::find(name)?,
                epsilon,
                seed,
            },
        };
        if let Some(common) = method.common_mut() {
            (common.epsilon, common.seed) = (epsilon, seed);
        }
        Ok(Self {
            method,
            support: known.default_support(),
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_name_with_the_support_that_it_was_measured_with() {
        for known in METHODS {
            let options = ProtectOptions::of(known.name, 0.05, 7).unwrap();
            assert_eq!(options.method.name(), known.name);
            assert_eq!((options.method.epsilon(), options.method.seed()), (0.05, 7));
            assert_eq!(options.support, known.default_support());
            options.validate().unwrap();
        }
        let source = ProtectOptions::of_scale("voxshield", Scale::Source, 0.05, 7).unwrap();
        assert_eq!(source.method.common().unwrap().patch, [160; 3]);
        let error = ProtectOptions::of("contrast", 0.05, 7).unwrap_err();
        assert!(error.to_string().contains("contrast-inversion"), "{error}");
    }
}
