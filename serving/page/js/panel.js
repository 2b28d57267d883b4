// A part of the page that is loading, shows something, or says in the server's words why it cannot.

import { h } from "./dom.js";

const turns = new WeakMap();

export function problemBox(problem, again = null) {
  return h("div", { class: "problem" },
    h("p", { class: "problem-title", text: problem.title || "Something went wrong" }),
    h("p", { text: problem.detail || problem.message || "" }),
    h("p", { class: "soft small", text: [problem.code, problem.request_id ? `request ${problem.request_id}` : ""].filter(Boolean).join(" · ") }),
    again ? h("button", { type: "button", text: "Try again", on: { click: again } }) : null);
}

/** What is rightly empty: nothing failed, there is just nothing. */
export const empty = (text) => h("p", { class: "empty", text });

/** Load, then draw(host, answer). A slow answer never overwrites a later one; what is shown stays until there is more. */
export async function fill(host, load, draw) {
  const turn = (turns.get(host) || 0) + 1;
  turns.set(host, turn);
  host.setAttribute("aria-busy", "true");
  if (!host.hasChildNodes()) host.append(h("p", { class: "soft loading", text: "loading" }));
  try {
    const answer = await load();
    if (turns.get(host) !== turn) return null;
    draw(host, answer);
    return answer;
  } catch (problem) {
    if (turns.get(host) !== turn) return null;
    host.replaceChildren(problemBox(problem, () => fill(host, load, draw)));
    if (!problem.title) console.error(problem);
    return null;
  } finally {
    if (turns.get(host) === turn) host.removeAttribute("aria-busy");
  }
}
