// Health: what is well, what is not, and what to do about it. And the kill switch.

import { h, replace, table } from "./dom.js";
import { NONE, bytes, count, duration, percent, when } from "./format.js";

const WORDS = { ok: "well", warn: "look", bad: "act" };

export class HealthPage {
  title = "Health";
  #shell; #key = ""; #sizes = "";

  constructor(shell) { this.#shell = shell; }

  show(root) {
    this.checks = h("ul", { class: "checks" });
    this.streams = h("div", {});
    this.viewers = h("p", { class: "quiet" });
    this.halt = h("div", { class: "haltbox" });
    replace(root, h("div", { class: "page" }, h("h1", { tabindex: "-1" }, "Health"), this.checks, this.halt,
      h("section", {}, h("h2", {}, "Streams"), this.streams, this.viewers)));
    this.#shell.address("/health");
    this.#shell.stream.show("page=health");
  }

  close() {}

  take(page, head) {
    const key = JSON.stringify(page.checks);
    if (key !== this.#key) {
      this.#key = key;
      replace(this.checks, page.checks.map((one) => h("li", { class: `check ${one.level}` }, h("span", { class: `pill ${one.level === "ok" ? "good" : one.level}` }, WORDS[one.level]), h("b", {}, one.name), h("span", { class: "check-text" }, one.text), one.hint ? h("span", { class: "hint" }, one.hint) : null)));
    }
    const sizes = JSON.stringify([page.streams, page.streams_problem]);
    if (sizes !== this.#sizes) {
      this.#sizes = sizes;
      replace(this.streams, page.streams_problem ? h("p", { class: "warn-text" }, `Their sizes are not known: ${page.streams_problem}`) : null, this.#table(page.streams));
    }
    replace(this.viewers, `${count(page.viewers)} ${page.viewers === 1 ? "viewer" : "viewers"} now. This dashboard reads since ${when(page.started_at)}${page.unreadable ? `; ${count(page.unreadable)} messages could not be read` : ""}.`);
    this.#switch(head);
  }

  #table(rows) {
    return table({
      caption: "Streams", empty: "Not asked yet.",
      columns: [{ name: "Stream" }, { name: "Messages", kind: "number" }, { name: "Size", kind: "number" }, { name: "Of its limit", kind: "wide" }, { name: "Kept for", kind: "number" }, { name: "Newest sequence", kind: "number" }],
      rows: rows.map((one) => [one.name, count(one.messages), bytes(one.bytes), this.#full(one), one.max_age_s === null ? "ever" : duration(one.max_age_s), count(one.last_sequence)]),
    });
  }

  #full(one) {
    if (!one.max_bytes) return NONE;
    const share = one.bytes / one.max_bytes;
    return h("span", { class: "quota" }, h("span", { class: "meter", role: "img", "aria-label": percent(share) }, h("i", { class: "settled", style: { width: `${Math.min(share, 1) * 100}%` } })), h("small", {}, `${percent(share, share < 0.1 ? 1 : 0)} of ${bytes(one.max_bytes)}`));
  }

  #switch(head) {
    const state = `${this.#shell.about.may_change}/${head.halted > 0}`;
    if (state === this.switchState) return;
    this.switchState = state;
    if (!this.#shell.about.may_change) { replace(this.halt, h("p", { class: "quiet" }, "This dashboard only reads. Started with ", h("code", {}, "--allow-changes"), " it also pauses, resumes, stops and halts.")); return; }
    const isOn = head.halted > 0;
    replace(this.halt, h("button", { type: "button", class: isOn ? "primary" : "danger", onclick: () => this.#turn(!isOn) }, isOn ? "Let the fleet bid again" : "Halt the fleet"),
      h("span", { class: "quiet" }, isOn ? "The kill switch is on: nobody bids." : "The kill switch: from the next round on nobody bids, anywhere."));
  }

  #turn(isHalted) {
    this.#shell.confirm({
      title: isHalted ? "Halt the whole fleet?" : "Let the fleet bid again?",
      words: isHalted ? "All campaigns in all 64 partitions hold from their next round on. What platforms were given before they may still spend up to their caps." : "All campaigns go on where they were, at their next round.",
      verb: isHalted ? "Halt the fleet" : "Let it bid", isDanger: isHalted,
      path: "/api/halt", body: { is_halted: isHalted },
      done: (said) => `${isHalted ? "Halted" : "Let go on"} in ${count(said.partitions)} partitions.`,
    });
  }
}
