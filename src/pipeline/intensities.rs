use super::NormalisationChoice;
use crate::data::{Dataset, IntensityRange, Modality, Normalisation, Volume};

/// The modality of a channel that the options or the dataset say.
pub(super) fn stated_modality(
    dataset: &Dataset,
    choice: NormalisationChoice,
    channel: usize,
) -> Option<Modality> {
    match choice {
        NormalisationChoice::Mri => Some(Modality::Mri),
        NormalisationChoice::Ct => Some(Modality::Ct),
        _ => dataset.channels.get(channel).and_then(|c| c.modality),
    }
}

/// The modality that most cases suggest for a channel, by id and guess; CT where there are as many of both, since air is no accident. With
/// a warning that names those that suggest another one.
pub(super) fn majority<'a>(
    channel: usize,
    guesses: impl Iterator<Item = (&'a str, Modality)>,
) -> (Modality, Option<String>) {
    const SHOWN: usize = 5;
    let (ct, mri): (Vec<_>, Vec<_>) = guesses.partition(|(_, guess)| *guess == Modality::Ct);
    let cases = ct.len() + mri.len();
    let (taken, name, odd, other) = match ct.len() >= mri.len() {
        true => (Modality::Ct, "CT", mri, "MRI"),
        false => (Modality::Mri, "MRI", ct, "CT"),
    };
    let ids: Vec<&str> = odd.iter().take(SHOWN).map(|(id, _)| *id).collect();
    let more = if odd.len() > SHOWN { ", ..." } else { "" };
    let warning = format!(
        "channel {channel}: {} of {cases} cases look like {other} ({}{more}), and are normalised as {name} like the others; take them out, or pass --normalise",
        odd.len(),
        ids.join(", ")
    );
    (taken, (!odd.is_empty()).then_some(warning))
}

/// A warning for each channel whose range, and with it the budget, comes from a few voxels far off.
pub(super) fn stretched(
    volume: &Volume,
    chosen: &[Normalisation],
    ranges: &[IntensityRange],
) -> Vec<String> {
    let channels = chosen.iter().zip(ranges).enumerate();
    let stretched =
        channels.filter(|(channel, (chosen, range))| chosen.is_stretched(volume, *channel, range));
    stretched
        .map(|(channel, (_, IntensityRange { lo, hi }))| {
            format!(
                "channel {channel}: a few voxels far above the others give the range ({lo:.4}, {hi:.4}), and a budget that is large for the rest; check them, or pass --normalise window:LO,HI"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_cases_are_outvoted_and_named() {
        use Modality::{Ct, Mri};
        let vote = |guesses: &[(&'static str, Modality)]| majority(1, guesses.iter().copied());
        assert_eq!(vote(&[("a", Mri), ("b", Mri)]), (Mri, None));
        let (modality, warning) = vote(&[("a", Mri), ("b", Ct), ("c", Mri)]);
        let warning = warning.unwrap();
        assert_eq!(modality, Mri);
        assert!(
            warning.contains("channel 1: 1 of 3 cases look like CT (b)"),
            "{warning}"
        );
        let (modality, warning) = vote(&[("a", Mri), ("b", Ct)]);
        assert_eq!(modality, Ct);
        assert!(warning.unwrap().contains("like MRI (a)"));
        let many = [("a", Mri); 6].into_iter().chain([("b", Ct); 7]);
        assert!(
            majority(0, many)
                .1
                .unwrap()
                .contains("(a, a, a, a, a, ...)")
        );
    }
}
