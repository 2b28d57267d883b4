// What a vault is to hold and holds, now and over time.

import { axis, chart, colour, shade, stepped } from "../chart.js";
import { badge, h, missing, numbers, table } from "../dom.js";
import { dollars, isNumber, number, percent, seconds, signed, time } from "../format.js";
import { empty } from "../panel.js";
import { reasons } from "../words.js";

const HUES = 8; // colours of assets in the style sheet: --asset-0 ...
export const assetsOf = (...weights) => [...new Set(weights.flatMap((each) => Object.keys(each || {})))].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
const rank = (symbol) => (/^USD/.test(symbol) ? 0 : 1);

const share = (weights, symbol) => (weights && weights[symbol] !== undefined ? Number(weights[symbol]) : null);

function bars(symbol, n, held, target) {
  return h("span", { class: "held", "aria-hidden": "true" },
    h("i", { class: "held-bar", css: { width: `${100 * (held ?? 0)}%`, background: `var(--asset-${n % HUES})` } }),
    isNumber(target) ? h("i", { class: "held-target", css: { left: `${100 * target}%` } }) : null);
}

export function showAllocation(host, own) {
  if (!own) {
    host.replaceChildren(empty("No target was issued for any vault yet."));
    return;
  }
  const symbols = assetsOf(own.held_weights, own.weights);
  const rows = symbols.map((symbol, n) => {
    const [held, target] = [share(own.held_weights, symbol), share(own.weights, symbol)];
    return [symbol, bars(symbol, n, held, target), isNumber(held) ? percent(held) : missing("no snapshot"), isNumber(target) ? percent(target) : missing("not in the target"),
      isNumber(held) && isNumber(target) ? signed(100 * (target - held), 1) : "–"];
  });
  const grid = table("Held and wanted share of each asset", ["Asset", "Held, target as a mark", "#Held", "#Target", "#To go"], rows);
  grid.classList.add("holdings");
  host.replaceChildren(
    h("p", { class: "badges" }, badge(own.state === "risk_on" ? "risk on" : "risk off", own.state === "risk_on" ? "calm" : "high"),
      own.stale ? badge("target expired", "warning") : null, own.degraded ? badge("degraded: nothing may move", "warning") : null),
    h("dl", { class: "facts few" },
      h("div", { class: "fact" }, h("dt", { text: "Worth" }), h("dd", {}, isNumber(own.tvl_usd) ? dollars(own.tvl_usd) : missing("no snapshot of the chain yet"))),
      h("div", { class: "fact" }, h("dt", { text: "A share" }), h("dd", {}, isNumber(own.share_price) ? `$ ${number(own.share_price, 4)}` : missing("no snapshot of the chain yet"))),
      h("div", { class: "fact" }, h("dt", { text: "Read from the chain" }), h("dd", {}, own.held_at ? time(own.held_at) : missing("never")))),
    grid,
    h("p", { class: "soft small", text: `Target of ${time(own.issued_at)}: ${reasons(own.reasons) || "without a reason"}.${own.stale ? " It has expired; nothing acts on it." : ""}` }));
}

/** Held weights as a stack over time, from snapshots that have weights. */
export function showAllocations(host, snapshots, targets) {
  const held = snapshots.filter((each) => each.weights).sort((a, b) => seconds(a.ts) - seconds(b.ts));
  const rows = held.length >= 2 ? held.map((each) => [each.ts, each.weights]) : targets.map((each) => [each.issued_at, each.weights]).sort((a, b) => seconds(a[0]) - seconds(b[0]));
  const what = held.length >= 2 ? "held" : "wanted";
  if (rows.length < 2) {
    host.replaceChildren(empty(`${held.length === 1 ? "One snapshot of the chain" : "No snapshot of the chain"} so far: there is no course yet. It grows with each look of the keeper.`));
    return;
  }
  const symbols = assetsOf(...rows.map(([, weights]) => weights));
  const xs = rows.map(([moment]) => seconds(moment));
  const stacked = [];
  symbols.forEach((symbol, n) => {
    stacked.push(rows.map(([, weights], k) => (n ? stacked[n - 1][k] : 0) + (share(weights, symbol) ?? 0)));
  });
  const plot = h("div");
  host.replaceChildren(plot);
  chart(plot, {
    label: `Shares of ${symbols.join(", ")} ${what} from ${time(rows[0][0])} to ${time(rows.at(-1)[0])}.`,
    height: 250,
    legend: symbols.map((symbol, n) => [`block asset-${n % HUES}`, symbol]),
    read: (drawn, k) => `${time(rows[k][0])} · ${symbols.map((symbol) => `${symbol} ${percent(share(rows[k][1], symbol) ?? 0)}`).join(" · ")}`,
    make: () => ({
      options: {
        scales: { x: {}, y: { range: [0, 1] } },
        axes: [axis(), axis({ size: 48, labels: (v) => percent(v, 0), splits: () => [0, 0.25, 0.5, 0.75, 1] })],
        series: [{}, ...symbols.toReversed().map((symbol, back) => {
          const n = symbols.length - 1 - back;
          return { stroke: colour("surface"), width: 1, fill: shade(`asset-${n % HUES}`, 1), points: { show: false }, paths: stepped };
        })],
      },
      data: [xs, ...stacked.toReversed()],
    }),
  });
  host.append(numbers("Table of allocations", ["Time", ...symbols.map((symbol) => `#${symbol}`)], () => rows.toReversed().map(([moment, weights]) => [time(moment), ...symbols.map((symbol) => percent(share(weights, symbol) ?? 0))])));
  host.append(h("p", { class: "soft small", text: what === "held" ? `Shares of value as read from the chain, ${number(rows.length)} snapshots.` : `Wanted shares: there are not two snapshots of the chain yet. ${number(rows.length)} targets.` }));
}
