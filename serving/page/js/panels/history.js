// A score over time: what was issued, what the walk-forward would have said before, spikes that followed, rebalances.

import { axis, chart, colour, over, shade, uPlot, withHoles } from "../chart.js";
import { numbers } from "../dom.js";
import { day, isNumber, number, percent, seconds, time } from "../format.js";
import { empty } from "../panel.js";
import { reasons, subject as name } from "../words.js";

const DAY_S = 86400;
const HOLE_S = 4.5 * DAY_S; // a weekend of currencies is none
export const RANGES = [[30, "30 d"], [90, "90 d"], [365, "1 y"], [1100, "3 y"]];

function pen(spikes, moves) {
  return over((ctx, x, y, box) => {
    const scale = devicePixelRatio || 1;
    ctx.lineWidth = scale;
    ctx.strokeStyle = shade("line-strong", 0.9);
    ctx.setLineDash([2 * scale, 4 * scale]);
    for (const at of [50, 80, 90]) {
      ctx.beginPath();
      ctx.moveTo(box.left, y(at));
      ctx.lineTo(box.left + box.width, y(at));
      ctx.stroke();
    }
    ctx.setLineDash([5 * scale, 4 * scale]);
    ctx.lineWidth = 1.5 * scale;
    ctx.strokeStyle = colour("move");
    for (const move of moves) {
      ctx.beginPath();
      ctx.moveTo(x(seconds(move.market_time)), box.top);
      ctx.lineTo(x(seconds(move.market_time)), box.top + box.height);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    ctx.fillStyle = colour("spike");
    for (const spike of spikes) {
      const at = x(seconds(spike.as_of));
      ctx.beginPath();
      ctx.moveTo(at - 4 * scale, box.top);
      ctx.lineTo(at + 4 * scale, box.top);
      ctx.lineTo(at, box.top + 8 * scale);
      ctx.fill();
    }
  });
}

/** `record` or `issued` may be null where there is none; `until`: market time. */
export function showHistory(host, { subject, record, issued, moves, days, until }) {
  const since = seconds(until) - days * DAY_S;
  const later = (rows, at) => rows.filter((row) => seconds(row[at]) >= since);
  const walked = later(record ? record.days : [], "as_of").reverse();
  const said = later(issued ? issued.scores : [], "as_of").reverse();
  const acted = later(moves, "market_time").reverse();
  if (!walked.length && !said.length) {
    host.replaceChildren(empty("No score and no forecast in this span."));
    return;
  }
  const spikes = walked.filter((row) => row.spike);
  const points = (rows) => withHoles(rows.map((row) => [seconds(row.as_of), row.score]), HOLE_S);
  const data = uPlot.join([points(walked), points(said)]);
  const known = walked.filter((row) => row.spike !== null).length;
  const label = `Score of ${name(subject)} over ${days} days: ${walked.length} walk-forward forecasts, ${said.length} issued scores, ${spikes.length} spikes, ${acted.length} rebalances.`;
  const at = (time_) => acted.find((move) => Math.abs(seconds(move.market_time) - time_) < DAY_S / 2);
  chart(host, {
    label,
    height: 260,
    legend: [["line walked", "walk-forward: what would have been said"], ["dot issued", "issued"], ["triangle spike", "a spike followed"], ["dash move", "the vault was rebalanced"]],
    read: (drawn, n) => {
      const moment = data[0][n];
      const row = walked.find((each) => seconds(each.as_of) === moment);
      const parts = [time(moment * 1000)];
      if (isNumber(data[1][n])) parts.push(`walk-forward ${number(data[1][n], 1)}`);
      if (isNumber(data[2][n])) parts.push(`issued ${number(data[2][n], 1)}`);
      if (row && row.spike) parts.push("a spike followed");
      if (at(moment)) parts.push(`rebalance: ${reasons(at(moment).reasons)}`);
      return parts.join(" · ");
    },
    make: () => ({
      options: {
        scales: { x: { range: [since, seconds(until) + days * 600] }, y: { range: [0, 100] } },
        axes: [axis(), axis({ size: 34, labels: (value) => number(value), splits: () => [0, 20, 50, 80, 90] })],
        series: [{}, { stroke: colour("accent"), width: 1.25, fill: shade("accent", 0.08), points: { show: false } },
          { stroke: colour("text"), width: 1.5, points: { show: true, size: 5, fill: colour("text"), stroke: colour("text") } }],
        hooks: { draw: [pen(spikes, acted)] },
      },
      data,
    }),
  });
  host.append(numbers("Table of this history", ["As of", "Kind", "#Score", "#P(spike)", "A spike followed"], () => [
    ...said.map((row) => [time(row.as_of), "issued", isNumber(row.score) ? number(row.score, 1) : `none: ${row.status}`, isNumber(row.p_spike) ? percent(row.p_spike) : "none", "open"]),
    ...walked.map((row) => [day(row.as_of), "walk-forward", isNumber(row.score) ? number(row.score, 1) : "none", isNumber(row.p_spike) ? percent(row.p_spike) : "none", row.spike === null ? "not known" : row.spike ? "yes" : "no"]),
  ].sort((a, b) => (a[0] < b[0] ? 1 : -1))));
  if (known < walked.length && walked.length) {
    const open = walked.length - known;
    host.append(Object.assign(document.createElement("p"), { className: "soft small", textContent: `Whether a spike followed is not known of ${number(open)} of ${number(walked.length)} forecasts: still open, or without a year of outcomes before them.` }));
  }
}
