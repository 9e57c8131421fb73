use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::SurrogateConfig;

/// A patch to read: the case, and the seed that places the patch.
pub(crate) type Draw = (usize, u64);

/// The patches of every step of a run, in the order of the steps: in each round the S-steps, then
/// an N-pass over all cases. They depend on the configuration and the number of cases alone.
pub(crate) fn schedule(
    config: &SurrogateConfig,
    cases: usize,
) -> impl Iterator<Item = Vec<Draw>> + use<> {
    let (rounds, steps, batch) = (config.rounds, config.surrogate_steps, config.batch);
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed.wrapping_add(2));
    (0..rounds).flat_map(move |_| {
        let mut round = surrogate_steps(steps, batch, cases, &mut rng);
        round.extend(noise_pass(batch, cases, &mut rng));
        round
    })
}

/// Any case, again and again.
pub(crate) fn surrogate_steps(
    steps: usize,
    batch: usize,
    cases: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<Draw>> {
    let mut draw = || (rng.random_range(0..cases), rng.random());
    (0..steps)
        .map(|_| (0..batch).map(|_| draw()).collect())
        .collect()
}

/// Every case exactly once, in random order.
fn noise_pass(batch: usize, cases: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<Draw>> {
    let mut order: Vec<usize> = (0..cases).collect();
    order.shuffle(rng);
    order
        .chunks(batch)
        .map(|chunk| chunk.iter().map(|&case| (case, rng.random())).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_the_s_steps_and_every_case_once() {
        let config = SurrogateConfig {
            rounds: 3,
            surrogate_steps: 4,
            batch: 2,
            ..SurrogateConfig::compact()
        };
        let steps: Vec<_> = schedule(&config, 5).collect();
        assert_eq!(steps.len(), 3 * (4 + 3));
        for round in steps.chunks(7) {
            let (surrogate, noise) = round.split_at(4);
            assert!(surrogate.iter().all(|batch| batch.len() == 2));
            let sizes: Vec<usize> = noise.iter().map(Vec::len).collect();
            assert_eq!(sizes, [2, 2, 1]);
            let mut seen: Vec<usize> = noise.iter().flatten().map(|draw| draw.0).collect();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4]);
        }
        assert_ne!(steps[0], steps[7], "rounds do not repeat");
    }
}
