// All subjects with their newest score, at one horizon each; choosing one shows it.

import { byId, choice, h } from "../dom.js";
import { isNumber, number } from "../format.js";
import { choose, state } from "../state.js";
import { level, levelKey, subject as name } from "../words.js";

const GROUPS = [["Vaults", (s) => s.subject_kind === "vault"], ["Coins", (s) => !s.subject.includes(":")], ["Currencies", () => true]];

export const horizonsOf = (scores, subject) => scores.filter((s) => s.subject === subject).map((s) => s.horizon_days);

/** The chosen score, or the first there is: a vault where there is one. */
export function chosen(scores) {
  const own = scores.filter((s) => s.subject === state.subject);
  const among = own.length ? own : scores.filter((s) => s.subject === (scores.find((each) => each.subject_kind === "vault") || scores[0])?.subject);
  return among.find((s) => s.horizon_days === state.horizon) || among[0] || null;
}

let shown = null;

function line(score, active) {
  const there = isNumber(score.score);
  const says = there ? `score ${number(score.score)} of 100, ${level(score.score)}` : `no score, ${score.status.replaceAll("_", " ")}`;
  const flags = [score.stale ? "expired" : "", score.degraded && !score.stale ? "degraded" : ""].filter(Boolean).join(", ");
  return h("li", {}, h("button", {
    type: "button", class: "subject", "data-level": levelKey(score.score), "data-stale": score.stale, "aria-pressed": String(active),
    "aria-label": `${name(score.subject)}: ${says}${flags ? `, ${flags}` : ""}`, "data-subject": score.subject,
    on: { click: () => choose({ subject: score.subject, horizon: score.horizon_days, ...(score.subject_kind === "vault" ? { vault: score.subject.slice(6) } : {}) }) },
  },
  h("span", { class: "subject-name", text: name(score.subject) }),
  h("span", { class: "subject-word", text: flags || (there ? level(score.score) : score.status.replaceAll("_", " ")) }),
  h("span", { class: "subject-score", text: there ? number(score.score) : "–" }),
  h("span", { class: "track" }, h("i", { css: { width: `${there ? score.score : 0}%` } }))));
}

export function showSubjects(scores) {
  const now = chosen(scores);
  const host = byId("subject-list");
  const focused = host.contains(document.activeElement) ? document.activeElement.dataset.subject : null;
  const subjects = [...new Set(scores.map((s) => s.subject))];
  let left = subjects.map((own) => (own === now?.subject ? now : scores.find((s) => s.subject === own)));
  const groups = GROUPS.map(([title, belongs]) => {
    const found = left.filter(belongs);
    left = left.filter((s) => !belongs(s));
    return found.length ? h("div", { class: "group" }, h("h3", { class: "group-title", text: title }), h("ul", {}, found.map((s) => line(s, s === now)))) : null;
  });
  const before = host.scrollLeft;
  host.replaceChildren(...groups.filter(Boolean));
  host.scrollLeft = before;
  if (focused) [...host.querySelectorAll("button")].find((one) => one.dataset.subject === focused)?.focus();
  const own = host.querySelector('[aria-pressed="true"]');
  if (own && shown !== now.subject) host.scrollLeft = own.offsetLeft - host.offsetLeft - 12; // on a phone they stand side by side
  shown = now?.subject;
  const horizons = now ? horizonsOf(scores, now.subject) : [];
  choice(byId("horizon"), horizons.map((days) => [days, days === 1 ? "1 day" : `${days} days`]), now?.horizon_days, (days) => choose({ horizon: days }));
}
