// Elements without markup in strings: what is shown is text, whatever it holds.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function s(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child);
  }
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Set text where it differs: most figures do not, most of the time. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
  return node;
}

export function attr(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function replace(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== false && child !== undefined));
  return parent;
}

/** A table from rows of cells; a cell is text, a node, or {text, kind, title}. */
export function table({ caption, columns, rows, empty, kind = "" }) {
  const head = h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.kind || null }, column.name)));
  const body = rows.map((row) => h("tr", {}, row.map((cell, i) => {
    const it = cell !== null && typeof cell === "object" && !(cell instanceof Node) ? cell : { text: cell };
    const props = { class: [columns[i].kind, it.kind].filter(Boolean).join(" ") || null, title: it.title };
    return i === 0 ? h("th", { scope: "row", ...props }, it.text) : h("td", props, it.text);
  })));
  if (!rows.length) body.push(h("tr", {}, h("td", { colspan: columns.length, class: "none" }, empty || "Nothing yet.")));
  return h("div", { class: `sideways ${kind}`, tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, head), h("tbody", {}, body)));
}
