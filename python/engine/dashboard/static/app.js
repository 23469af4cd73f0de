// The shell around the pages: the address, the stream, the badge, the strip of figures, keys.

import { byId, h, say, attr, replace } from "./dom.js";
import { NONE, count, duration, isNumber, milliseconds, money, percent } from "./format.js";
import { Stream, ask, order } from "./stream.js";
import { CampaignsPage } from "./page-campaigns.js";
import { CampaignPage } from "./page-campaign.js";
import { DecisionsPage } from "./page-decisions.js";
import { PlatformsPage } from "./page-platforms.js";
import { WorkersPage } from "./page-workers.js";
import { HealthPage } from "./page-health.js";
import { LoginPage } from "./page-login.js";

const PAGES = [["/", "Campaigns", "c"], ["/decisions", "Decisions", "d"], ["/platforms", "Platforms", "p"], ["/workers", "Workers", "w"], ["/health", "Health", "h"]];
const KEYS = [["/", "Search"], ["↑ ↓ Page Home End", "Move in the table"], ["Enter", "Open the campaign"], ["Esc", "Back to the table"], ["g then c d p w h", "Go to campaigns, decisions, platforms, workers, health"], ["t", "Light or dark"], ["?", "These keys"]];

class Shell {
  about = { fields: [], may_change: false };
  page = null;
  #table = "/";
  #isGoing = false;
  #tiles = null;

  async start() {
    for (const [path, name] of PAGES) byId("pages").append(h("a", { href: path }, name));
    this.#theme();
    this.#dialogs();
    addEventListener("popstate", () => this.#route(false));
    document.addEventListener("click", (event) => this.#link(event));
    document.addEventListener("keydown", (event) => this.#key(event));
    if (location.pathname === "/login") return this.#login();
    this.#token();
    try { this.about = await ask("/api/about"); } catch (error) {
      if (error.status === 401) return this.#login();
      replace(byId("main"), h("div", { class: "empty" }, h("h1", {}, "The dashboard does not answer"), h("p", {}, error.message), h("button", { type: "button", onclick: () => location.reload() }, "Try again")));
      return undefined;
    }
    this.stream = new Stream({ message: (...all) => this.#take(...all), state: (...all) => this.#badge(...all), refused: (...all) => this.#refused(...all) });
    this.#route(false);
    return undefined;
  }

  /** Go to a page of this dashboard. */
  go(path) { history.pushState(null, "", path); this.#route(true); }

  /** Let the address say what is shown; the way back leads to other pages, not to each letter typed. */
  address(path) {
    if (path !== location.pathname + location.search) history.replaceState(null, "", path);
    if (location.pathname === "/") this.#table = path;
  }

  lastTable() { return this.#table; }

  #route(isNew) {
    const path = location.pathname, query = location.search;
    this.page?.close();
    const own = path.match(/^\/campaigns\/([A-Za-z0-9_-]{1,64})$/);
    this.page = own ? new CampaignPage(this, own[1]) : path === "/decisions" ? new DecisionsPage(this) : path === "/platforms" ? new PlatformsPage(this) : path === "/workers" ? new WorkersPage(this) : path === "/health" ? new HealthPage(this) : new CampaignsPage(this);
    const main = byId("main");
    main.dataset.page = own ? "campaign" : path.slice(1) || "campaigns";
    this.page.show(main, query);
    document.title = `${this.page.title} · campaign-engine`;
    for (const link of byId("pages").children) attr(link, "aria-current", link.getAttribute("href") === path || (own && link.getAttribute("href") === "/") ? "page" : null);
    byId("pages").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (isNew) { scrollTo(0, 0); if (this.page.focus) this.page.focus(); else main.querySelector("h1")?.focus({ preventScroll: true }); }
  }

  #login() {
    document.body.classList.add("bare");
    this.page = new LoginPage(this);
    this.page.show(byId("main"));
  }

  #take(page, head, isFull) {
    this.#strip(head);
    this.#banner(head);
    this.page.take(page, head, isFull);
  }

  #refused(status, words) {
    if (status === 401) { location.assign("/login"); return; }
    replace(byId("main"), h("div", { class: "empty" }, h("h1", {}, "That view makes no sense"), h("p", {}, words), h("a", { href: "/", class: "button" }, "All campaigns")));
  }

  #badge(state, seconds) {
    const words = { live: "live", stale: "stale", reconnecting: "reconnecting", connecting: "connecting", "reading back": "reading back" };
    attr(byId("badge"), "data-state", state.split(" ")[0]);
    say(byId("badge-word"), words[state]);
    say(byId("badge-age"), isNumber(seconds) && seconds >= 1 ? ` ${duration(seconds)}` : "");
    document.body.classList.toggle("is-stale", state === "stale" || state === "reconnecting");
  }

  #banner(head) {
    const words = head.halted ? `The kill switch is on ${head.halted === head.partitions ? "everywhere" : `in ${head.halted} of ${head.partitions} partitions`}: nobody bids there.`
      : !head.is_connected ? "The broker is away. What you see is what was last heard; budgets stay as last committed."
        : head.is_caught_up && head.campaigns && !head.alive ? "No worker is alive: nothing is decided. Start one with engine worker --name worker-1" : "";
    const banner = byId("banner");
    say(banner, words);
    banner.hidden = !words;
    banner.classList.toggle("bad", Boolean(head.halted) || (head.is_connected && !head.alive));
  }

  #strip(head) {
    const main = head.money[0], others = head.money.length - 1, rest = others > 0 ? `, +${others} ${others === 1 ? "currency" : "currencies"}` : "";
    const pace = main && main.planned > 0 ? main.settled / main.planned : null;
    const tiles = [
      ["Spend", main ? `${money(main.settled)} ${main.currency}` : NONE, main ? `${percent(pace)} of ${money(main.planned)} planned${rest}` : "no campaigns yet", pace !== null && (pace > 1.1 || pace < 0.75) ? "warn" : ""],
      ["Campaigns", count(head.campaigns), `${count(head.states.active || 0)} active, ${count((head.actions.bid || 0) + (head.actions.fallback || 0))} bidding`, ""],
      ["Decisions a second", head.decisions_s === null ? NONE : count(head.decisions_s), head.changes_s === null ? "" : `${count(head.changes_s)} changed`, ""],
      ["Due to published", head.delay_ms ? milliseconds(head.delay_ms[0]) : NONE, head.delay_ms ? `p50; p99 ${milliseconds(head.delay_ms[1])}` : "p50", ""],
      ["Workers", `${count(head.alive)}`, `alive, ${count(head.owned)} of ${count(head.partitions)} partitions`, head.is_caught_up && (!head.alive || head.owned < head.partitions) ? "bad" : ""],
      ["Dead letters", count(head.dead_letters), head.dead_letters ? "engine dead list says why" : "nothing unreadable", head.dead_letters ? "warn" : ""],
    ];
    if (!this.#tiles) {
      this.#tiles = tiles.map(() => h("div", { class: "tile" }, h("span", { class: "tile-name" }), h("b", {}), h("small", {})));
      replace(byId("strip"), this.#tiles);
    }
    tiles.forEach(([name, value, note, tone], i) => {
      const [title, figure, small] = this.#tiles[i].children;
      say(title, name); say(figure, value); say(small, note);
      attr(this.#tiles[i], "data-tone", tone || null);
    });
  }

  #theme() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const turn = () => {
      const now = document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");
      const next = now === "dark" ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      try { localStorage.setItem("theme", next); } catch { /* for this visit only */ }
    };
    this.turnTheme = turn;
    byId("theme").addEventListener("click", turn);
  }

  #dialogs() {
    this.help = h("dialog", { class: "dialog", "aria-labelledby": "help-title" },
      h("h2", { id: "help-title" }, "Keys"), h("dl", { class: "keys" }, KEYS.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)))),
      h("p", { class: "quiet" }, "The address keeps filters, order and place: copy it to show a colleague what you see. A search word with - before it leaves out."),
      h("form", { method: "dialog" }, h("button", { class: "primary" }, "Close")));
    document.body.append(this.help);
    byId("help-open").addEventListener("click", () => this.help.showModal());
    this.toast = h("div", { class: "toast", role: "status", hidden: true });
    document.body.append(this.toast);
  }

  /** Ask, then order a change; the token is asked for once a visit. */
  confirm({ title, words, verb, isDanger, note, path, body, done }) {
    const why = note ? h("input", { name: "note", id: "note", maxlength: "200", autocomplete: "off" }) : null;
    const needsToken = !this.tokenKnown();
    const token = h("input", { type: "password", id: "order-token", autocomplete: "off", required: needsToken });
    const said = h("p", { class: "bad-text", role: "alert" });
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": "confirm-title" },
      h("form", { onsubmit: async (event) => {
        event.preventDefault();
        const button = event.submitter;
        said.textContent = "";
        if (button) button.disabled = true;
        try {
          if (token.value) this.keepToken(token.value.trim());
          const answer = await order(path, why && why.value ? { ...body, note: why.value } : body, this.tokenKnown());
          dialog.close();
          this.say(done(answer));
        } catch (error) {
          if (error.status === 401) { this.keepToken(""); tokenBox.hidden = false; token.required = true; }
          said.textContent = error.message;
          if (button) button.disabled = false;
        }
      } },
      h("h2", { id: "confirm-title" }, title), h("p", {}, words),
      why ? [h("label", { for: "note" }, "Why, for others (may be left out)"), why] : null));
    const tokenBox = h("div", { hidden: !needsToken }, h("label", { for: "order-token" }, "Token, as printed where the dashboard was started"), token);
    dialog.firstChild.append(tokenBox, said, h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => dialog.close() }, "Leave it"), h("button", { class: isDanger ? "danger" : "primary" }, verb)));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  say(words) {
    replace(this.toast, words);
    this.toast.hidden = false;
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => { this.toast.hidden = true; }, 6000);
  }

  #token() {
    // The part after # never leaves the browser; out of the address with it, into this tab alone.
    const found = new URLSearchParams(location.hash.slice(1)).get("token");
    if (!found) return;
    this.keepToken(found);
    history.replaceState(null, "", location.pathname + location.search);
  }

  keepToken(token) { this.held = token; try { sessionStorage.setItem("token", token); } catch { /* in memory */ } }
  tokenKnown() { if (this.held === undefined) { try { this.held = sessionStorage.getItem("token") || ""; } catch { this.held = ""; } } return this.held; }

  #link(event) {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || url.pathname.startsWith("/static/") || url.pathname.startsWith("/api/")) return;
    if (url.hash && url.pathname === location.pathname) return;
    event.preventDefault();
    const back = url.pathname === "/" && location.pathname.startsWith("/campaigns/") && !url.search ? this.#table : url.pathname + url.search;
    this.go(back);
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const isTyping = event.target.closest?.("input, select, textarea");
    if (event.key === "Escape") {
      if (isTyping) { event.target.blur(); this.page.focus?.(); }
      else if (location.pathname.startsWith("/campaigns/")) this.go(this.#table);
      return;
    }
    if (isTyping) return;
    const goes = this.#isGoing && PAGES.find(([, , key]) => key === event.key);
    this.#isGoing = false;
    if (goes) { event.preventDefault(); this.go(goes[0] === "/" ? this.#table : goes[0]); }
    else if (event.key === "g") this.#isGoing = true;
    else if (event.key === "/") { event.preventDefault(); this.page.focusSearch ? this.page.focusSearch() : (this.go(this.#table), this.page.focusSearch?.()); }
    else if (event.key === "?") this.help.showModal();
    else if (event.key === "t") this.turnTheme();
  }
}

new Shell().start();
