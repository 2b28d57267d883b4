// Promised beside seen: of forecasts that said p, how many were followed by a spike.

import { axis, chart, colour, over, shade } from "../chart.js";
import { h, numbers } from "../dom.js";
import { isNumber, number, percent } from "../format.js";
import { empty } from "../panel.js";

function pen(bins, most) {
  return over((ctx, x, y) => {
    const scale = devicePixelRatio || 1;
    ctx.lineWidth = scale;
    ctx.strokeStyle = colour("line-strong");
    ctx.setLineDash([4 * scale, 4 * scale]);
    ctx.beginPath();
    ctx.moveTo(x(0), y(0));
    ctx.lineTo(x(most), y(most));
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.strokeStyle = shade("accent", 0.55);
    ctx.lineWidth = 2 * scale;
    for (const bin of bins) {
      ctx.beginPath();
      ctx.moveTo(x(bin.promised), y(bin.low));
      ctx.lineTo(x(bin.promised), y(bin.high));
      ctx.stroke();
    }
  });
}

export function showReliability(host, record) {
  const { bins } = record;
  if (!bins.length) {
    host.replaceChildren(empty(`Not available: ${record.reason || "no forecasts with a known outcome"}.`));
    return;
  }
  const most = Math.min(1, 1.08 * Math.max(...bins.map((bin) => Math.max(bin.promised, bin.high))));
  const plot = h("div");
  host.replaceChildren(plot);
  chart(plot, {
    label: `Promised and seen frequency of spikes in ${bins.length} groups of forecasts; on the diagonal both are the same. They differ by ${percent(record.ece)} on average.`,
    height: 250,
    legend: [["dot accent", "seen, with 95 % interval"], ["line promised", "as promised"]],
    read: (drawn, n) => `promised ${percent(bins[n].promised)}, seen ${percent(bins[n].seen)} (${number(100 * bins[n].low, 1)} to ${percent(bins[n].high)}) of ${number(bins[n].rows)}`,
    make: () => ({
      options: {
        scales: { x: { time: false, range: [0, most] }, y: { range: [0, most] } },
        axes: [axis({ labels: (v) => percent(v, 0), label: "promised probability" }), axis({ labels: (v) => percent(v, 0), size: 44 })],
        series: [{}, { stroke: colour("accent"), paths: () => null, points: { show: true, size: 8, fill: colour("accent"), stroke: colour("surface") } }],
        hooks: { drawAxes: [pen(bins, most)] },
      },
      data: [bins.map((bin) => bin.promised), bins.map((bin) => bin.seen)],
    }),
  });
  const skill = isNumber(record.brier_skill) ? `, Brier skill ${number(record.brier_skill, 2)} (0: no better than always saying 10 %)` : "";
  host.append(
    h("p", { class: "soft small", text: `${number(record.rows)} out-of-sample forecasts with a known outcome, ${number(record.spikes)} spikes. Promised and seen differ by ${number(100 * record.ece, 1)} percentage points on average${skill}. Intervals are rather too narrow: spikes come in clusters.` }),
    numbers("Table of reliability", ["#Promised", "#Seen", "#95 % interval", "#Forecasts"], () => bins.map((bin) => [percent(bin.promised), percent(bin.seen), `${number(100 * bin.low, 1)} to ${percent(bin.high)}`, number(bin.rows)])));
}
