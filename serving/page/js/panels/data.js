// How fresh each series and job is against what is allowed, and what the data lacks.

import { badge, h, missing, numbers, table } from "../dom.js";
import { age, isNumber, number, time } from "../format.js";
import { empty } from "../panel.js";
import { job as jobName } from "../words.js";

const GAP_WORDS = { open: "open", fixed: "filled since", absent_at_source: "absent at the source" };

function freshness(s, allowed, fine) {
  if (!isNumber(s)) return missing("never");
  return h("span", { class: "fresh", "data-fine": String(fine) },
    h("span", { class: "fresh-track", "aria-hidden": "true" }, h("i", { css: { width: `${Math.min(100, (100 * s) / Math.max(1, allowed))}%` } })),
    h("span", { text: `${age(s)} of ${age(allowed)}` }));
}

export function showSeries(host, health) {
  const order = (row) => (row.stale ? 0 : row.gaps_open ? 1 : 2);
  const rows = [...health.series].sort((a, b) => order(a) - order(b) || a.series.localeCompare(b.series)).map((row) => [
    h("span", {}, h("b", { text: row.series }), h("span", { class: "about", text: `${row.dataset.replaceAll("_", " ")}, ${row.interval}` })),
    badge(row.stale ? "stale" : "fresh", row.stale ? "warning" : "calm"),
    freshness(row.age_s, row.max_age_s, !row.stale),
    row.newest_ts ? time(row.newest_ts) : missing("nothing stored"),
    row.gaps_open ? badge(`${row.gaps_open} open, ${number(row.missing_slots_open)} slots`, "warning") : "none open",
    row.stale ? row.stalled_by || "not known" : ""]);
  if (!rows.length) host.replaceChildren(empty("No series is watched yet."));
  else host.replaceChildren(table("Freshness and gaps of each series", ["Series", "State", "Age of allowed", "Newest", "Gaps", "Stalled by"].slice(0, health.series.some((row) => row.stale) ? 6 : 5), rows.map((row) => (health.series.some((each) => each.stale) ? row : row.slice(0, 5)))));
}

export function showJobs(host, health) {
  const rows = health.jobs.map((row) => [jobName(row.job), badge(row.ok ? "ok" : "late or failing", row.ok ? "calm" : "warning"), freshness(row.age_s, row.allowed_age_s, row.ok),
    row.consecutive_failures ? h("span", {}, number(row.consecutive_failures), h("span", { class: "about", text: row.last_error || "" })) : "none"]);
  host.replaceChildren(table("Jobs", ["Job", "State", "Age of allowed", "Failures in a row"], rows));
}

export function showGaps(host, { open, past }) {
  const line = (gap) => [gap.series, time(gap.gap_start), time(gap.gap_end), number(gap.missing_slots), GAP_WORDS[gap.status]];
  const head = ["Series", "From", "To, exclusive", "#Slots", "State"];
  const told = open.total ? table(`Open gaps: ${number(open.total)}`, head, open.gaps.map(line), true) : h("p", {}, badge("no open gap", "calm"));
  host.replaceChildren(told, past.total ? numbers(`Table of all ${number(past.total)} gaps, also those that are over`, head, () => past.gaps.map(line)) : h("p", { class: "soft", text: "There never was one." }),
    past.total > past.gaps.length ? h("p", { class: "soft small", text: `The newest ${past.gaps.length}; the rest at /v1/market/gaps.` }) : "");
}
