//! One hourly series at one horizon: the experts, their errors, and the forecasts under way.

use crate::bytes::{Reader, Writer};
use crate::outlook::features::{OTHERS, OWN, Own, deviations};
use crate::outlook::margin::Margin;
use crate::outlook::rls::Filter;
use crate::real::exp;

const EXPERTS: usize = 3;
/// What an expert's mean error keeps of its weight with each hour.
const KEPT: f64 = 0.995;
/// Added to mean errors, so that an expert without any is no infinity.
const LEAST_ERROR: f64 = 1e-12;
/// The part of today's deviation from the usual levels that the third expert carries over.
const CARRIED: f64 = 0.6;
/// Hours before errors count: the regressions have learned nothing yet.
const WARM: usize = 48;
/// No forecast's logarithm passes this.
const MOST_LOG: f64 = 50.0;

/// A forecast value with the interval that holds 95 % of what comes, by the errors made so far.
///
/// Before there are errors to judge by, the interval is 0 to infinity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// What is expected.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// A forecast of one hour that has not come yet, with what it went by. In logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Issued {
    own: Own,
    others: [f64; OTHERS],
    experts: [f64; EXPERTS],
    mixed: f64,
    /// The half width of the interval said with it.
    half: f64,
}

/// One series at one horizon: the experts, their errors, and the forecasts under way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lane {
    has_others: bool,
    /// A ring as long as the horizon: the one made at index i lies at i mod its length.
    issued: Vec<Option<Issued>>,
    deviation: Filter,
    level: Filter,
    /// Σ λ^age·|error| of each expert, and Σ λ^age.
    errors: [f64; EXPERTS],
    judged: f64,
    margin: Margin,
}

impl Lane {
    pub(crate) fn bytes(&self) -> usize {
        let issued = size_of_val::<[_]>(&self.issued);
        size_of::<Self>() + issued + self.deviation.bytes_apart() + self.level.bytes_apart()
    }

    pub(crate) fn new(horizon: u32, has_others: bool) -> Self {
        let size = if has_others {
            OWN - 1 + OTHERS
        } else {
            OWN - 1
        };
        Self {
            has_others,
            issued: vec![None; horizon as usize],
            deviation: Filter::new(size, None),
            // Until it has learned, the level expert says the newest value.
            level: Filter::new(OWN, Some(1)),
            errors: [0.0; EXPERTS],
            judged: 0.0,
            margin: Margin::default(),
        }
    }

    pub(crate) fn forget_forecasts(&mut self) {
        self.issued.fill(None);
    }

    fn place(&self, index: usize) -> usize {
        index % self.issued.len().max(1)
    }

    fn others<'a>(&self, others: &'a [f64; OTHERS]) -> &'a [f64] {
        if self.has_others { others } else { &[] }
    }

    /// Learns from the hour that a forecast was made for. A bridged hour teaches the regressions, as
    /// it would if it were looked back upon, but judges nobody.
    pub(crate) fn judge(&mut self, index: usize, log: f64, is_seen: bool) {
        let place = self.place(index);
        let Some(issued) = self.issued.get_mut(place).and_then(Option::take) else {
            return;
        };
        if is_seen && index.saturating_sub(self.issued.len()) >= WARM {
            let actual = exp(log);
            for (total, expert) in self.errors.iter_mut().zip(issued.experts) {
                *total = KEPT * *total + (exp(expert) - actual).abs();
            }
            self.judged = KEPT * self.judged + 1.0;
            self.margin.observe(log - issued.mixed, issued.half);
        }
        let [.., base] = issued.own;
        let deviations = deviations(&issued.own, self.others(&issued.others));
        self.deviation.learn(&deviations, log - base);
        self.level.learn(&issued.own, log);
    }

    pub(crate) fn issue(&mut self, index: usize, own: &Own, others: [f64; OTHERS], above: f64) {
        let [.., base] = *own;
        let deviations = deviations(own, self.others(&others));
        let experts = [
            base + self.deviation.say(&deviations),
            self.level.say(own),
            base + CARRIED * above,
        ];
        let experts = experts.map(|log| log.clamp(-MOST_LOG, MOST_LOG));
        let issued = Issued {
            own: *own,
            others,
            experts,
            mixed: self.mix(&experts),
            half: self.margin.half(),
        };
        let place = self.place(index);
        if let Some(place) = self.issued.get_mut(place) {
            *place = Some(issued);
        }
    }

    /// Returns the experts' mean, weighted by (mean absolute error)^-8, which follows the best one
    /// closely and still averages those nearly as good.
    fn mix(&self, experts: &[f64; EXPERTS]) -> f64 {
        let judged = self.judged.max(1.0);
        let errors = self.errors.map(|total| total / judged + LEAST_ERROR);
        // Against the least one: the eighth power of the error itself could leave the doubles.
        let least = errors.into_iter().fold(f64::INFINITY, f64::min);
        let (mut sum, mut weights) = (0.0, 0.0);
        for (error, expert) in errors.iter().zip(experts) {
            let weight = power_8(least / error);
            sum += weight * expert;
            weights += weight;
        }
        sum / weights
    }

    pub(crate) fn expected(&self, index: usize) -> Option<Expected> {
        let issued = self.issued.get(self.place(index))?.as_ref()?;
        let (log, half) = (issued.mixed, issued.half);
        let is_known = half.is_finite();
        Some(Expected {
            value: exp(log),
            low: if is_known { exp(log - half) } else { 0.0 },
            high: if is_known {
                exp(log + half)
            } else {
                f64::INFINITY
            },
        })
    }
}

fn power_8(x: f64) -> f64 {
    let square = x * x;
    let fourth = square * square;
    fourth * fourth
}

impl Lane {
    pub(crate) fn write(&self, out: &mut Writer) {
        for issued in &self.issued {
            out.u8(u8::from(issued.is_some()));
            for number in issued.iter().flat_map(Issued::numbers) {
                out.f64(*number);
            }
        }
        self.deviation.write(out);
        self.level.write(out);
        self.errors.iter().for_each(|&total| out.f64(total));
        out.f64(self.judged);
        self.margin.write(out);
    }

    pub(crate) fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        for place in &mut self.issued {
            if reader.u8()? == 1 {
                *place = Some(Issued::read(reader)?);
            }
        }
        self.deviation.read(reader)?;
        self.level.read(reader)?;
        for total in &mut self.errors {
            *total = reader.f64().filter(|found| (0.0..=1e30).contains(found))?;
        }
        self.judged = reader.f64().filter(|found| (0.0..=201.0).contains(found))?;
        self.margin = Margin::read(reader)?;
        Some(())
    }
}

impl Issued {
    fn numbers(&self) -> impl Iterator<Item = &f64> {
        let features = self.own.iter().chain(&self.others);
        features
            .chain(&self.experts)
            .chain([&self.mixed, &self.half])
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut number = || reader.f64().filter(|found| found.abs() <= 1e3);
        let mut read = Self {
            own: [0.0; OWN],
            others: [0.0; OTHERS],
            experts: [0.0; EXPERTS],
            mixed: 0.0,
            half: 0.0,
        };
        for place in read.own.iter_mut().chain(&mut read.others) {
            *place = number()?;
        }
        for place in &mut read.experts {
            *place = number()?;
        }
        read.mixed = number()?;
        read.half = reader.f64().filter(|half| *half >= 0.0)?;
        Some(read)
    }
}
