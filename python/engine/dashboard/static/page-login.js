// Where reading needs the token: trade it for a cookie that scripts cannot see.

import { h, replace } from "./dom.js";
import { order } from "./stream.js";

export class LoginPage {
  title = "Log in";

  show(root) {
    const token = h("input", { type: "password", name: "token", id: "token", autocomplete: "current-password", required: true });
    const said = h("p", { class: "bad-text", role: "alert" });
    const form = h("form", { class: "login", onsubmit: async (event) => {
      event.preventDefault();
      said.textContent = "";
      try {
        await order("/api/login", { token: token.value });
        location.replace("/");
      } catch (error) { said.textContent = error.message; token.select(); }
    } }, h("h1", { tabindex: "-1" }, "This dashboard is not open to everybody"), h("p", { class: "quiet" }, "Whoever started it chose a token, in the file that --access-token-file names."), h("label", { for: "token" }, "Token"), token, h("button", { class: "primary" }, "Log in"), said);
    replace(root, form);
    token.focus();
  }

  close() {}
  take() {}
}
