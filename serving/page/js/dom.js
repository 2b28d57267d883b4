// Elements without markup in strings: text is always text, so nothing that an answer holds can become markup.

/** h("p", {class: "soft", text: "..."}, child, ...): `on` takes listeners, `css` properties of the style. */
export function h(tag, about = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (name === "css") for (const [property, to] of Object.entries(value)) made.style.setProperty(property, to);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** A number that is not there, and why: never a dash alone, never a zero. */
export function missing(why) {
  return h("span", { class: "missing" }, h("span", { text: "not available" }), why ? h("span", { class: "why", text: why }) : null);
}

export function badge(text, kind) {
  return h("span", { class: "badge", "data-kind": kind, text });
}

/** A table in a box that scrolls sideways on a phone, also by keyboard. `head`: names; "#" before one aligns right. */
export function table(caption, head, rows, visibleCaption = false) {
  const numeric = head.map((name) => name.startsWith("#"));
  const cell = (value, n) => h(n === 0 ? "th" : "td", { class: numeric[n] ? "number" : null, scope: n === 0 ? "row" : null }, value);
  const body = rows.map((row) => h("tr", {}, row.map(cell)));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {},
      h("caption", { class: visibleCaption ? null : "hidden", text: caption }),
      h("thead", {}, h("tr", {}, head.map((name, n) => h("th", { scope: "col", class: numeric[n] ? "number" : null, text: name.replace("#", "") })))),
      h("tbody", {}, body)));
}

/** The numbers behind a chart, made when they are asked for. */
export function numbers(summary, head, rows) {
  const details = h("details", { class: "numbers" }, h("summary", { text: summary }));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(table(summary, head, rows()));
  });
  return details;
}

let choices = 0;
/** Radio buttons that look like one switch. `options`: [value, label]; returns nothing, `chosen` hears of changes. */
export function choice(fieldset, options, value, chosen) {
  const group = `choice-${(choices += 1)}`;
  const focused = fieldset.contains(document.activeElement);
  const made = options.map(([own, label]) => {
    const input = h("input", { type: "radio", name: group, value: own, checked: own === value, on: { change: () => chosen(own) } });
    return h("label", {}, input, h("span", { text: label }));
  });
  fieldset.replaceChildren(fieldset.querySelector("legend"), ...made);
  fieldset.hidden = options.length < 2;
  if (focused) fieldset.querySelector("input:checked")?.focus();
}
