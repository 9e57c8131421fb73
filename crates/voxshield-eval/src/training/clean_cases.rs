//! Defences of a user who holds some cases in their clean form.

use super::{CleanCases, TrainingDefence, TrainingDefenceEntry};
use crate::EvalError;
use crate::defences::or_default;

fn share(value: f64) -> Result<f64, EvalError> {
    if value > 0.0 && value < 1.0 {
        Ok(value)
    } else {
        Err(EvalError::Parameter {
            what: "share of clean cases",
            expected: "a number above 0 and below 1",
            found: value.to_string(),
        })
    }
}

macro_rules! clean_cases {
    ($(#[$doc:meta])* $name:ident, $text:literal, $cases:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $name {
            share: f64,
        }

        impl $name {
            pub(super) const ENTRY: TrainingDefenceEntry = TrainingDefenceEntry {
                name: $text,
                parameter: "share of the cases that is clean",
                cheap: true,
                make: |share| Ok(Box::new(or_default(share, Self::new)?)),
            };

            /// `share` of the cases is held clean, rounded to whole cases, at least one. Default: 0.2.
            ///
            /// # Errors
            /// [`EvalError::Parameter`] if it is not above 0 and below 1.
            pub fn new(value: f64) -> Result<Self, EvalError> {
                Ok(Self { share: share(value)? })
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self { share: 0.2 }
            }
        }

        impl TrainingDefence for $name {
            fn name(&self) -> &'static str {
                Self::ENTRY.name
            }

            fn clean_cases(&self) -> CleanCases {
                $cases(self.share)
            }
        }
    };
}

clean_cases! {
    /// A share of the training cases is clean, the others are protected.
    CleanMix, "clean-mix", CleanCases::Mixed
}
clean_cases! {
    /// A share of the cases, clean, and no protected one: the control of [`CleanMix`] and
    /// [`FineTune`]. What they gain above it, they learned from protected files.
    CleanOnly, "clean-only", CleanCases::Only
}
clean_cases! {
    /// Training on a share of the cases, clean, and then as long on the protected ones.
    FineTune, "fine-tune", CleanCases::Before
}
