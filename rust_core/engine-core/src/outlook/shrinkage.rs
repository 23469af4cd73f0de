//! CVR from few conversions: drawn to the level of its like, by as much as its like agree.
//!
//! Three levels: the account's prior belongs to its platforms, a platform's to its series, and a
//! series' own clicks move it from there. How much a level weighs is not set but measured: series
//! that differ no more than chance makes them lend each other much, series that differ, little.

use crate::real::{exp, ln};

/// Without any knowledge: two conversions of a hundred clicks, worth fifty clicks (as `bid`).
const FIRST: Prior = Prior {
    mean: 0.02,
    strength: 50.0,
};
/// What a level is worth in clicks while its members are too few to tell, and how many members that
/// guess is worth.
const GUESSED_STRENGTH: f64 = 100.0;
const GUESS_MEMBERS: f64 = 4.0;
/// A level never weighs less than this many clicks, nor more.
const STRENGTHS: (f64, f64) = (10.0, 10_000.0);
const LEAST_MEAN: f64 = 1e-6;
const LEAST_SHAPE: f64 = 0.25;
const Z_975: f64 = 1.959_963_984_540_054;
/// The most that the odds of converting are held to have moved over a window, either way.
const MOST_ODDS_MOVE: f64 = 2.0;
/// How much the logarithm of odds usually moves over a window: standard deviation.
const USUAL_MOVE: f64 = 0.3;

/// What is held of a CVR before its own clicks are looked at: a mean, and what it weighs in clicks.
/// As a Beta distribution: α = mean·strength, β = (1 − mean)·strength.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// Conversions per click, above 0 and below 1.
    pub mean: f64,
    /// How many clicks it weighs.
    pub strength: f64,
}

impl Default for Prior {
    fn default() -> Self {
        FIRST
    }
}

/// A CVR after its own clicks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shrunk {
    /// Conversions per click, between the prior's and its own.
    pub mean: f64,
    /// The lower end of the 95 % credible interval.
    pub low: f64,
    /// The upper end of the 95 % credible interval.
    pub high: f64,
    /// How many clicks all that is known is worth: the prior's and its own.
    pub effective_clicks: f64,
}

impl Prior {
    /// Returns the CVR of a series with so many clicks and conversions (modelled or corrected ones
    /// are fractions).
    ///
    /// mean = (α + conversions) / (α + β + clicks), the Beta–binomial posterior's. The interval is
    /// that of the Gamma distribution with the posterior's mean and variance, by Wilson and Hilferty's
    /// cube (Abramowitz & Stegun 26.4.17): rates are small, where the two agree, and it needs no
    /// quantile of a Beta. Where all that is known is worth less than a quarter of a conversion the
    /// cube fails: the upper end is then held at 6.5 means, which 4.5 % at most lie above.
    ///
    /// ```
    /// use engine_core::outlook::shrinkage::Prior;
    ///
    /// let prior = Prior { mean: 0.02, strength: 100.0 };
    /// let few = prior.with(10.0, 1.0); // its own 10 % from one conversion says little
    /// assert!((few.mean - 3.0 / 110.0).abs() < 1e-15);
    /// let many = prior.with(10_000.0, 1_000.0);
    /// assert!((many.mean - 0.1).abs() < 0.001);
    /// assert!(many.high - many.low < few.high - few.low);
    /// ```
    #[must_use]
    pub fn with(&self, clicks: f64, conversions: f64) -> Shrunk {
        let (clicks, conversions) = counts(clicks, conversions);
        let strength = self.strength.clamp(1.0, 1e12);
        let mean = self.mean.clamp(LEAST_MEAN, 1.0 - LEAST_MEAN);
        let effective_clicks = strength + clicks;
        let mean = (strength * mean + conversions) / effective_clicks;
        // mean² / variance of the Beta: the shape of the Gamma with the same two.
        let shape = (mean * (effective_clicks + 1.0) / (1.0 - mean)).max(LEAST_SHAPE);
        let end = |z: f64| {
            let root = 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * shape.sqrt());
            mean * root.max(0.0).powi(3)
        };
        Shrunk {
            mean,
            low: end(-Z_975).min(mean),
            high: end(Z_975).clamp(mean, 1.0),
            effective_clicks,
        }
    }
}

/// What the members of a level have, summed: what their CVR is like, and how much they differ.
///
/// ```
/// use engine_core::outlook::shrinkage::{Pool, Prior};
///
/// let mut alike = Pool::default();
/// let mut unlike = Pool::default();
/// for series in 0..40 {
///     alike.add(1000.0, 20.0);
///     unlike.add(1000.0, if series % 2 == 0 { 5.0 } else { 35.0 });
/// }
/// let account = Prior::default();
/// let (alike, unlike) = (alike.prior(&account), unlike.prior(&account));
/// assert!((alike.mean - unlike.mean).abs() < 1e-12);
/// assert!(alike.strength > 10.0 * unlike.strength); // those that agree weigh more
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pool {
    members: f64,
    clicks: f64,
    conversions: f64,
    /// Σ clicks².
    squares: f64,
    /// Σ conversions² / clicks.
    spread: f64,
}

impl Pool {
    /// Counts a member in. One without clicks tells nothing.
    pub fn add(&mut self, clicks: f64, conversions: f64) {
        let (clicks, conversions) = counts(clicks, conversions);
        if clicks > 0.0 {
            self.members += 1.0;
            self.clicks += clicks;
            self.conversions += conversions;
            self.squares += clicks * clicks;
            self.spread += conversions * (conversions / clicks);
        }
    }

    /// Returns what the level makes expect of a member, itself drawn to the level `above`.
    ///
    /// The strength is 1/ρ − 1 with ρ the correlation inside members, by moments with weights n:
    /// ρ = [S − pq(k − 1)] / {pq[N − Σn²/N − (k − 1)]}, S = Σ n·(c/n − p)² (Kleinman, "Proportions
    /// with extraneous variance", JASA 68, 1973, p. 49). With few members that is noise, so it is
    /// averaged with a guess worth four of them.
    #[must_use]
    pub fn prior(&self, above: &Prior) -> Prior {
        let own = above.with(self.clicks, self.conversions);
        let mean = own.mean.clamp(LEAST_MEAN, 1.0 - LEAST_MEAN);
        let others = (self.members - 1.0).max(0.0);
        let found = self.correlation(others);
        let guessed = 1.0 / (1.0 + GUESSED_STRENGTH);
        let weight = if found.is_some() { others } else { 0.0 };
        let correlation =
            (weight * found.unwrap_or(0.0) + GUESS_MEMBERS * guessed) / (weight + GUESS_MEMBERS);
        Prior {
            mean,
            strength: (1.0 / correlation - 1.0).clamp(STRENGTHS.0, STRENGTHS.1),
        }
    }

    fn correlation(&self, others: f64) -> Option<f64> {
        if others < 1.0 {
            return None;
        }
        let rate = self.conversions / self.clicks;
        let chance = rate * (1.0 - rate);
        // Σ n·(p_i − p)² = Σ c²/n − C²/N: a difference, so what is left of rounding is cut at 0.
        let spread = (self.spread - self.conversions * rate).max(0.0);
        let size = self.clicks - self.squares / self.clicks - others;
        (chance > 0.0 && size > 0.0)
            .then(|| ((spread - chance * others) / (chance * size)).clamp(0.0, 1.0))
    }
}

/// Returns by how much the logarithm of the odds of converting has moved from an older stretch to a
/// recent one: 0 for no move, at most ln 2 either way.
///
/// The raw move is the difference of logits with half a conversion added to each side, whose variance
/// is the sum of the reciprocals (Gart & Zweifel, Biometrika 54, 1967). It is shrunk by
/// τ² / (τ² + variance) with τ = .3, a usual move: a handful of conversions hardly moves anything.
///
/// ```
/// use engine_core::outlook::shrinkage::{moved, trend};
///
/// assert_eq!(trend((1000.0, 20.0), (1000.0, 20.0)), 0.0);
/// let few = trend((50.0, 1.0), (50.0, 2.0));
/// let many = trend((50_000.0, 1000.0), (50_000.0, 2000.0));
/// assert!(0.0 < few && few < 0.1 && 0.6 < many);
/// assert!((moved(0.02, many) / 0.02 - 2.0).abs() < 0.1);
/// ```
#[must_use]
pub fn trend(older: (f64, f64), recent: (f64, f64)) -> f64 {
    let logit = |(clicks, conversions): (f64, f64)| {
        let (clicks, conversions) = counts(clicks, conversions);
        let (yes, no) = (conversions + 0.5, clicks - conversions + 0.5);
        (ln(yes / no), 1.0 / yes + 1.0 / no)
    };
    let ((before, noise_before), (after, noise_after)) = (logit(older), logit(recent));
    let usual = USUAL_MOVE * USUAL_MOVE;
    let most = ln(MOST_ODDS_MOVE);
    let credible = usual / (usual + noise_before + noise_after);
    (credible * (after - before)).clamp(-most, most)
}

/// Returns a CVR whose odds have moved by a trend: it stays above 0 and below 1.
#[must_use]
pub fn moved(cvr: f64, trend: f64) -> f64 {
    let cvr = cvr.clamp(LEAST_MEAN, 1.0 - LEAST_MEAN);
    let most = ln(MOST_ODDS_MOVE);
    let odds = cvr / (1.0 - cvr) * exp(trend.clamp(-most, most));
    odds / (1.0 + odds)
}

/// Returns counts that make sense: finite, not negative, no more conversions than clicks.
fn counts(clicks: f64, conversions: f64) -> (f64, f64) {
    let count = |found: f64| if found > 0.0 { found.min(1e15) } else { 0.0 };
    let clicks = count(clicks);
    (clicks, count(conversions).min(clicks))
}
