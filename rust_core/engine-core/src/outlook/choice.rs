//! Which way of forecasting a series errs least, found out by letting all of them forecast.

use crate::bytes::{Reader, Writer};
use crate::outlook::margin::Margin;

/// What a loss keeps of its weight with each observation: a memory of 100, longer than most windows,
/// so that chance in a few of them decides nothing.
const KEPT: f64 = 0.99;
/// What the newest observations keep in the moving average with each later one of the usual weight.
const RECENT: f64 = 0.75;
/// A challenger must have this many observations of the usual weight behind it, and lose less than
/// this share of what the method in use loses: methods of equal worth are not swapped back and forth.
const LEAST_SEEN: f64 = 8.0;
const CLEARLY_LESS: f64 = 0.9;
/// Counts so few decide nothing: while nothing has converted, whoever says 0 never errs.
const LEAST_EVENTS: f64 = 10.0;
/// What is taken for a rate; its square, times any weight, is far from the end of the doubles.
const MOST: f64 = 1e15;
const METHODS: usize = 5;

/// A way of forecasting. The codes are those that decisions carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// The window's mean: Σ y / Σ w.
    Level,
    /// The line through the window, [`crate::regression`].
    Line,
    /// A moving average that halves what it remembers every 2.4 samples.
    Average,
    /// The hourly forecast with season, [`crate::outlook::seasonal`]: recursive least squares in logs.
    Season,
    /// What the price of money goes by: of CPC and clicks the platform's answer to the bid in force, of
    /// CVR what is held of it.
    Model,
}

/// Names of methods by code.
pub const METHOD_NAMES: [&str; METHODS] = ["LEVEL", "LINE", "AVERAGE", "SEASON", "MODEL"];

const ALL: [Method; METHODS] = [
    Method::Level,
    Method::Line,
    Method::Average,
    Method::Season,
    Method::Model,
];

/// What errors are held against a method.
///
/// A price is judged by absolute errors, so that one wild sample decides nothing. Counts that are
/// mostly 0 must not be: absolute errors are least at the median, and the median of a CVR seen two
/// seconds at a time is 0. Squares are least at the mean (Gneiting, "Making and evaluating point
/// forecasts", JASA 2011, theorems 1 and 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// |error|: for CPC, CPM.
    Absolute,
    /// error²: for CVR, clicks, conversions.
    Square,
}

/// What the methods that a series does not compute by itself say of its next observation.
///
/// `None` where one has nothing to say: no clicks yet, or no hours known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Candidates {
    /// [`Method::Level`].
    pub level: Option<f64>,
    /// [`Method::Line`].
    pub line: Option<f64>,
    /// [`Method::Season`].
    pub season: Option<f64>,
    /// [`Method::Model`].
    pub model: Option<f64>,
}

/// What is expected of the next observation, and by which method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chosen {
    /// The forecast, at least 0.
    pub value: f64,
    /// The lower end of the interval that 95 % of observations of the usual weight fall into.
    pub low: f64,
    /// The upper end; infinite before there are errors to judge by.
    pub high: f64,
    /// Whose forecast it is.
    pub method: Method,
}

/// The choice for one rate of one series: 192 bytes, moved in constant time.
///
/// A round first tells it what was observed, then what the methods say of the next observation. In
/// between `predict` is free: nothing is computed until an input changes.
///
/// ```
/// use engine_core::outlook::choice::{Candidates, Choice, Judge, Method};
///
/// let mut choice = Choice::new(Judge::Absolute, Method::Level);
/// for step in 0..40 {
///     let actual = 0.50 + 0.01 * f64::from(step); // rises, so the line is right
///     choice.observe(actual, 100.0);
///     let (level, line) = (Some(0.50), Some(actual + 0.01));
///     choice.prepare(&Candidates { level, line, ..Candidates::default() });
/// }
/// let chosen = choice.predict().unwrap();
/// assert_eq!(chosen.method, Method::Line);
/// assert!(chosen.low <= 0.90 && 0.90 <= chosen.high);
/// ```
///
/// A restated sample was observed before: it changes what the window says, so `prepare` again, and
/// nothing more. `prepare` with the same candidates changes nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    judge: Judge,
    in_use: Method,
    /// Σ w·λ^age and Σ w·λ^age·rate of the moving average; the mean weight of observations.
    average: [f64; 2],
    /// Σ λ^age and Σ w·λ^age, whose quotient is the usual weight; and Σ w·λ^age·rate: what was counted.
    usual: [f64; 3],
    /// Σ w·λ^age·loss, and Σ w·λ^age, of each method.
    losses: [f64; METHODS],
    judged: [f64; METHODS],
    /// What each says of the next observation; no number where it says nothing.
    said: [f64; METHODS],
    margin: Margin,
}

impl Choice {
    /// How many bytes `to_bytes` gives.
    pub const BYTES: usize = 8 * (5 + 3 * METHODS + 3) + 2;

    /// Returns the choice before anything is known. It begins with the method given: the level where
    /// none is known to be better, which varies least.
    #[must_use]
    pub fn new(judge: Judge, first: Method) -> Self {
        Self {
            judge,
            in_use: first,
            average: [0.0; 2],
            usual: [0.0; 3],
            losses: [0.0; METHODS],
            judged: [0.0; METHODS],
            said: [f64::NAN; METHODS],
            margin: Margin::default(),
        }
    }

    /// Judges the methods by a new observation: a rate, and its weight (clicks, or 1).
    ///
    /// One without weight, or that is no number from 0 to 1e15, is passed over.
    pub fn observe(&mut self, actual: f64, weight: f64) {
        if !(0.0..=MOST).contains(&actual) || !(f64::MIN_POSITIVE..=MOST).contains(&weight) {
            return;
        }
        if let Some(chosen) = self.predict() {
            // A rate's variance goes as 1 / weight: so errors are comparable.
            let share = weight / self.usual_weight().unwrap_or(weight);
            let error = (actual - chosen.value) * share.sqrt();
            self.margin.observe(error, self.margin.half());
        }
        let is_square = self.judge == Judge::Square;
        let methods = self.losses.iter_mut().zip(&mut self.judged);
        // Without a branch in it, the loop becomes vector code.
        for ((loss, judged), said) in methods.zip(self.said) {
            let error = (actual - said).abs();
            let lost = if is_square { error * error } else { error };
            let losses = KEPT * *loss + weight * lost;
            let weights = KEPT * *judged + weight;
            *loss = if said.is_nan() { *loss } else { losses };
            *judged = if said.is_nan() { *judged } else { weights };
        }
        let [count, weights, events] = &mut self.usual;
        *count = KEPT * *count + 1.0;
        *weights = KEPT * *weights + weight;
        *events = KEPT * *events + weight * actual;
        let [weights, total] = &mut self.average;
        *weights = RECENT * *weights + weight;
        *total = RECENT * *total + weight * actual;
        self.said = [f64::NAN; METHODS];
        self.say(Method::Average, self.average_rate());
        self.choose();
    }

    /// Takes what the other methods say of the next observation.
    pub fn prepare(&mut self, candidates: &Candidates) {
        self.say(Method::Level, candidates.level);
        self.say(Method::Line, candidates.line);
        self.say(Method::Season, candidates.season);
        self.say(Method::Model, candidates.model);
    }

    /// Takes what the model says of the next observation: it may change between two of them.
    pub(crate) fn prepare_model(&mut self, model: Option<f64>) {
        self.say(Method::Model, model);
    }

    /// Returns what is expected of the next observation, or `None` while no method says anything.
    ///
    /// Where the method in use says nothing this time, the best of the others stands in.
    #[must_use]
    pub fn predict(&self) -> Option<Chosen> {
        let said = |method: Method| number(&self.said, method);
        let method = if said(self.in_use).is_nan() {
            self.best(|method| !said(method).is_nan())?
        } else {
            self.in_use
        };
        let (value, half) = (said(method), self.margin.half());
        Some(Chosen {
            value,
            low: (value - half).max(0.0),
            high: value + half,
            method,
        })
    }

    /// Returns a method's running loss against that of the one in use, or `None` where either has not
    /// been judged: what a report of the choice shows.
    #[must_use]
    pub fn relative_loss(&self, method: Method) -> Option<f64> {
        let (loss, in_use) = (self.loss(method)?, self.loss(self.in_use)?);
        (in_use > 0.0).then_some(loss / in_use)
    }

    /// Returns the state as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(Self::BYTES);
        self.write(&mut out);
        out.bytes
    }

    /// Returns the state from what `to_bytes` gave, or `None` where it did not.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Self::read(&mut reader).filter(|_| reader.remaining() == 0)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.u8(u8::from(self.judge == Judge::Square));
        out.u8(self.in_use as u8);
        let sums = self.average.iter().chain(&self.usual);
        let methods = self.losses.iter().chain(&self.judged).chain(&self.said);
        sums.chain(methods).for_each(|&number| out.f64(number));
        self.margin.write(out);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let judge = match reader.u8()? {
            0 => Judge::Absolute,
            1 => Judge::Square,
            _ => return None,
        };
        let mut read = Self::new(judge, *ALL.get(usize::from(reader.u8()?))?);
        let sums = read.average.iter_mut().chain(&mut read.usual);
        for place in sums.chain(&mut read.losses).chain(&mut read.judged) {
            *place = reader.f64().filter(|found| (0.0..=1e60).contains(found))?;
        }
        for place in &mut read.said {
            let found = reader.f64()?;
            *place = Some(found).filter(|said| said.is_nan() || (0.0..=MOST).contains(said))?;
        }
        read.margin = Margin::read(reader)?;
        Some(read)
    }

    fn say(&mut self, method: Method, said: Option<f64>) {
        let said = said.filter(|said| said.is_finite());
        if let Some(place) = self.said.get_mut(method as usize) {
            *place = said.map_or(f64::NAN, |said| said.clamp(0.0, MOST));
        }
    }

    fn choose(&mut self) {
        let [.., events] = self.usual;
        if self.judge == Judge::Square && events < LEAST_EVENTS {
            return;
        }
        let needed = LEAST_SEEN * self.usual_weight().unwrap_or(0.0);
        let is_tried = |method| number(&self.judged, method) >= needed;
        let Some(best) = self.best(is_tried) else {
            return;
        };
        let in_use = self.loss(self.in_use).filter(|_| is_tried(self.in_use));
        let is_better = match (self.loss(best), in_use) {
            (Some(best), Some(in_use)) => best < CLEARLY_LESS * in_use,
            // What has said too little to be judged is left for what can be.
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_better {
            self.in_use = best;
        }
    }

    /// Returns the method with the least loss of those that pass, the first of equals; one that was
    /// never judged comes last.
    fn best(&self, passes: impl Fn(Method) -> bool) -> Option<Method> {
        let passing = ALL.into_iter().filter(|&method| passes(method));
        let losses = passing.map(|method| (method, self.loss(method).unwrap_or(f64::INFINITY)));
        let least = losses.min_by(|(_, a), (_, b)| a.total_cmp(b));
        least.map(|(method, _)| method)
    }

    fn loss(&self, method: Method) -> Option<f64> {
        let judged = number(&self.judged, method);
        (judged > 0.0).then(|| number(&self.losses, method) / judged)
    }

    fn usual_weight(&self) -> Option<f64> {
        let [count, weights, _] = self.usual;
        (count > 0.0).then(|| weights / count)
    }

    fn average_rate(&self) -> Option<f64> {
        let [weights, total] = self.average;
        (weights > 0.0).then(|| total / weights)
    }
}

fn number(of: &[f64; METHODS], method: Method) -> f64 {
    of.get(method as usize).copied().unwrap_or(f64::NAN)
}
