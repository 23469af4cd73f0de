// Workers: load, lag and last sign of life; who owns each partition; what changed hands.

import { h, say, attr, replace, table } from "./dom.js";
import { count, duration, fixed, isNumber, milliseconds, percent, some, time } from "./format.js";

const TONES = 8;

export class WorkersPage {
  title = "Workers";
  #shell; #cells = []; #key = "";

  constructor(shell) { this.#shell = shell; }

  show(root) {
    this.workers = h("div", {});
    this.#cells = Array.from({ length: 64 }, (_, i) => h("li", { class: "partition" }, h("b", {}, String(i)), h("span", {})));
    this.legend = h("div", { class: "legend" });
    this.handovers = h("div", {});
    replace(root, h("div", { class: "page" },
      h("h1", { tabindex: "-1" }, "Workers"), this.workers,
      h("section", {}, h("h2", {}, "Partitions"), h("p", { class: "quiet" }, "Every campaign belongs to one of 64 partitions; one worker at a time decides for it."), this.legend, h("ol", { class: "partitions", "aria-label": "Partitions and their owners" }, this.#cells)),
      h("section", {}, h("h2", {}, "Changed hands"), this.handovers)));
    this.#shell.address("/workers");
    this.#shell.stream.show("page=workers");
  }

  close() {}

  take(page) {
    replace(this.workers, page.workers.length ? this.#table(page) : h("div", { class: "empty" },
      h("h2", {}, "No worker heard"), h("p", {}, "Nothing is decided until one runs. Any number may, on any machine that reaches the broker:"), h("pre", {}, h("code", {}, "engine worker --name worker-1"))));
    this.#partitions(page);
    const key = JSON.stringify(page.handovers);
    if (key !== this.#key) {
      this.#key = key;
      replace(this.handovers, this.#hands(page.handovers));
    }
  }

  #table(page) {
    return table({
      caption: "Workers",
      columns: [{ name: "Worker" }, { name: "State" }, { name: "Heartbeat", kind: "number" }, { name: "Partitions", kind: "number" }, { name: "Newest round", kind: "wide", title: "" }, { name: "Rounds a second", kind: "number" }, { name: "Decisions a second", kind: "number" }, { name: "Samples a second", kind: "number" }, { name: "Lag, frames", kind: "number" }, { name: "Late", kind: "number" }, { name: "Left out", kind: "number" }, { name: "Up", kind: "number" }, { name: "Version" }],
      rows: page.workers.map((one) => [
        one.name,
        h("span", { class: `pill ${one.state === "alive" ? "good" : one.state === "draining" ? "warn" : "bad"}` }, one.state),
        { text: `${milliseconds(one.heard_ms)} ago`, kind: one.state === "silent" ? "bad-text" : "" },
        count(one.partitions), this.#load(one, page.interval_ms), fixed(one.rounds_s, 1), count(one.decisions_s), count(one.samples_s),
        { text: count(one.lag), kind: one.lag > 1000 ? "warn-text" : "" }, count(one.late), { text: count(one.skipped), kind: one.skipped ? "warn-text" : "" },
        duration(one.up_s), some(one.version),
      ]),
    });
  }

  #load(one, interval) {
    const share = isNumber(one.load) ? one.load : 0;
    return h("span", { class: "quota", title: interval ? `due to committed, of an interval of ${milliseconds(interval)}` : null },
      h("span", { class: `meter ${share > 0.9 ? "bad" : share > 0.5 ? "warn" : ""}`, role: "img", "aria-label": `${percent(share)} of the interval` }, h("i", { class: "settled", style: { width: `${Math.min(share, 1) * 100}%` } })),
      h("small", {}, milliseconds(one.round_ms)));
  }

  #partitions(page) {
    const names = [...new Set([...page.workers.map((one) => one.name), ...page.partitions.map((one) => one.owner)].filter(Boolean))].sort();
    const tone = new Map(names.map((name, i) => [name, `tone-${(i % TONES) + 1}`]));
    page.partitions.forEach((one, i) => {
      const cell = this.#cells[i];
      attr(cell, "class", `partition ${one.owner ? tone.get(one.owner) : "free"}${one.is_halted ? " halted" : ""}`);
      say(cell.lastChild, one.owner || "free");
      attr(cell, "title", one.owner ? `partition ${i}: ${one.owner}, epoch ${one.epoch}, round ${count(one.round)}, newest record ${duration(one.age_s)} ago${one.is_halted ? ", halted" : ""}` : `partition ${i}: no owner`);
    });
    const owned = new Map();
    for (const one of page.partitions) owned.set(one.owner, (owned.get(one.owner) || 0) + 1);
    const key = JSON.stringify([...owned]);
    if (key === this.ownedKey) return;
    this.ownedKey = key;
    replace(this.legend, names.map((name) => h("span", { class: `key ${tone.get(name)}` }, h("i", { "aria-hidden": "true" }), name, " ", h("b", {}, count(owned.get(name) || 0)))),
      owned.get("") ? h("span", { class: "key free" }, h("i", { "aria-hidden": "true" }), "free ", h("b", {}, count(owned.get("")))) : null);
  }

  #hands(rows) {
    return table({
      caption: "Partitions that changed hands", empty: "None since the streams begin.",
      columns: [{ name: "When" }, { name: "What" }, { name: "Partitions", kind: "rest" }],
      rows: rows.map((one) => {
        const number = one.partitions.length, them = number === 1 ? "a partition" : `${count(number)} partitions`;
        const words = one.is_release ? `${one.owner} left ${them}` : one.before && one.before !== one.owner ? `${one.owner} took ${them} over from ${one.before}` : `${one.owner} took ${them}`;
        return [time(one.at), words, { text: one.partitions.join(", ") }];
      }),
    });
  }
}
