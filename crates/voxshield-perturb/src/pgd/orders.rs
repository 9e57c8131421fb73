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
pub(super) fn orders(
    config: &PgdConfig,
    cases: usize,
    survey: bool,
) -> impl Iterator<Item = Order> + use<> {
    let common = &config.common;
    let (rounds, steps, batch) = (common.rounds, common.surrogate_steps, common.batch);
    let choosing = config.recipe.sparsity.map_or(0, |sparsity| sparsity.rounds);
    let schedule = config.recipe.schedule;
    let mut rng = ChaCha8Rng::seed_from_u64(common.seed.wrapping_add(2));
    let parts = match schedule {
        Schedule::Alternating => rounds,
        Schedule::Pretrained { .. } => 2 * rounds,
    };
    (0..parts).flat_map(move |part| {
        let mut orders = Vec::new();
        let (train, visit) = match schedule {
            Schedule::Alternating => (true, Some(part)),
            Schedule::Pretrained { .. } => (part < rounds, part.checked_sub(rounds)),
        };
        if train {
            let draws = surrogate_steps(steps, batch, cases, &mut rng);
            orders.extend(draws.into_iter().map(Order::Surrogate));
        }
        if let Some(round) = visit {
            if survey && round == 0 {
                orders.extend(sweeps(cases, 1, &mut rng));
            }
            orders.extend(sweeps(
                cases,
                if round < choosing { 2 } else { 1 },
                &mut rng,
            ));
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
