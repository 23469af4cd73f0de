//! Recursive least squares: a linear regression that is re-solved with each observation and forgets.

use crate::bytes::{Reader, Writer};

/// λ: what an observation keeps of its weight with each later one; .998 halves it in 346.
const KEPT: f64 = 0.998;
/// The most that one error counts, in logs: an outlier of 49 % or more pulls no harder than that.
const MOST_ERROR: f64 = 0.4;
/// The covariance before anything is known.
const PRIOR: f64 = 1.0;
/// The covariance's bound: without one it grows as 1/λⁿ where features stand still, until the first
/// that moves throws the weights away ("wind-up"; Åström & Wittenmark, Adaptive Control, 2.4).
const MOST: f64 = 10.0;

/// One regression: weights, and the covariance that says how far they still give way.
///
/// K = P·f / (λ + f'·P·f), w ← w + K·e, P ← (P − K·f'·P) / λ, with the error e clipped (Ljung,
/// System Identification, 2nd ed., 11.2). P stays symmetric to the bit: K·f'·P is computed as
/// g·g' / (λ + f'·g) with g = P·f.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    weights: Vec<f64>,
    /// Row after row.
    covariance: Vec<f64>,
}

impl Filter {
    pub(crate) fn bytes_apart(&self) -> usize {
        size_of_val::<[f64]>(&self.weights) + size_of_val::<[f64]>(&self.covariance)
    }

    /// Returns a filter of `size` features, which at first says the value of feature `of`, or 0.
    pub(crate) fn new(size: usize, of: Option<usize>) -> Self {
        let weights = (0..size).map(|index| f64::from(u8::from(of == Some(index))));
        Self {
            weights: weights.collect(),
            covariance: prior(size),
        }
    }

    /// Returns what the features make expect.
    pub(crate) fn say(&self, features: &[f64]) -> f64 {
        dot(&self.weights, features)
    }

    /// Learns what became of a forecast.
    pub(crate) fn learn(&mut self, features: &[f64], actual: f64) {
        let error = (actual - self.say(features)).clamp(-MOST_ERROR, MOST_ERROR);
        let size = self.weights.len().max(1);
        let rows = self.covariance.chunks_exact(size);
        let gain: Vec<f64> = rows.map(|row| dot(row, features)).collect();
        let spread = dot(features, &gain);
        if spread < 0.0 {
            // No covariance has that: rounding has worn it out. The weights are still good.
            self.covariance = prior(size);
            return;
        }
        let scale = KEPT + spread;
        for (weight, gain) in self.weights.iter_mut().zip(&gain) {
            *weight += gain / scale * error;
        }
        let rows = self.covariance.chunks_exact_mut(size);
        let mut most = 0.0_f64;
        for (index, (row, down)) in rows.zip(&gain).enumerate() {
            for (cell, across) in row.iter_mut().zip(&gain) {
                *cell = (*cell - down * across / scale) / KEPT;
            }
            most = most.max(row.get(index).copied().unwrap_or(0.0));
        }
        if most > MOST {
            for cell in &mut self.covariance {
                *cell *= MOST / most;
            }
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        for number in self.weights.iter().chain(&self.covariance) {
            out.f64(*number);
        }
    }

    /// Reads what `write` wrote of a filter of as many features.
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        for number in self.weights.iter_mut().chain(&mut self.covariance) {
            *number = reader.f64().filter(|found| found.is_finite())?;
        }
        Some(())
    }
}

fn prior(size: usize) -> Vec<f64> {
    let is_diagonal = |index: usize| index.is_multiple_of(size + 1);
    (0..size * size)
        .map(|index| if is_diagonal(index) { PRIOR } else { 0.0 })
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]
mod tests {
    use super::*;

    /// Features in five directions that repeat too late to be learned by heart.
    fn features(step: u32) -> Vec<f64> {
        let wave = |period: u32| f64::from(step * 7919 % period) / f64::from(period) - 0.5;
        vec![1.0, wave(101), wave(53), wave(211), wave(17)]
    }

    const TRUE: [f64; 5] = [0.3, -1.0, 0.7, 0.0, 0.25];

    #[test]
    fn it_finds_the_weights_that_made_the_data() {
        let mut filter = Filter::new(5, None);
        for step in 0..12_000 {
            filter.learn(&features(step), dot(&TRUE, &features(step)));
        }
        for (found, wanted) in filter.weights.iter().zip(TRUE) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }

    /// The recount: minimises Σ λ^(n−i)·(y − w·f)² + λⁿ·|w|² by Gauss's elimination, from nothing.
    fn recount(rows: &[(Vec<f64>, f64)]) -> Vec<f64> {
        let size = 5;
        let mut table = vec![vec![0.0; size + 1]; size];
        let mut kept = 1.0;
        for (features, actual) in rows.iter().rev() {
            for (row, down) in table.iter_mut().zip(features) {
                let columns = features.iter().chain(std::iter::once(actual));
                for (cell, across) in row.iter_mut().zip(columns) {
                    *cell += kept * down * across;
                }
            }
            kept *= KEPT;
        }
        for (index, row) in table.iter_mut().enumerate() {
            row[index] += kept / PRIOR;
        }
        for pivot in 0..size {
            let lead = table[pivot].clone();
            for (index, row) in table.iter_mut().enumerate() {
                if index != pivot {
                    let share = row[pivot] / lead[pivot];
                    for (cell, from) in row.iter_mut().zip(&lead) {
                        *cell -= share * from;
                    }
                }
            }
        }
        (0..size)
            .map(|at| table[at][size] / table[at][at])
            .collect()
    }

    #[test]
    fn it_equals_the_weighted_least_squares_of_all_it_saw_at_every_step() {
        let mut filter = Filter::new(5, None);
        let mut rows = Vec::new();
        for step in 0..400 {
            // Errors stay below what is clipped, and the covariance below its bound.
            let noise = f64::from(step * 31 % 13) / 200.0;
            let actual = 0.2 * dot(&TRUE, &features(step)) + noise;
            filter.learn(&features(step), actual);
            rows.push((features(step), actual));
            for (found, wanted) in filter.weights.iter().zip(recount(&rows)) {
                assert!((found - wanted).abs() < 1e-10, "{step}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn features_that_stand_still_for_long_leave_it_sane() {
        let mut filter = Filter::new(5, None);
        for _ in 0..200_000 {
            filter.learn(&[1.0, 0.0, 0.0, 0.0, 0.0], 2.0);
        }
        let diagonal = (0..5).map(|at| filter.covariance[at * 6]);
        assert!(diagonal.fold(0.0, f64::max) <= MOST * (1.0 + 1e-12));
        filter.learn(&[1.0, 30.0, -30.0, 30.0, 1.0], 1e9);
        assert!(filter.say(&[1.0, 30.0, -30.0, 30.0, 1.0]) <= 2.0 + MOST_ERROR);
    }
}
