// What stands above everything: the mode of the data, the market's clock, how news arrive, health, notices.

import { byId, h } from "../dom.js";
import { time } from "../format.js";
import { MODES } from "../words.js";

const LINKS = {
  live: ["live updates", "News arrive by stream."],
  polling: ["asking again", "There is no stream: the page asks again before what it shows expires."],
};

export function showMarket(market) {
  const [word, about] = MODES[market.data_mode] || [market.data_mode, ""];
  const mode = byId("mode");
  mode.dataset.mode = market.data_mode;
  mode.title = about;
  byId("mode-word").textContent = word;
  byId("clock").replaceChildren(h("span", { class: "wide", text: "market time " }), `${time(market.time)} UTC`);
}

export function showLink(state) {
  const [word, about] = LINKS[state];
  byId("link").dataset.state = state;
  byId("link").title = about;
  byId("link-word").textContent = word;
}

export function showHealth(health) {
  const link = byId("health");
  link.dataset.state = health ? health.status : "down";
  link.textContent = health ? (health.status === "ok" ? "all healthy" : `degraded: ${health.reasons.length} ${health.reasons.length === 1 ? "reason" : "reasons"}`) : "health unknown";
}

/** One notice for each key; null takes it away. */
export function notice(key, kind, title, lines = []) {
  const host = byId("notices");
  const old = [...host.children].find((child) => child.dataset.key === key);
  if (!title) {
    old?.remove();
    return;
  }
  const close = kind === "alert" ? h("button", { type: "button", "aria-label": `Dismiss: ${title}`, text: "Dismiss", on: { click: () => notice(key) } }) : null;
  const made = h("div", { class: "notice", "data-key": key, "data-kind": kind },
    h("div", {}, h("p", { class: "notice-title", text: title }), lines.length ? h("ul", {}, lines.map((line) => h("li", { text: line }))) : null), close);
  if (old) old.replaceWith(made);
  else host.append(made);
}

export function showDegraded(health) {
  const causes = health?.degradation?.causes.map((cause) => cause.detail) || [];
  const why = health ? [...new Set([...health.reasons, ...causes])] : [];
  notice("health", "warning", why.length ? "Degraded: some of what follows is older or weaker than it should be" : null, why);
}

/** An event of the stream: what was raised stands until it is cleared or dismissed. */
export function showAlert(alert) {
  if (!alert?.name) return;
  const key = `alert-${alert.name}-${alert.scope ?? ""}`;
  if (alert.event === "cleared") notice(key);
  else notice(key, "alert", `Alert: ${alert.name.replaceAll("_", " ")}${alert.scope ? `, ${alert.scope}` : ""}`, [alert.summary].filter(Boolean));
}

export const announce = (text) => {
  byId("announce").textContent = text;
};
