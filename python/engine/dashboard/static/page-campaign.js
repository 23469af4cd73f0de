// One campaign: what it does now and why, what is forecast, what became of it, who changed it.

import { h, s, say, attr, replace, table } from "./dom.js";
import { NONE, age, binding, concern, count, duration, exact, fixed, isNumber, money, percent, price, signed, some, time, when } from "./format.js";
import { front, intervals, lazily, lines, shares } from "./charts.js";
import { ask } from "./stream.js";

const BRINGS = { "maximise-reach": "Impressions" }; // else conversions
const TONE = (i) => `tone-${(i % 8) + 1}`;
const AGAIN_MS = 15000; // the forecast is asked again so often
const LONGEST = 400; // points of a chart

export class CampaignPage {
  #shell; #id; #past = null; #definition = null; #timer = 0; #lastAt = 0; #stop = new AbortController(); #drawn = 0; #revision = null; #bids = "";

  constructor(shell, id) { this.#shell = shell; this.#id = id; this.title = id; }

  show(root) {
    const panel = (name, title, note) => { this[name] = h("div", { class: "panel-body" }, h("p", { class: "quiet" }, "Loading…")); return h("section", { class: `panel p-${name}` }, h("h2", {}, title), note ? h("p", { class: "quiet small" }, note) : null, this[name]); };
    this.state = h("span", { class: "state big" }, h("i", { "aria-hidden": "true" }), h("span", {}, NONE));
    this.label = h("p", { class: "quiet label" });
    this.actions = h("div", { class: "actions" });
    this.why = h("p", { class: "whynow" });
    this.facts = h("dl", { class: "facts" });
    replace(root, h("div", { class: "page campaign" },
      h("nav", { class: "crumbs", "aria-label": "Where this is" }, h("a", { href: this.#shell.lastTable() }, "Campaigns"), h("span", { "aria-hidden": "true" }, "/"), h("span", { "aria-current": "page" }, this.#id)),
      h("div", { class: "title-row" }, h("div", { class: "title" }, h("h1", { tabindex: "-1" }, this.#id), this.label), this.state, this.actions),
      h("section", { class: "panel now" }, h("h2", { class: "unseen" }, "Now"), this.facts, this.why),
      h("div", { class: "two uneven" },
        panel("allocation", "Allocation now", "What each platform is offered for a click, and what it may have spent in total (its cap)."),
        panel("forecast", "Forecast, with 95 % intervals")),
      panel("change", "Why the last bid changed"),
      h("div", { class: "two" }, panel("spending", "Spend against plan"), panel("bids", "Bids")),
      h("div", { class: "two" }, panel("returns", "ROI a click"), panel("pareto", "Pareto front")),
      h("div", { class: "two" }, panel("history", "Changes by people and by time"), panel("asked", "What was asked for"))));
    this.#shell.address(`/campaigns/${this.#id}`);
    this.#shell.stream.show(`page=campaign&id=${encodeURIComponent(this.#id)}`);
    this.#load();
  }

  close() { this.#stop.abort(); clearInterval(this.#timer); }

  async #load() {
    const get = async (path, take, into) => {
      try { take.call(this, await ask(`/api/campaigns/${this.#id}${path}`, { signal: this.#stop.signal })); } catch (error) {
        if (error.name === "AbortError") return;
        for (const one of into) replace(one, h("p", { class: "quiet" }, error.status === 404 ? "There is no such campaign in the table." : `Not to be had: ${error.message}`));
      }
    };
    const outlook = () => get("/outlook", this.#outlook, [this.forecast, this.pareto]);
    this.refresh = () => get("", this.#asked, [this.history, this.asked]);
    await Promise.all([this.refresh(), get("/past", this.#read, [this.change, this.spending, this.bids, this.returns]), outlook()]);
    if (!this.#stop.signal.aborted) this.#timer = setInterval(() => { if (!document.hidden) outlook(); }, AGAIN_MS);
  }

  take(page, head) {
    const now = page.now;
    if (!now) {
      if (!head.is_caught_up) return;
      replace(this.facts);
      say(this.why, `No campaign of this name was heard of. engine list names all there are.`);
      attr(this.state, "data-state", "unknown");
      return;
    }
    attr(this.state, "data-state", now.state || "unknown");
    say(this.state.lastChild, now.state || NONE);
    this.#verbs(now);
    const decision = now.decision, currency = this.#definition?.currency;
    const paced = isNumber(now.settled) && now.planned ? now.settled / now.planned : null;
    const best = decision?.platforms.find((one) => one.platform === decision.best);
    const facts = [
      ["Spend", money(now.settled), `of ${money(now.planned)} planned by now${currency ? `, ${currency}` : ""}`],
      ["Pace", percent(paced), isNumber(now.reserved) ? `${money(now.reserved)} reserved on caps` : ""],
      ["Best platform", some(decision?.best), best && best.bid > 0 ? `bids ${price(best.bid)} a click` : decision ? "no bid there" : ""],
      ["ROI a click", signed(best?.roi ?? null), best ? `confidence ${fixed(best.confidence)}` : ""],
      ["Bound by", decision ? binding(decision.binding) : NONE, decision ? `pacing multiplier ${fixed(decision.pacing)}` : ""],
      ["Decision", decision ? age(head.at, decision.at) : NONE, decision ? `changed; round ${count(decision.round)}, partition ${decision.partition}` : "none yet"],
    ];
    if (this.facts.children.length !== facts.length) replace(this.facts, facts.map(() => h("div", {}, h("dt", {}), h("dd", {}, h("b", {}), h("small", {})))));
    facts.forEach(([name, value, note], i) => {
      const [dt, dd] = this.facts.children[i].children;
      say(dt, name); say(dd.firstChild, value); say(dd.lastChild, note);
    });
    say(this.why, decision ? decision.why : now.state === "scheduled" ? "Its flight has not begun; the first decision comes with it." : "Nothing was decided for it yet. A worker decides within a round of hearing of it.");
    if (decision && decision.at !== this.#lastAt) {
      this.#lastAt = decision.at;
      this.#allocate(decision);
      this.#append(decision, now);
    } else if (!decision) replace(this.allocation, h("p", { class: "quiet" }, "No platform has been given anything yet."));
    if (this.#revision !== null && now.revision !== this.#revision) { this.#revision = now.revision; this.refresh(); }
  }

  #verbs(now) {
    const key = JSON.stringify(now.legal);
    if (!this.#shell.about.may_change || key === this.verbKey) return;
    this.verbKey = key;
    const words = { pause: ["Pause", "No new bids until it is resumed.", false], resume: ["Resume", "It bids again from its next round on.", false], stop: ["Stop for good", "A stopped campaign never bids again. This cannot be undone.", true] };
    replace(this.actions, now.legal.map((verb) => {
      const [name, meaning, isDanger] = words[verb];
      return h("button", { type: "button", class: isDanger ? "danger" : null, onclick: () => this.#shell.confirm({ title: `${name}: ${this.#id}?`, words: meaning, verb: name, isDanger, note: true, path: `/api/campaigns/${this.#id}/${verb}`, body: {}, done: (said) => `${this.#id}: ${said.was} → ${said.state}` }) }, name);
    }));
  }

  #allocate(decision) {
    const rows = decision.platforms, tone = this.#tones(rows.map((one) => one.platform));
    const figures = rows.map((one) => ({ name: one.platform, value: one.planned ?? one.cap, tone: tone(one.platform) }));
    replace(this.allocation,
      shares({ title: "Caps by platform", rows: figures, format: money }),
      table({
        caption: "Allocation by platform",
        columns: [{ name: "Platform" }, { name: "Bid", kind: "number" }, { name: "Cap", kind: "number" }, { name: "CPC", kind: "number" }, { name: "CVR", kind: "number" }, { name: "ROI", kind: "number" }, { name: "Conf.", kind: "number" }, { name: "Held by", kind: "held" }],
        rows: rows.map((one) => [
          h("span", { class: `key ${tone(one.platform)}` }, h("i", { "aria-hidden": "true" }), one.platform, one.platform === decision.best ? h("small", { class: "quiet" }, " best") : null),
          { text: one.bid > 0 ? price(one.bid) : h("span", { class: "quiet" }, "no bid") }, { text: money(one.cap), title: exact(one.cap) }, price(one.cpc), percent(one.cvr, 2),
          { text: signed(one.roi), kind: one.roi > 0 ? "good-text" : one.roi < 0 ? "bad-text" : "" }, fixed(one.confidence), one.bound_by === "none" ? h("span", { class: "quiet" }, "nothing") : h("span", { class: `binding ${concern(one.bound_by)}` }, binding(one.bound_by)),
        ]),
      }));
  }

  #tones(names) {
    this.known = [...new Set([...(this.known || []), ...[...names].sort()])];
    return (name) => TONE(this.known.indexOf(name));
  }

  #outlook(answer) {
    const names = Object.keys(answer.platforms), tone = this.#tones(names);
    if (!names.length) { replace(this.forecast, h("p", { class: "quiet" }, `No intervals now: ${answer.problem}. The values of the newest decision stand beside.`)); this.#front(null); return; }
    const rows = (field) => names.map((name) => ({ name, tone: tone(name), ...atLeastZero(answer.platforms[name][field]) }));
    const parts = ["size", "age", "spread", "completeness"];
    replace(this.forecast,
      intervals({ title: "Cost of a click", rows: rows("cpc"), format: price }),
      intervals({ title: "Conversion rate", rows: rows("cvr"), format: (value) => percent(value, 2) }),
      lazily("How sure, and from how much", () => table({
        caption: "Confidence by platform",
        columns: [{ name: "Platform" }, { name: "Confidence", kind: "number" }, ...parts.map((part) => ({ name: part, kind: "number" })), { name: "Samples", kind: "number" }, { name: "Clicks", kind: "number" }],
        rows: names.map((name) => { const one = answer.platforms[name]; return [name, fixed(one.confidence), ...parts.map((part) => fixed(one.parts[part])), count(one.samples), count(one.clicks)]; }),
      })),
      h("p", { class: "quiet small" }, `From the worker's snapshot of ${time(answer.snapshot_at)} and ${count(answer.counted)} frames of samples since${answer.is_current ? "" : " (not all of them)"}.`));
    this.#front(answer.front);
  }

  #front(found) {
    const brings = this.#definition && BRINGS[this.#definition.strategy] || "Conversions", few = (value) => fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0);
    const chart = found && front({
      title: "What the whole flight could bring", xName: "Spend", yName: brings, xFormat: money, yFormat: few,
      points: found.points.map((one) => ({ x: one.spend, y: one.brings })), here: found.stands && { x: found.stands.spend, y: found.stands.brings },
    });
    replace(this.pareto, chart || h("p", { class: "quiet" }, "Not known for this campaign: a front needs the response of clicks to bids, which comes with more samples. ", h("code", {}, "engine forecast"), " says what a budget is expected to bring."),
      chart && h("p", { class: "quiet small" }, `The cheapest way to each result over the whole flight. Where it stands is where it is going now. Waste so far ${percent(found.waste, 1)}: spend above the cheapest that would have brought the same. The landscapes are known to ${percent(found.confidence)}.`));
  }

  #read(past) {
    this.#past = past;
    this.#bids = JSON.stringify(lastBids(past));
    this.#why(past);
    this.#draw();
  }

  #why(past) {
    const change = past.change;
    if (!change) { replace(this.change, h("p", { class: "quiet" }, past.at.length > 1 ? `Its bids are the same in all ${count(past.at.length)} decisions that were read back.` : past.at.length ? "There is one decision only." : "No decision yet.")); return; }
    const { before, after } = change;
    replace(this.change,
      h("p", { class: "change-head" }, h("time", { datetime: new Date(after.at * 1000).toISOString(), title: when(after.at) }, time(after.at)), ` round ${count(after.round)}, ${duration(after.at - before.at)} after the one before`),
      h("p", { class: "change-why" }, after.why),
      h("ul", { class: "words" }, change.words.map((words) => h("li", {}, words))),
      this.#compared(before, after));
  }

  #compared(before, after) {
    const was = new Map(before.platforms.map((one) => [one.platform, one]));
    const pair = (old, now, format) => (old === undefined || format(old) === format(now) ? format(now) : h("span", {}, h("span", { class: "quiet" }, `${format(old)} → `), format(now)));
    return table({
      caption: "Before and after, by platform",
      columns: [{ name: "Platform" }, ...["Bid", "CPC", "CVR", "ROI a click", "Confidence"].map((name) => ({ name, kind: "number" })), { name: "Held by" }],
      rows: after.platforms.map((one) => {
        const old = was.get(one.platform) || {};
        return [one.platform, { text: pair(old.bid, one.bid, (v) => (v > 0 ? price(v) : "no bid")) }, { text: pair(old.cpc, one.cpc, price) }, { text: pair(old.cvr, one.cvr, (v) => percent(v, 2)) },
          { text: pair(old.roi, one.roi, signed) }, { text: pair(old.confidence, one.confidence, fixed) }, one.bound_by === "none" ? "nothing" : binding(one.bound_by)];
      }),
    });
  }

  /** Add what the stream brought to what was read back. */
  #append(decision, now) {
    const past = this.#past;
    if (!past || !past.at.length || decision.at <= past.at.at(-1)) { if (past && !past.at.length) this.#reread(); return; }
    past.at.push(decision.at);
    past.settled.push(decision.settled);
    past.planned.push(now.planned);
    past.binding.push(decision.binding);
    const known = new Map(decision.platforms.map((one) => [one.platform, one]));
    for (const [field, from] of [["bid", "bid"], ["roi", "roi"]]) {
      for (const name of known.keys()) if (!(name in past[field])) past[field][name] = past.at.slice(1).map(() => null);
      for (const name of Object.keys(past[field])) past[field][name].push(known.get(name)?.[from] ?? null);
    }
    if (past.at.length > LONGEST) for (const list of [past.at, past.settled, past.planned, past.binding, ...Object.values(past.bid), ...Object.values(past.roi)]) list.shift();
    const bids = JSON.stringify(lastBids(past));
    if (bids !== this.#bids) { this.#bids = bids; this.#reread(); }
    if (performance.now() - this.#drawn > 1500) this.#draw();
  }

  /** The words for a change of bid are the server's: ask, but not at every round. */
  #reread() {
    if (this.rereading) return;
    this.rereading = setTimeout(async () => {
      try { const past = await ask(`/api/campaigns/${this.#id}/past`, { signal: this.#stop.signal }); this.#why(past); if (!this.#past?.at.length) this.#read(past); } catch { /* the next one will do */ }
      this.rereading = 0;
    }, 4000);
  }

  #draw() {
    const past = this.#past;
    if (!past || this.#stop.signal.aborted) return;
    if (document.querySelector(".plot:hover, details.figures[open]") && this.#drawn) return; // somebody reads
    this.#drawn = performance.now();
    const names = Object.keys(past.bid), tone = this.#tones(names), last = (list) => list.findLast(isNumber) ?? null;
    const span = past.at.length ? `${count(past.at.length)} decisions${past.is_whole ? ", all there are" : ""}` : "";
    replace(this.spending, lines({
      title: "Settled spend and plan", summary: `${money(last(past.settled))} spent, ${money(last(past.planned))} planned, ${span}.`, at: past.at, zero: true, format: money,
      series: [{ name: "plan", values: past.planned, tone: "plan-line", isDashed: true }, { name: "spend", values: past.settled, tone: "tone-1", isArea: true }],
    }));
    replace(this.bids, lines({
      title: "Bid by platform", summary: names.map((name) => `${name} ${price(last(past.bid[name]))}`).join(", "), at: past.at, zero: true, format: price,
      series: names.map((name) => ({ name, values: past.bid[name], tone: tone(name), isStep: true })), columns: [{ name: "Bound by", values: past.binding.map(binding) }],
    }));
    replace(this.returns, lines({
      title: "Forecast ROI a click", summary: names.map((name) => `${name} ${signed(last(past.roi[name]))}`).join(", "), at: past.at, zero: true, format: signed,
      series: names.map((name) => ({ name, values: past.roi[name], tone: tone(name) })),
    }));
  }

  #asked({ campaign, changes }) {
    const definition = this.#definition = campaign.definition, rails = definition.guardrails || {};
    this.#revision = changes[0]?.revision ?? null;
    say(this.label, [definition.name, definition.account && `account ${definition.account}`].filter(Boolean).join(" · "));
    const cash = (micros) => (isNumber(micros) ? exact(micros, definition.currency) : null);
    const facts = [
      ["Budget", cash(definition.budget_micros)], ["Flight", `${when(definition.flight.starts_at)} to ${when(definition.flight.ends_at)} (shown in your time, planned in ${definition.timezone || "UTC"})`],
      ["Strategy", definition.strategy || "dynamic"], ["Value of a conversion", cash(definition.conversion_value_micros)], ["Target CPA", cash(definition.target_cpa_micros)],
      ["Target ROAS", definition.target_roas], ["Target reach", isNumber(definition.target_reach) ? `${count(definition.target_reach)} impressions` : null],
      ["Bids", `${exact(rails.min_bid_micros ?? 10000)} to ${exact(rails.max_bid_micros ?? 100000000)}, by at most ${percent(rails.max_change ?? 0.5)} a round`],
      ["Daily cap", cash(rails.daily_cap_micros)], ["Largest change a day", isNumber(rails.max_daily_change) ? percent(rails.max_daily_change) : null], ["Hold time", rails.hold_seconds ? duration(rails.hold_seconds) : null],
      ["Least confidence to rise", rails.min_confidence || null], ["Blocked", [...(rails.blocked_platforms || []), ...(rails.blocked_hours || [])].join(", ") || null],
      ["Platforms", Object.keys(definition.platforms).join(", ")], ["Labels", Object.entries(definition.labels || {}).map(([key, value]) => `${key}=${value}`).join(", ") || null],
    ].filter(([, value]) => value !== null && value !== undefined);
    replace(this.asked, h("dl", { class: "asked" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value))))));
    replace(this.history, h("ol", { class: "timeline" }, changes.map((one) => h("li", {},
      h("div", { class: "timeline-head" }, h("time", { datetime: new Date(one.at * 1000).toISOString() }, when(one.at)), h("b", {}, one.state), h("span", { class: "quiet" }, one.by ? `by ${one.by}` : "")),
      one.note ? h("p", {}, one.note) : null,
      one.changes.length ? h("ul", { class: "words" }, one.changes.map((each) => h("li", {}, `${plainly(each.field)}: ${shown(each.field, each.from)} → ${shown(each.field, each.to)}`)))
        : h("p", { class: "quiet" }, one.is_oldest ? (changes.length >= 8 ? "The oldest entry that is kept (the newest eight are)." : "Published.") : "Nothing but the date.")))));
  }
}

/** Neither a price nor a rate is negative, whatever a line through few points says. */
const atLeastZero = (one) => (one ? { value: Math.max(one.value, 0), low: Math.max(one.low, 0), high: Math.max(one.high, 0) } : { value: null });
const lastBids = (past) => Object.fromEntries(Object.entries(past.bid).map(([name, list]) => [name, list.at(-1)]));
const plainly = (path) => path.replace(/_micros$/, "").replaceAll("_", " ").replaceAll(".", ", ");
function shown(field, value) {
  if (value === null || value === undefined) return "none";
  if (field.endsWith("_micros")) return exact(value);
  if (field.endsWith("_at")) return when(value);
  return Array.isArray(value) ? value.join(", ") || "none" : String(value);
}
