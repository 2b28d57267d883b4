// What the keeper decided and why, acted or not.

import { badge, h, table } from "../dom.js";
import { time } from "../format.js";
import { empty } from "../panel.js";
import { reasons } from "../words.js";

const KINDS = { rebalance: "move", hold: "plain", refuse: "warning" };
const ENDS = { confirmed: "confirmed", failed: "failed", expired: "expired", unknown: "unknown: a human is needed" };

function followed(decision) {
  if (decision.verdict !== "rebalance") return h("span", { class: "soft", text: "nothing moved" });
  if (!decision.intent_state) return h("span", { class: "soft", text: `none (phase ${decision.phase})` });
  const words = [ENDS[decision.intent_state] || decision.intent_state, decision.intent_reason].filter(Boolean).join(": ");
  const kind = decision.intent_state === "confirmed" ? "calm" : ["failed", "expired", "unknown"].includes(decision.intent_state) ? "warning" : "plain";
  const hash = decision.tx_hash ? h("a", { class: "hash", href: `/v1/decisions/${decision.tx_hash}`, text: decision.tx_hash.slice(0, 10), title: `Transaction ${decision.tx_hash}: from it back to the raw rows` }) : null;
  return h("span", { class: "followed" }, badge(words, kind), hash);
}

export function showDecisions(host, page) {
  if (!page.decisions.length) {
    host.replaceChildren(empty("The keeper has not decided anything yet."));
    return;
  }
  const rows = page.decisions.map((each) => [
    h("a", { href: `/v1/decisions/${each.id}`, text: time(each.market_time), title: "Everything this decision rests on, as JSON" }),
    badge(each.verdict, KINDS[each.verdict]), h("span", { class: "because", text: reasons(each.reasons) || "no reason given" }), followed(each), each.score_as_of ? time(each.score_as_of) : "no score"]);
  const grid = table("Decisions of the keeper, newest first", ["Market time", "Verdict", "Because", "What followed", "Score as of"], rows);
  grid.classList.add("tall");
  host.replaceChildren(grid, page.next_cursor ? h("p", { class: "soft small", text: `The newest ${rows.length}; older ones at /v1/decisions.` }) : "");
}
