// A table of any length: only the rows in sight are elements, and only they are asked of the server.
//
// Elements are reused by index, so scrolling one row further writes one row. Very long tables are
// scrolled by proportion, because browsers do not draw elements of unlimited height.

import { h, attr } from "./dom.js";

const SPARE = 8; // rows drawn above and below those in sight
const BLOCK = 40; // windows begin and end at multiples of it, so that viewers share them
const TALLEST = 8_000_000; // pixels

export class Grid {
  #columns; #rowHeight; #handlers; #pool = []; #rows = new Map(); #total = 0; #active = -1;
  #first = 0; #seen = 1; #frame = 0; #window = ""; #context = null;

  /** columns: {id, name, width, sort, kind, make() -> node, write(node, row, context)}
      handlers: window(offset, limit), open(row), sort(id) */
  constructor({ columns, rowHeight, label, handlers }) {
    this.#columns = columns;
    this.#rowHeight = rowHeight;
    this.#handlers = handlers;
    const width = columns.reduce((sum, column) => sum + column.width, 0);
    this.head = h("div", { class: "grid-row grid-head", role: "row", "aria-rowindex": "1" }, columns.map((column, i) => this.#header(column, i)));
    this.body = h("div", { class: "grid-body", role: "rowgroup" });
    this.element = h("div", { class: "grid", role: "grid", tabindex: "0", "aria-label": label, "aria-readonly": "true" },
      h("div", { class: "grid-inner", role: "presentation", style: { minWidth: `${width}px` } },
        h("div", { role: "rowgroup", class: "grid-top" }, this.head), this.body));
    this.element.style.setProperty("--grid-columns", columns.map((c) => `minmax(${c.width}px, ${c.grow || 0.0001}fr)`).join(" "));
    this.element.style.setProperty("--row", `${rowHeight}px`);
    this.element.addEventListener("scroll", () => this.#soon(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.#resizes = new ResizeObserver(() => this.#soon());
    this.#resizes.observe(this.element);
  }

  #resizes;

  close() { this.#resizes.disconnect(); cancelAnimationFrame(this.#frame); }

  #header(column, i) {
    const inside = column.sort
      ? h("button", { type: "button", tabindex: "-1", onclick: () => this.#handlers.sort(column.sort) }, h("span", {}, column.name), h("span", { class: "arrow", "aria-hidden": "true" }))
      : h("span", {}, column.name);
    return h("div", { class: `cell ${column.kind || ""}`, role: "columnheader", "aria-colindex": i + 1, title: column.title }, inside);
  }

  sorted(id, isDescending) {
    this.#columns.forEach((column, i) => {
      const mine = column.sort && column.sort === id;
      attr(this.head.children[i], "aria-sort", mine ? (isDescending ? "descending" : "ascending") : column.sort ? "none" : null);
    });
  }

  /** Take a window of rows. isFresh: the view is another one, and what was known is not of it. */
  take({ total, offset, rows }, context, isFresh) {
    if (isFresh) this.#rows.clear();
    this.#context = context;
    this.#total = total;
    rows.forEach((row, i) => this.#rows.set(offset + i, row));
    if (this.#rows.size > 2000) {
      for (const index of this.#rows.keys()) if (Math.abs(index - this.#first) > 600) this.#rows.delete(index);
    }
    for (const index of this.#rows.keys()) if (index >= total) this.#rows.delete(index);
    attr(this.element, "aria-rowcount", total + 1);
    this.body.style.height = `${Math.min(total * this.#rowHeight, TALLEST)}px`;
    if (this.#active >= total) this.#active = total - 1;
    this.#draw();
  }

  forget() { this.#rows.clear(); this.#active = -1; this.element.scrollTop = 0; this.#window = ""; }

  /** The first row in sight, for the address. */
  get at() { return this.#first; }

  goTo(index) { this.element.scrollTop = this.#offsetOf(index); }

  #scale() {
    const tall = this.#total * this.#rowHeight;
    return tall > TALLEST ? (TALLEST - this.#room()) / (tall - this.#room()) : 1;
  }

  #room() { return Math.max(this.element.clientHeight - this.head.offsetHeight, this.#rowHeight); }
  #offsetOf(index) { return index * this.#rowHeight * this.#scale(); }
  #soon() { if (!this.#frame) this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#draw(); }); }

  #draw() {
    const scale = this.#scale(), top = this.element.scrollTop, height = this.#rowHeight;
    const first = Math.floor(top / scale / height);
    const seen = Math.ceil(this.#room() / height) + 1;
    this.#first = Math.min(first, Math.max(this.#total - 1, 0));
    this.#seen = seen;
    const size = seen + 2 * SPARE;
    while (this.#pool.length < size) this.#pool.push(this.#make());
    const from = Math.max(first - SPARE, 0), until = Math.min(first + seen + SPARE, this.#total);
    const shift = top - first * height - (top / scale - first * height); // of a table scrolled by proportion
    const used = new Set();
    for (let index = from; index < until; index += 1) {
      const slot = this.#pool[index % this.#pool.length];
      used.add(slot);
      this.#write(slot, index, index * height + (scale === 1 ? 0 : shift));
    }
    for (const slot of this.#pool) if (!used.has(slot) && slot.index !== -1) { slot.index = -1; slot.node.hidden = true; }
    this.#ask(from, until);
    this.#mark();
  }

  #make() {
    const cells = this.#columns.map((column, i) => {
      const inside = column.make();
      const cell = h("div", { class: `cell ${column.kind || ""}`, role: i ? "gridcell" : "rowheader", "aria-colindex": i + 1 }, inside);
      return { cell, inside, column };
    });
    const node = h("div", { class: "grid-row", role: "row", hidden: true }, cells.map((one) => one.cell));
    const slot = { node, cells, index: -1, row: null, context: null };
    node.addEventListener("click", (event) => {
      this.#active = slot.index;
      this.#mark();
      if (slot.row && !event.target.closest("a")) this.#handlers.open(slot.row);
    });
    this.body.append(node);
    return slot;
  }

  #write(slot, index, y) {
    const row = this.#rows.get(index) || null;
    if (slot.index !== index) {
      slot.index = index;
      slot.node.hidden = false;
      slot.node.id = `row-${index}`;
      attr(slot.node, "aria-rowindex", index + 2);
    }
    if (slot.y !== y) { slot.y = y; slot.node.style.transform = `translateY(${y}px)`; }
    if (slot.row !== row || (row && slot.context !== this.#context)) {
      slot.node.classList.toggle("is-waiting", !row);
      if (row) for (const one of slot.cells) one.column.write(one.inside, row, this.#context, one.cell);
      slot.row = row;
      slot.context = this.#context;
    }
  }

  #ask(from, until) {
    const offset = Math.floor(from / BLOCK) * BLOCK;
    const limit = Math.min(Math.max(Math.ceil((until - offset) / BLOCK) * BLOCK, BLOCK), 200);
    const wanted = `${offset},${limit}`;
    if (wanted === this.#window) return;
    this.#window = wanted;
    this.#handlers.window(offset, limit);
  }

  #mark() {
    for (const slot of this.#pool) slot.node.classList.toggle("is-active", slot.index === this.#active && this.#active >= 0);
    const isSeen = this.#active >= 0 && this.#pool.some((slot) => slot.index === this.#active);
    attr(this.element, "aria-activedescendant", isSeen ? `row-${this.#active}` : null);
  }

  #key(event) {
    if (event.target !== this.element || event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(this.#seen - 2, 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      event.preventDefault();
      const from = this.#active < 0 ? this.#first - (steps[event.key] > 0 ? 1 : 0) : this.#active;
      this.#active = Math.min(Math.max(from + steps[event.key], 0), this.#total - 1);
      this.#intoSight();
      this.#mark();
    } else if ((event.key === "Enter" || event.key === " ") && this.#rows.has(this.#active)) {
      event.preventDefault();
      this.#handlers.open(this.#rows.get(this.#active));
    }
  }

  #intoSight() {
    const scale = this.#scale(), y = this.#active * this.#rowHeight, room = this.#room();
    const top = this.element.scrollTop / scale;
    if (y < top) this.element.scrollTop = y * scale;
    else if (y + this.#rowHeight > top + room) this.element.scrollTop = (y + this.#rowHeight - room) * scale;
    this.#draw();
  }
}
