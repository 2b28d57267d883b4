// The stress test of the day: a fan of drawn paths with and without the keeper, the spread of drawdowns, key figures.

import { axis, chart, colour, shade, stepped } from "../chart.js";
import { badge, h, missing, numbers, table } from "../dom.js";
import { ago, isNumber, number, percent, signed, signedPercent, time } from "../format.js";
import { empty } from "../panel.js";
import { STRATEGIES } from "../words.js";

const SHOWN = ["hold", "policy"];
const KINDS = { hold: "without", policy: "with" };
const FIGURES = [
  ["max_drawdown_50", "Median largest fall from a peak"], ["max_drawdown_95", "Largest fall, exceeded by 1 path in 20"],
  ["max_drawdown_99", "Largest fall, exceeded by 1 path in 100"], ["var_99", "Loss at the end, exceeded by 1 in 100"],
  ["es_99", "Mean loss of that worst 1 in 100"], ["loss_probability", "Probability of any loss at the end"], ["ruin_probability", "Probability of ruin"],
];

const told = (estimate) => (estimate && isNumber(estimate.value)
  ? h("span", {}, percent(estimate.value), isNumber(estimate.low) ? h("span", { class: "about", text: `${number(100 * estimate.low, 1)} to ${number(100 * estimate.high, 1)}` }) : null)
  : missing(estimate?.reason || "not computed"));

export function showAbout(host, test) {
  const drawn = `${number(test.paths)} paths of ${test.days} days, ${test.generator} returns; shocks by chance: ${test.shocks.map((each) => each.replaceAll("_", " ")).join(", ") || "none"}.`;
  host.replaceChildren(h("p", { class: "soft" }, test.stale ? badge("overdue", "warning") : null, ` Vault ${test.vault_id}, data up to ${time(test.as_of)} (${ago(test.age_s)}). ${drawn}`));
}

function fan(host, curve, name, range) {
  const band = curve.bands[name];
  if (!band || !band.pointwise) {
    host.replaceChildren(empty(`Not available: ${band?.reason || "no bands were kept"}.`));
    return;
  }
  const rows = band.pointwise;
  const middle = (rows.length - 1) / 2;
  const last = curve.days.length - 1;
  const kind = KINDS[name];
  chart(host, {
    label: `${STRATEGIES[name]}: after ${curve.days[last]} days the middle path ends at ${signedPercent(rows[middle][last] - 1)}, one in twenty below ${signedPercent(rows[1][last] - 1)}, one in a hundred below ${signedPercent(rows[0][last] - 1)}.`,
    height: 230,
    read: (drawn, n) => `day ${curve.days[n]}: ${curve.percents.map((p, k) => [p, k]).filter(([p]) => [1, 5, 50, 95].includes(p)).map(([p, k]) => `${p} %: ${signedPercent(rows[k][n] - 1)}`).join(" · ")}`,
    make: () => ({
      options: {
        scales: { x: { time: false }, y: { range } },
        axes: [axis({ labels: (v) => number(v), label: "day" }), axis({ size: 54, labels: (v) => signedPercent(v - 1, 0) })],
        series: [{}, ...rows.map((row, k) => ({ stroke: k === middle ? colour(kind) : "transparent", width: k === middle ? 2 : 0, points: { show: false } }))],
        bands: rows.slice(0, middle).map((row, k) => ({ series: [rows.length - k, k + 1], fill: shade(kind, [0.13, 0.16, 0.22][k] ?? 0.2) })),
      },
      data: [curve.days, ...rows],
    }),
  });
}

export function showFan(host, run, test) {
  const { curve } = run;
  if (!curve) {
    host.replaceChildren(empty("The paths of this test are not kept."));
    return;
  }
  const extremes = SHOWN.flatMap((name) => curve.bands[name]?.pointwise || []).flat().filter(isNumber);
  const range = extremes.length ? [Math.min(...extremes) - 0.01, Math.max(...extremes) + 0.01] : [0.8, 1.2];
  const sides = SHOWN.map((name) => [name, h("div", { class: "side" })]);
  host.replaceChildren(h("div", { class: "sides" }, sides.map(([name, side]) => h("div", {}, h("h4", {}, h("i", { class: `swatch block ${KINDS[name]}`, "aria-hidden": "true" }), STRATEGIES[name]), side))));
  sides.forEach(([name, side]) => fan(side, curve, name, range));
  host.append(h("p", { class: "soft small", text: `Line: the middle of all paths. Bands: ${curve.percents.slice(0, (curve.percents.length - 1) / 2).toReversed().map((p, k, all) => `${p} to ${100 - p} %`).join(", ")} of paths at each day.` }));
  const words = (p) => (p === 50 ? "median" : `${p} %`);
  host.append(numbers("Table of the last day of the fan", ["Percentile", ...SHOWN.map((name) => `#${STRATEGIES[name]}`)], () => curve.percents.map((p, k) => [words(p), ...SHOWN.map((name) => (curve.bands[name]?.pointwise ? signedPercent(curve.bands[name].pointwise[k].at(-1) - 1) : "not kept"))])));
  const rows = FIGURES.filter(([key]) => test.without_keeper[key] || test.with_keeper[key]).map(([key, words_]) => {
    const change = test.keeper_less_none[key];
    return [words_, told(test.without_keeper[key]), told(test.with_keeper[key]),
      change && isNumber(change.value) ? h("span", {}, signed(100 * change.value, 2), isNumber(change.low) ? h("span", { class: "about", text: `${signed(100 * change.low, 2)} to ${signed(100 * change.high, 2)}` }) : null) : missing(change?.reason || "not computed")];
  });
  const figures = table("Key figures of the stress test, with 95 % Monte-Carlo intervals", ["Figure", "#Without keeper", "#With keeper", "#Change, points"], rows);
  figures.classList.add("figures");
  host.append(figures);
}

export function showDrawdowns(host, run) {
  const { curve } = run;
  if (!curve || !curve.drawdown_counts) {
    host.replaceChildren(empty("The drawdowns of this test are not kept."));
    return;
  }
  const edges = curve.drawdown_edges;
  const shares = Object.fromEntries(SHOWN.map((name) => {
    const own = curve.drawdown_counts[name];
    const all = own.reduce((sum, each) => sum + each, 0);
    return [name, own.map((each) => each / all)];
  }));
  const used = Math.max(...SHOWN.flatMap((name) => shares[name].map((each, n) => (each > 0 ? n + 1 : 0))));
  const deeper = SHOWN.map((name) => { // share of paths that fell at least so far
    let left = 0;
    return shares[name].toReversed().map((each) => (left += each)).toReversed();
  });
  const beyond = (n) => SHOWN.map((name, k) => `${STRATEGIES[name]} ${percent(deeper[k][n])}`).join(", ");
  const ten = edges.findIndex((edge) => edge >= 0.0999);
  const plot = h("div");
  host.replaceChildren(plot);
  chart(plot, {
    label: `Share of paths by their largest fall from a peak. Falling by 10 % or more: ${beyond(ten)}.`,
    height: 230,
    legend: SHOWN.map((name) => [`block ${KINDS[name]}`, STRATEGIES[name]]),
    read: (drawn, n) => (n < used ? `fall of ${percent(edges[n], 0)} to ${percent(edges[n + 1], 0)}: ${SHOWN.map((name) => `${STRATEGIES[name]} ${percent(shares[name][n])}`).join(", ")}` : "\u00a0"),
    make: () => ({
      options: {
        scales: { x: { time: false, range: [0, edges[used]] }, y: { range: [0, 1.08 * Math.max(...SHOWN.flatMap((name) => shares[name]))] } },
        axes: [axis({ labels: (v) => percent(v, 0), label: "largest fall of a path" }), axis({ size: 46, labels: (v) => percent(v, 0) })],
        series: [{}, ...SHOWN.map((name) => ({ stroke: colour(KINDS[name]), width: 1.75, fill: shade(KINDS[name], name === "hold" ? 0.16 : 0.1), points: { show: false }, paths: stepped }))],
      },
      data: [edges.slice(0, used + 1), ...SHOWN.map((name) => [...shares[name].slice(0, used), 0])],
    }),
  });
  host.append(
    table("Share of paths that fall at least so far", ["At least", ...SHOWN.map((name) => `#${STRATEGIES[name]}`)], [0.04, 0.1, 0.2, 0.3].map((at) => edges.findIndex((edge) => edge >= at - 1e-9)).filter((n) => n >= 0 && n < deeper[0].length).map((n) => [percent(edges[n], 0), ...deeper.map((own) => percent(own[n], 2))]), true),
    numbers("Table of all drawdowns", ["Fall", ...SHOWN.map((name) => `#${STRATEGIES[name]}`)], () => shares.hold.slice(0, used).map((each, n) => [`${percent(edges[n], 0)} to ${percent(edges[n + 1], 0)}`, ...SHOWN.map((name) => percent(shares[name][n], 2))])));
}
