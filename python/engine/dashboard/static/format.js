// Figures as people read them. What is missing is a dash: never NaN, never undefined, never 0.

export const NONE = "–";
const MICROS = 1e6;

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const places = [0, 1, 2, 3, 4].map((digits) =>
  new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const exactly = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 6 });
const short = new Intl.NumberFormat("en", { notation: "compact", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export const count = (value) => (isNumber(value) ? plain.format(value) : NONE);
export const fixed = (value, digits = 2) => (isNumber(value) ? places[digits].format(value) : NONE);
export const percent = (value, digits = 0) => (isNumber(value) ? `${places[digits].format(value * 100)} %` : NONE);

/** An amount at a glance: fewer decimals the larger it is. */
export function money(micros) {
  if (!isNumber(micros)) return NONE;
  const amount = micros / MICROS, size = Math.abs(amount);
  if (size >= 1e6) return short.format(amount);
  return places[size >= 1e4 ? 0 : 2].format(amount);
}

/** A price of a click: small, so more decimals. */
export function price(micros) {
  if (!isNumber(micros)) return NONE;
  const amount = micros / MICROS, size = Math.abs(amount);
  return places[size >= 100 ? 2 : size >= 1 ? 3 : 4].format(amount);
}

export const exact = (micros, currency) =>
  isNumber(micros) ? `${exactly.format(micros / MICROS)}${currency ? ` ${currency}` : ""}` : NONE;

export function signed(micros) {
  if (!isNumber(micros)) return NONE;
  return `${micros > 0 ? "+" : micros < 0 ? "−" : ""}${price(Math.abs(micros))}`;
}

export function duration(seconds) {
  if (!isNumber(seconds)) return NONE;
  const whole = Math.max(seconds, 0);
  if (whole < 1) return `${Math.round(whole * 1000)} ms`;
  if (whole < 10) return `${places[1].format(whole)} s`;
  if (whole < 120) return `${Math.round(whole)} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86400)} d`;
}

/** How long ago, to the second: what changes faster than one reads is "now". */
export function age(now, then) {
  if (!isNumber(now) || !isNumber(then)) return NONE;
  const seconds = Math.max(now - then, 0);
  return seconds < 2 ? "now" : seconds < 10 ? `${Math.round(seconds)} s` : duration(seconds);
}

export function milliseconds(value) {
  if (!isNumber(value)) return NONE;
  return value < 10 ? `${places[1].format(value)} ms` : value < 10000 ? `${plain.format(value)} ms` : duration(value / 1000);
}

export function bytes(value) {
  if (!isNumber(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0, size = value;
  while (size >= 1024 && at < units.length - 1) { size /= 1024; at += 1; }
  return `${places[at && size < 100 ? 1 : 0].format(size)} ${units[at]}`;
}

export const time = (at) => (isNumber(at) ? clock.format(new Date(at * 1000)) : NONE);
export const when = (at) => (isNumber(at) ? date.format(new Date(at * 1000)) : NONE);
export function tick(at, span) {
  if (!isNumber(at)) return NONE;
  return (span > 86400 ? day : span > 600 ? minute : clock).format(new Date(at * 1000));
}

export const some = (value) => (value === null || value === undefined || value === "" ? NONE : String(value));

const BINDINGS = {
  "none": "nothing", "not-active": "not active", "not-started": "flight not begun", "flight-over": "flight over",
  "budget": "budget", "daily-cap": "daily cap", "min-bid": "least bid", "max-bid": "highest bid",
  "max-change": "largest change a round", "pacing": "pacing to plan", "target-cpa": "target CPA", "target-roas": "target ROAS",
  "thin-data": "thin data: exploring", "stale-data": "stale data", "poor-roi": "poor ROI", "target-reach": "target reach met",
  "account-cap": "account cap", "day-part": "blocked hour", "blocked": "platform blocked", "hold-time": "hold time",
  "confidence": "low confidence", "halted": "kill switch", "daily-change": "largest change a day", "infeasible": "infeasible",
};
export const binding = (code) => (code ? BINDINGS[code] || code.replaceAll("-", " ") : NONE);

/** How much weight a binding deserves in colour: most are the engine at work. */
export function concern(code) {
  if (["halted", "infeasible", "stale-data", "poor-roi"].includes(code)) return "bad";
  if (["thin-data", "confidence", "account-cap", "daily-cap", "budget", "blocked", "target-cpa", "target-roas"].includes(code)) return "warn";
  return "";
}

export const pace = (spent, plan) => (isNumber(spent) && isNumber(plan) && plan > 0 ? spent / plan : null);

export function planned(row, at) {
  if (!isNumber(row.plan) || !isNumber(row.starts) || !isNumber(row.ends) || row.ends <= row.starts) return null;
  return row.plan * Math.min(Math.max((at - row.starts) / (row.ends - row.starts), 0), 1);
}
