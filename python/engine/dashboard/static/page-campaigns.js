// The table of all campaigns: searched, filtered and sorted by the server, a window at a time.

import { h, s, say, attr, replace } from "./dom.js";
import { NONE, age, binding, concern, count, exact, fixed, isNumber, money, pace, percent, planned, price, signed, when } from "./format.js";
import { Grid } from "./grid.js";
import { trendPath } from "./charts.js";

const STATES = ["active", "scheduled", "paused", "exhausted", "completed", "stopped", "draft"];
const COARSE = matchMedia("(pointer: coarse)");

const inOrder = (query) => new URLSearchParams(["q", "state", "platform", "binding", "action", "sort", "row"].filter((name) => query.get(name)).map((name) => [name, query.get(name)]));

const text = (kind) => () => h("span", { class: kind || null });

function stateCell() { return h("span", { class: "state" }, h("i", { "aria-hidden": "true" }), h("span", {})); }
function writeState(node, row) {
  attr(node, "data-state", row.state || "unknown");
  say(node.lastChild, row.state || NONE);
}

function spendCell() {
  return h("span", { class: "spend" },
    h("span", { class: "spend-text" }, h("b", {}), h("small", {})),
    h("span", { class: "meter", "aria-hidden": "true" }, h("i", { class: "settled" }), h("i", { class: "reserved" }), h("i", { class: "plan" })));
}
function writeSpend(node, row, context, cell) {
  const plan = planned(row, context.at), budget = row.budget || 0;
  const [words, meter] = node.children, [settled, reserved, mark] = meter.children;
  say(words.firstChild, money(row.settled));
  say(words.lastChild, plan === null ? "" : ` of ${money(plan)}`);
  const share = (value) => (budget > 0 && isNumber(value) ? Math.min(Math.max(value / budget, 0), 1) : 0);
  settled.style.width = `${share(row.settled) * 100}%`;
  reserved.style.left = `${share(row.settled) * 100}%`;
  reserved.style.width = `${Math.min(share(row.reserved), 1 - share(row.settled)) * 100}%`;
  mark.style.left = `${share(plan) * 100}%`;
  mark.hidden = plan === null;
  attr(cell, "title", `${exact(row.settled, row.currency)} settled, ${exact(row.reserved)} reserved, ${exact(plan === null ? null : Math.round(plan))} planned by now, of ${exact(row.budget)}`);
}

function writePace(node, row, context) {
  const now = pace(row.settled, planned(row, context.at));
  say(node, percent(now));
  attr(node, "class", now === null ? "" : now > 1.1 ? "warn-text" : now < 0.75 && row.state === "active" ? "warn-text" : "");
}

function writeBid(node, row) {
  const is = isNumber(row.bid) && row.bid > 0;
  say(node.firstChild, is ? price(row.bid) : row.action === null ? NONE : "no bid");
  say(node.lastChild, is && row.best ? row.best : "");
  attr(node.firstChild, "class", is ? "" : "quiet");
}

function writeRoi(node, row) {
  say(node, signed(row.roi));
  attr(node, "class", !isNumber(row.roi) ? "" : row.roi > 0 ? "good-text" : row.roi < 0 ? "bad-text" : "");
}

function trendCell() {
  return s("svg", { class: "trend", viewBox: "0 0 96 24", width: 96, height: 24, role: "img" }, s("path", { d: "" }));
}
function writeTrend(node, row) {
  const path = node.firstChild;
  attr(path, "d", trendPath(row.trend, 96, 24));
  attr(node, "aria-label", isNumber(row.low) ? `ROI from ${signed(row.low)} to ${signed(row.high)} in the last three minutes` : "no trend yet");
}

function confidenceCell() { return h("span", { class: "confidence" }, h("span", {}), h("span", { class: "level", "aria-hidden": "true" }, h("i", {}))); }
function writeConfidence(node, row) {
  say(node.firstChild, fixed(row.confidence));
  node.lastChild.firstChild.style.width = `${isNumber(row.confidence) ? row.confidence * 100 : 0}%`;
}

function writeBinding(node, row) {
  say(node, binding(row.binding));
  attr(node, "title", binding(row.binding));
  attr(node, "class", `binding ${concern(row.binding)}`);
}

const COLUMNS = [
  { id: "campaign", name: "Campaign", width: 186, grow: 3, sort: "campaign", kind: "first",
    make: () => h("a", { class: "name", tabindex: "-1" }, h("b", {}), h("small", {})),
    write: (node, row, _, cell) => {
      attr(node, "href", `/campaigns/${row.campaign}`);
      say(node.firstChild, row.campaign);
      say(node.lastChild, row.label && row.label !== row.campaign ? row.label : "");
      attr(cell, "title", row.label ? `${row.campaign}: ${row.label}` : row.campaign);
    } },
  { id: "state", name: "State", width: 116, sort: "state", make: stateCell, write: writeState },
  { id: "spend", name: "Spend, of plan", width: 172, grow: 2, sort: "spend", make: spendCell, write: writeSpend, title: "What reports have shown, against what was planned by now; the bar is the whole budget" },
  { id: "pace", name: "Pace", width: 72, sort: "pace", kind: "number", make: text(), write: writePace, title: "Spend as a share of the plan by now" },
  { id: "budget", name: "Budget", width: 118, sort: "budget", kind: "number", make: () => h("span", {}, h("span", {}), h("small", {})),
    write: (node, row) => { say(node.firstChild, row.state === null ? NONE : money(row.budget)); say(node.lastChild, row.currency ? ` ${row.currency}` : ""); } },
  { id: "bid", name: "Bid", width: 98, sort: "bid", kind: "number", make: () => h("span", { class: "bid" }, h("span", {}), h("small", {})), write: writeBid, title: "The most to pay for a click, on the platform with the highest ROI" },
  { id: "roi", name: "ROI a click", width: 98, sort: "roi", kind: "number", make: text(), write: writeRoi, title: "Forecast CVR × value − forecast CPC" },
  { id: "trend", name: "ROI trend", width: 116, sort: "trend", make: trendCell, write: writeTrend, title: "ROI a click over the last three minutes" },
  { id: "confidence", name: "Confidence", width: 108, sort: "confidence", kind: "number", make: confidenceCell, write: writeConfidence },
  { id: "binding", name: "What binds it", width: 150, grow: 1, sort: "binding", make: text(), write: writeBinding },
  { id: "decided", name: "Changed", width: 84, sort: "decided", kind: "number", make: text(),
    write: (node, row, context) => { say(node, age(context.at, row.at)); attr(node, "title", when(row.at)); }, title: "How long ago its decision last changed" },
];

export class CampaignsPage {
  title = "Campaigns";
  #shell; #fields; #grid; #query; #window = { offset: 0, limit: 80 }; #isFresh = true; #timer = 0; #wait = 0; #seenPlatforms = "";

  constructor(shell) {
    this.#shell = shell;
    this.#fields = shell.about.fields;
  }

  show(root, query) {
    this.#query = new URLSearchParams(query);
    const search = h("input", { type: "search", id: "search", name: "q", placeholder: "Search campaigns", autocomplete: "off", spellcheck: "false", value: this.#query.get("q") || "", "aria-label": "Search campaigns: words, -word leaves out", maxlength: "200" });
    search.addEventListener("input", () => { clearTimeout(this.#timer); this.#timer = setTimeout(() => this.#set("q", search.value.trim()), 180); });
    this.search = search;
    this.selects = {
      state: this.#select("state", "All states", STATES.map((name) => [name, name])),
      platform: this.#select("platform", "All platforms", []),
      binding: this.#select("binding", "Any constraint", []),
    };
    this.count = h("span", { class: "found", role: "status" });
    this.clear = h("button", { type: "button", class: "plain", hidden: true, onclick: () => this.#clearAll() }, "Clear filters");
    this.#grid = new Grid({
      columns: COLUMNS, rowHeight: COARSE.matches ? 48 : 38, label: "Campaigns",
      handlers: {
        window: (offset, limit) => this.#see(offset, limit),
        open: (row) => this.#shell.go(`/campaigns/${row.campaign}`),
        sort: (id) => this.#sort(id),
      },
    });
    this.empty = h("div", { class: "empty", hidden: true });
    replace(root, h("div", { class: "tablepage" },
      h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
        h("h1", { class: "unseen", tabindex: "-1" }, "Campaigns"), search, Object.values(this.selects), this.clear, this.count),
      h("div", { class: "gridbox" }, this.#grid.element, this.empty)));
    const row = Number(this.#query.get("row") || 0);
    if (row > 0) { this.#window.offset = Math.floor(row / 40) * 40; this.startAt = row; }
    this.#sorted();
    this.#watch();
  }

  close() { clearTimeout(this.#timer); clearTimeout(this.#wait); this.#grid.close(); }

  focusSearch() { this.search.focus(); this.search.select(); }
  focus() { this.#grid.element.focus({ preventScroll: true }); }

  take(page, head, isFull) {
    const rows = (page.rows || []).map((values) => Object.fromEntries(this.#fields.map((name, i) => [name, values[i]])));
    this.#grid.take({ total: page.total, offset: page.offset, rows }, { at: head.at }, this.#isFresh && isFull);
    if (this.#isFresh && this.startAt) { this.#grid.goTo(this.startAt); this.startAt = 0; }
    this.#isFresh = false;
    this.#options(head);
    say(this.count, page.total === head.campaigns ? `${count(page.total)} campaigns` : `${count(page.total)} of ${count(head.campaigns)}`);
    this.#sayEmpty(page.total, head);
  }

  #select(name, all, options) {
    const node = h("select", { name, "aria-label": all, onchange: () => this.#set(name, node.value) });
    node.all = all;
    this.#fill(node, options);
    return node;
  }

  #fill(node, options) {
    const chosen = this.#query.get(node.name) || "";
    const known = options.some(([value]) => value === chosen.replace(/^!/, ""));
    if (chosen && !known) options = [...options, [chosen.replace(/^!/, ""), chosen.replace(/^!/, "")]];
    replace(node, h("option", { value: "" }, node.all),
      options.map(([value, words]) => h("option", { value }, words)),
      h("optgroup", { label: "All but" }, options.map(([value, words]) => h("option", { value: `!${value}` }, `not ${words}`))));
    node.value = chosen;
  }

  #options(head) {
    const key = JSON.stringify([head.platforms, Object.keys(head.bindings)]);
    if (key === this.#seenPlatforms || document.activeElement?.tagName === "SELECT") return;
    this.#seenPlatforms = key;
    this.#fill(this.selects.platform, [...head.platforms].sort().map((name) => [name, name]));
    this.#fill(this.selects.binding, Object.keys(head.bindings).map((code) => [code, binding(code)]).sort((a, b) => a[1].localeCompare(b[1])));
  }

  #set(name, value) {
    if ((this.#query.get(name) || "") === value) return;
    if (value) this.#query.set(name, value); else this.#query.delete(name);
    this.#changed();
  }

  #sort(id) {
    const now = this.#query.get("sort") || "-spend";
    const first = ["campaign", "state", "binding"].includes(id) ? id : `-${id}`;
    const other = first.startsWith("-") ? id : `-${id}`;
    this.#query.set("sort", now === first ? other : first);
    if (this.#query.get("sort") === "-spend") this.#query.delete("sort");
    this.#sorted();
    this.#changed();
  }

  #sorted() {
    const sort = this.#query.get("sort") || "-spend";
    this.#grid.sorted(sort.replace(/^-/, ""), sort.startsWith("-"));
  }

  #clearAll() {
    for (const name of ["q", "state", "platform", "binding", "action"]) this.#query.delete(name);
    this.search.value = "";
    for (const node of Object.values(this.selects)) node.value = "";
    this.#changed();
    this.search.focus();
  }

  #changed() {
    this.#query.delete("row");
    this.#isFresh = true;
    this.#window.offset = 0;
    this.#grid.forget();
    this.#watch();
  }

  #see(offset, limit) {
    if (offset === this.#window.offset && limit === this.#window.limit) return;
    this.#window = { offset, limit };
    clearTimeout(this.#wait);
    this.#wait = setTimeout(() => this.#watch(), 90);
  }

  #watch() {
    const filters = ["q", "state", "platform", "binding", "action"];
    this.clear.hidden = !filters.some((name) => this.#query.get(name));
    const at = this.#grid.at > 0 && !this.#isFresh ? this.#grid.at : Number(this.startAt || 0);
    if (at > 0) this.#query.set("row", at); else this.#query.delete("row");
    this.#query = inOrder(this.#query); // one view, one address
    this.#shell.address(`/${this.#query.size ? `?${this.#query}` : ""}`);
    const view = new URLSearchParams(this.#query);
    view.delete("row");
    view.set("page", "campaigns");
    view.set("offset", this.#window.offset);
    view.set("limit", this.#window.limit);
    this.#shell.stream.show(view.toString());
  }

  #sayEmpty(total, head) {
    this.empty.hidden = total > 0;
    if (total > 0) { this.emptyKind = ""; return; }
    const kind = head.campaigns ? "filtered" : head.is_caught_up ? "none" : "reading";
    if (kind === this.emptyKind) return;
    this.emptyKind = kind;
    if (kind === "filtered") replace(this.empty, h("h2", {}, "No campaign fits"), h("p", {}, "None of the ", count(head.campaigns), " campaigns has all of what is asked for."), h("button", { type: "button", onclick: () => this.#clearAll() }, "Clear filters"));
    else if (kind === "reading") replace(this.empty, h("h2", {}, "Reading back"), h("p", {}, "What the broker has stored is read first; campaigns appear as they come."));
    else replace(this.empty, h("h2", {}, "No campaigns yet"), h("p", {}, "Publish some, and they appear here within a second:"), h("pre", {}, h("code", {}, "engine publish examples/campaigns.yaml")), h("p", { class: "quiet" }, "Nothing at hand? ", h("code", {}, "engine demo"), " brings a fleet, a market and 200 campaigns of its own."));
  }
}
