// Platforms: what is bid and forecast on each, and what their gateways have left of quotas.

import { h, replace, table } from "./dom.js";
import { NONE, binding, count, duration, fixed, isNumber, money, percent, price, signed, some, time } from "./format.js";

const BREAKER = { closed: ["good", "closed: calls go through"], open: ["bad", "open: calls are held back"], "half-open": ["warn", "half-open: one call tries"] };

export class PlatformsPage {
  title = "Platforms";
  #shell; #key = "";

  constructor(shell) { this.#shell = shell; }

  show(root) {
    this.bids = h("div", {});
    this.gateways = h("div", {});
    replace(root, h("div", { class: "page" },
      h("h1", { tabindex: "-1" }, "Platforms"),
      h("section", {}, h("h2", {}, "Bids and forecasts"), this.bids),
      h("section", {}, h("h2", {}, "Ad accounts: quotas and breakers"), this.gateways)));
    this.#shell.address("/platforms");
    this.#shell.stream.show("page=platforms");
  }

  close() {}

  take(page) {
    const key = JSON.stringify(page);
    if (key === this.#key) return;
    this.#key = key;
    replace(this.bids, page.platforms.length ? this.#bids(page.platforms) : h("div", { class: "empty" }, h("h3", {}, "No platform yet"), h("p", {}, "Platforms appear with the first campaign that names them.")));
    replace(this.gateways, page.gateways.length ? page.gateways.map((one) => this.#gateway(one)) : h("div", { class: "empty" },
      h("h3", {}, "No gateway heard"),
      h("p", {}, "Decisions are published, and nothing here carries them to real ad accounts. That is as it should be with the simulated market or a consumer of your own; otherwise start a gateway:"),
      h("pre", {}, h("code", {}, "engine gateway"))));
  }

  #bids(rows) {
    return table({
      caption: "Bids and forecasts by platform",
      columns: [{ name: "Platform" }, { name: "Campaigns", kind: "number" }, { name: "Bidding", kind: "number" }, { name: "Best for", kind: "number" }, { name: "Median bid", kind: "number" }, { name: "Median CPC", kind: "number" }, { name: "Median CVR", kind: "number" }, { name: "Median ROI a click", kind: "number" }, { name: "Confidence", kind: "number" }, { name: "Caps given", kind: "number" }, { name: "Held back by" }],
      rows: rows.map((one) => [
        one.name, count(one.campaigns), count(one.bidding), count(one.best), `${price(one.bid)}`, price(one.cpc), percent(one.cvr, 2),
        { text: signed(one.roi), kind: one.roi > 0 ? "good-text" : one.roi < 0 ? "bad-text" : "" }, fixed(one.confidence),
        { text: isNumber(one.cap) ? [money(one.cap), h("small", {}, one.currency ? ` ${one.currency}` : "")] : NONE },
        this.#held(one.bound_by),
      ]),
    });
  }

  #held(held) {
    const entries = Object.entries(held).slice(0, 3);
    return entries.length ? h("span", { class: "chips" }, entries.map(([code, number]) => h("span", { class: "chip" }, binding(code), " ", h("b", {}, count(number))))) : h("span", { class: "quiet" }, "nothing");
  }

  #gateway(one) {
    const state = one.is_silent ? h("span", { class: "pill bad" }, `silent for ${duration(one.heard_s)}`) : one.is_halted ? h("span", { class: "pill bad" }, "halted") : h("span", { class: "pill good" }, "alive");
    return h("div", { class: "gateway" },
      h("h3", {}, one.name, " ", state, h("small", { class: "quiet" }, ` version ${some(one.version)}`)),
      table({
        caption: `Ad accounts of gateway ${one.name}`,
        empty: "It has no ad accounts.",
        columns: [{ name: "Ad account" }, { name: "Mode" }, { name: "Breaker" }, { name: "Operations left today", kind: "wide" }, { name: "A second", kind: "number" }, { name: "Waiting", kind: "number" }, { name: "Applied", kind: "number" }, { name: "Failed", kind: "number" }, { name: "Held back" }, { name: "Reports", kind: "number" }, { name: "Last error" }],
        rows: one.accounts.map((each) => [
          h("span", {}, each.platform, " ", h("small", {}, each.ad_account)),
          each.is_live ? h("span", { class: "pill good" }, "live") : h("span", { class: "pill" }, "dry run"),
          this.#breaker(each), this.#quota(each), fixed(each.rate_per_s, 1), count(each.waiting), count(each.applied),
          { text: count(each.failed + each.rejected), kind: each.failed + each.rejected ? "warn-text" : "" },
          this.#reasons(each.held_back),
          { text: each.report_age_s === null ? NONE : [duration(each.report_age_s), this.#alarms(each.anomalies)] },
          each.last_error ? h("span", { class: "error-text", title: each.last_error }, `${time(each.last_error_at)} ${each.last_error}`) : NONE,
        ]),
      }));
  }

  #breaker(each) {
    const [tone, title] = BREAKER[each.breaker] || ["warn", each.breaker];
    return h("span", { class: `pill ${tone}`, title }, each.breaker, each.breaker === "open" && isNumber(each.breaker_until) ? ` until ${time(each.breaker_until)}` : "");
  }

  #quota(each) {
    if (!isNumber(each.operations_a_day) || !isNumber(each.operations_left)) return h("span", { class: "quiet" }, "no daily limit");
    const share = each.operations_a_day ? each.operations_left / each.operations_a_day : 0;
    return h("span", { class: "quota" },
      h("span", { class: `meter ${share < 0.1 ? "bad" : share < 0.25 ? "warn" : ""}`, role: "img", "aria-label": `${percent(share)} left` }, h("i", { class: "settled", style: { width: `${Math.min(Math.max(share, 0), 1) * 100}%` } })),
      h("small", {}, `${count(each.operations_left)} of ${count(each.operations_a_day)}`));
  }

  #alarms(found) {
    return Object.entries(found).map(([kind, number]) => h("span", { class: "pill bad", title: "The gateway's log names the entities" }, `${kind.replaceAll("-", " ")} ${count(number)}`));
  }

  #reasons(held) {
    const entries = Object.entries(held).filter(([, number]) => number > 0).sort((a, b) => b[1] - a[1]);
    return entries.length ? h("span", { class: "chips" }, entries.map(([reason, number]) => h("span", { class: "chip" }, reason.replaceAll("-", " "), " ", h("b", {}, count(number))))) : NONE;
  }
}
