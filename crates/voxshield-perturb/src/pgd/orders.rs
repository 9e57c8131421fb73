use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{PgdConfig, Schedule};
use crate::schedule::{Draw, surrogate_steps};

/// What is to be read next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// A batch of random patches for a surrogate step.
    Surrogate(Vec<Draw>),
    /// All windows of a case that touch its support; the seed places them.
    Sweep(Draw),
}

/// Everything that a run reads, in its order, which depends on the configuration and the number of cases alone.
///
/// - alternating: in each round the surrogate steps, then every case once (twice in the rounds that choose voxels: the first time
///   for the threshold), in random order
/// - pretrained: all surrogate steps, once every case for the survey if there is one, then every case once a round
///
/// The first `begun` parts are done: rounds, or with pretraining rounds of surrogate steps and then rounds of visits. The survey is
/// made again as long as there are visits to come.
pub(super) fn orders(
    config: &PgdConfig,
    cases: usize,
    survey: bool,
    begun: usize,
) -> impl Iterator<Item = Order> + use<> {
    let common = &config.common;
    let (rounds, steps, batch) = (common.rounds, common.surrogate_steps, common.batch);
    let choosing = config.recipe.sparsity.map_or(0, |sparsity| sparsity.rounds);
    let schedule = config.recipe.schedule;
    let mut rng = ChaCha8Rng::seed_from_u64(common.seed.wrapping_add(2));
    let before = match schedule {
        Schedule::Alternating => 0,
        Schedule::Pretrained { rounds, .. } => rounds,
    };
    let parts = before + rounds;
    (0..parts).flat_map(move |part| {
        let mut orders = Vec::new();
        // What is done is drawn all the same.
        let mut add = |new: Vec<Order>, is_done: bool| {
            if !is_done {
                orders.extend(new);
            }
        };
        let (train, visit) = match schedule {
            Schedule::Alternating => (true, Some(part)),
            Schedule::Pretrained { .. } => (part < before, part.checked_sub(before)),
        };
        if train {
            let draws = surrogate_steps(steps, batch, cases, &mut rng);
            add(
                draws.into_iter().map(Order::Surrogate).collect(),
                part < begun,
            );
        }
        if let Some(round) = visit {
            if survey && round == 0 {
                add(sweeps(cases, 1, &mut rng), begun >= parts);
            }
            let times = if round < choosing { 2 } else { 1 };
            add(sweeps(cases, times, &mut rng), part < begun);
        }
        orders
    })
}

/// Every case, in random order, each so many times in a row with the same windows.
fn sweeps(cases: usize, times: usize, rng: &mut ChaCha8Rng) -> Vec<Order> {
    let mut order: Vec<usize> = (0..cases).collect();
    order.shuffle(rng);
    order
        .into_iter()
        .flat_map(|case| std::iter::repeat_n(Order::Sweep((case, rng.random())), times))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scale;

    #[test]
    fn what_is_left_is_the_end_of_the_whole() {
        for method in ["emn", "salm3d", "sep", "tap"] {
            let mut config = PgdConfig::new(method, Scale::Compact).unwrap();
            (config.common.rounds, config.common.surrogate_steps) = (3, 2);
            if let Schedule::Pretrained { rounds, .. } = &mut config.recipe.schedule {
                *rounds = 3;
            }
            let survey = method == "sep";
            let of = |begun| orders(&config, 4, survey, begun).collect::<Vec<_>>();
            let whole = of(0);
            let is_survey = if survey { 6..10 } else { 6..6 };
            for begun in 0..=6 {
                let mut left = of(begun);
                if survey && (4..6).contains(&begun) {
                    let made_again: Vec<_> = left.drain(..4).collect();
                    assert_eq!(made_again, whole[is_survey.clone()]);
                }
                assert!(whole.ends_with(&left), "{method} {begun}");
                assert_eq!(left.len() == whole.len(), begun == 0, "{method} {begun}");
            }
            assert!(of(6).is_empty());
        }
    }
}
