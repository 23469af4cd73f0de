// The feed of decisions: the newest first, held still while somebody reads.

import { h, say, replace } from "./dom.js";
import { binding, concern, count, exact, isNumber, price, time, NONE } from "./format.js";

const ACTIONS = ["bid", "hold", "fallback"];

/** The part of the sentence that says why: the bids stand beside it. */
function reason(words) {
  const at = words.indexOf(": ");
  return at < 0 ? words : words[at + 2].toUpperCase() + words.slice(at + 3);
}

export class DecisionsPage {
  title = "Decisions";
  #shell; #query; #timer = 0; #isHeld = false; #last = null; #seen = "";

  constructor(shell) { this.#shell = shell; }

  show(root, query) {
    this.#query = new URLSearchParams(query);
    this.search = h("input", { type: "search", placeholder: "Search by campaign", autocomplete: "off", spellcheck: "false", value: this.#query.get("q") || "", "aria-label": "Search decisions by campaign", maxlength: "200" });
    this.search.addEventListener("input", () => { clearTimeout(this.#timer); this.#timer = setTimeout(() => this.#set("q", this.search.value.trim()), 180); });
    this.selects = {
      action: this.#select("action", "All actions", ACTIONS.map((name) => [name, name])),
      platform: this.#select("platform", "All platforms", []),
      binding: this.#select("binding", "Any constraint", []),
    };
    this.hold = h("button", { type: "button", "aria-pressed": "false", onclick: () => this.#hold(!this.#isHeld) }, "Hold still");
    this.count = h("span", { class: "found" });
    this.list = h("ol", { class: "feed", "aria-label": "Newest decisions" });
    this.empty = h("div", { class: "empty", hidden: true });
    replace(root, h("div", { class: "page" },
      h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
        h("h1", { class: "unseen", tabindex: "-1" }, "Decisions"), this.search, Object.values(this.selects), this.hold, this.count),
      this.list, this.empty));
    this.#watch();
  }

  close() { clearTimeout(this.#timer); }
  focusSearch() { this.search.focus(); this.search.select(); }

  take(page, head) {
    this.#options(head);
    say(this.count, head.changes_s === null ? "" : `${count(head.changes_s)} changes a second, the newest shown`);
    this.#last = page.decisions;
    if (!this.#isHeld) this.#draw(page.decisions, head);
  }

  #draw(decisions, head) {
    const known = new Map([...this.list.children].map((node) => [node.dataset.key, node]));
    replace(this.list, decisions.map((one) => {
      const key = `${one.campaign}/${one.round}/${one.epoch}`;
      return known.get(key) || this.#item(one, key);
    }));
    this.empty.hidden = decisions.length > 0;
    if (!decisions.length) {
      const isFiltered = ["q", "action", "platform", "binding"].some((name) => this.#query.get(name));
      const words = isFiltered
        ? [h("h2", {}, "No decision fits"), h("p", {}, "None of the newest decisions has all of what is asked for. They are kept for the last few thousand changes only.")]
        : [h("h2", {}, "No decisions yet"), h("p", {}, head.alive ? "Workers are there; publish campaigns and they decide within a round:" : "Nobody decides. Start a worker:"), h("pre", {}, h("code", {}, head.alive ? "engine publish examples/campaigns.yaml" : "engine worker --name worker-1"))];
      replace(this.empty, words);
    }
  }

  #item(one, key) {
    const bids = one.platforms.filter((each) => each.bid > 0).sort((a, b) => b.bid - a.bid);
    const highest = bids.length ? bids[0].bid : 0;
    return h("li", { dataset: { key } },
      h("time", { datetime: new Date(one.at * 1000).toISOString() }, time(one.at)),
      h("a", { href: `/campaigns/${one.campaign}`, class: "feed-name" }, one.campaign),
      h("span", { class: `action ${one.action}` }, one.action === "hold" ? "no bid" : one.action),
      h("span", { class: "feed-bids" }, bids.length ? bids.map((each) => h("span", { class: each.platform === one.best ? "chip best" : "chip", title: each.bound_by_words || null }, each.platform, " ", h("b", {}, price(each.bid)))) : h("span", { class: "quiet" }, NONE)),
      this.#move(one.bid_before, highest, one.currency),
      h("span", { class: `binding ${concern(one.binding)}` }, binding(one.binding)),
      h("span", { class: "why" }, reason(one.why)));
  }

  #move(before, now, currency) {
    if (!isNumber(before) || before === now) return h("span", { class: "move quiet" }, isNumber(before) ? "same bid" : "first");
    const share = before > 0 ? Math.abs(now / before - 1) : null;
    const words = before <= 0 ? "begins" : now <= 0 ? "ends" : `${now > before ? "up" : "down"} ${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
    return h("span", { class: `move ${now > before ? "up" : "down"}`, title: `highest bid before: ${exact(before, currency)}` }, words);
  }

  #hold(isHeld) {
    this.#isHeld = isHeld;
    this.hold.setAttribute("aria-pressed", isHeld);
    say(this.hold, isHeld ? "Go on" : "Hold still");
    if (!isHeld && this.#last) this.#draw(this.#last, this.#shell.stream.head);
  }

  #select(name, all, options) {
    const node = h("select", { name, "aria-label": all, onchange: () => this.#set(name, node.value) });
    node.all = all;
    this.#fill(node, options);
    return node;
  }

  #fill(node, options) {
    const chosen = this.#query.get(node.name) || "", bare = chosen.replace(/^!/, "");
    if (bare && !options.some(([value]) => value === bare)) options = [...options, [bare, bare]];
    replace(node, h("option", { value: "" }, node.all), options.map(([value, words]) => h("option", { value }, words)),
      h("optgroup", { label: "All but" }, options.map(([value, words]) => h("option", { value: `!${value}` }, `not ${words}`))));
    node.value = chosen;
  }

  #options(head) {
    const key = JSON.stringify([head.platforms, Object.keys(head.bindings)]);
    if (key === this.#seen || document.activeElement?.tagName === "SELECT") return;
    this.#seen = key;
    this.#fill(this.selects.platform, [...head.platforms].sort().map((name) => [name, name]));
    this.#fill(this.selects.binding, Object.keys(head.bindings).map((code) => [code, binding(code)]));
  }

  #set(name, value) {
    if ((this.#query.get(name) || "") === value) return;
    if (value) this.#query.set(name, value); else this.#query.delete(name);
    this.#hold(false);
    this.#watch();
  }

  #watch() {
    this.#shell.address(`/decisions${this.#query.size ? `?${this.#query}` : ""}`);
    const view = new URLSearchParams(this.#query);
    view.set("page", "decisions");
    this.#shell.stream.show(view.toString());
  }
}
