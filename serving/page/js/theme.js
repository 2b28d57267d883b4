// Light, dark or as the system says; remembered. Charts hear of it by a `themechange` event of the document.

import { byId, choice } from "./dom.js";

const KEY = "ballast-theme";
const OPTIONS = [["system", "Auto"], ["light", "Light"], ["dark", "Dark"]];

function remembered() {
  try {
    return localStorage.getItem(KEY) || "system";
  } catch {
    return "system";
  }
}

function take(value) {
  if (value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
  try {
    localStorage.setItem(KEY, value);
  } catch { /* not remembered, still taken */ }
  document.dispatchEvent(new Event("themechange"));
}

export function startTheme() {
  choice(byId("theme"), OPTIONS, remembered(), take);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));
}

let probe = null;
/** What a colour of the style sheet is now, in a form that a canvas takes. */
export function colour(name) {
  if (!probe) {
    probe = document.createElement("i");
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** The same colour, more or less transparent. */
export function shade(name, opacity) {
  const parts = colour(name).match(/[\d.]+/g).slice(0, 3);
  return `rgba(${parts.join(", ")}, ${opacity})`;
}
