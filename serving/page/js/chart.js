// uPlot with the page's colours: one canvas that follows its box and the theme, described in words for those who cannot
// see it, with a readout under the cursor.

import uPlot from "../vendor/uplot-1.6.32/uPlot.esm.js";
import { h } from "./dom.js";
import { colour, shade } from "./theme.js";

export { colour, shade, uPlot };

const FONT = "12px system-ui, sans-serif";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_S = 86400;

/** Each value holds until the next. */
export const stepped = uPlot.paths.stepped({ align: 1 });

function momentLabels(chart, splits, axis, space, step) {
  return splits.map((at, n) => {
    const moment = new Date(at * 1000);
    const month = MONTHS[moment.getUTCMonth()];
    const year = moment.getUTCFullYear();
    const newYear = n === 0 || new Date(splits[n - 1] * 1000).getUTCFullYear() !== year;
    if (step >= 360 * DAY_S) return `${year}`;
    if (step >= 27 * DAY_S) return newYear ? `${month} ${year}` : month;
    if (step >= DAY_S) return newYear ? `${moment.getUTCDate()} ${month} ${year}` : `${moment.getUTCDate()} ${month}`;
    return moment.toISOString().slice(11, 16);
  });
}

/** An axis; `labels`: number -> text, or nothing for moments. Without a `size` it lies below the plot. */
export function axis(changes = {}) {
  const { labels, ...rest } = { size: 26, labelSize: 18, labelGap: 0, labelFont: FONT, ...changes };
  return {
    stroke: colour("soft"), font: FONT, grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, gap: 6,
    values: labels ? (chart, splits) => splits.map((value) => (value === null ? "" : labels(value))) : momentLabels, ...rest,
  };
}

const living = new Set();
document.addEventListener("themechange", () => living.forEach((one) => one.draw()));

/**
 * Draw into `host`, in place of what was there. `make(width)` returns {options, data}; `label` says what is seen;
 * `legend`: [class of the swatch, words]; `read(chart, index)`: text for what is under the cursor.
 */
export function chart(host, { label, height = 240, legend = [], read = null, make }) {
  const box = h("div", { class: "plot", role: "img", "aria-label": label });
  const readout = h("p", { class: "readout", "aria-hidden": "true", text: "\u00a0" });
  const words = legend.map(([kind, text]) => h("li", {}, h("i", { class: `swatch ${kind}`, "aria-hidden": "true" }), text));
  host.replaceChildren(h("ul", { class: "legend" }, words), box, read ? readout : "");
  const one = { plot: null, draw: null };
  const cursor = (drawn) => {
    const index = drawn.cursor.idx;
    readout.textContent = index === null || index === undefined ? "\u00a0" : read(drawn, index);
  };
  one.draw = () => {
    one.plot?.destroy();
    const width = Math.max(200, box.clientWidth);
    const { options, data } = make(width);
    const hooks = { ...options.hooks, ...(read ? { setCursor: [cursor] } : {}) };
    const settings = {
      width, height, legend: { show: false }, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"), padding: [10, 26, 0, 0],
      ...options, cursor: { points: { show: false }, drag: { x: false, y: false }, y: false, ...options.cursor }, hooks,
    };
    one.plot = new uPlot(settings, data, box);
  };
  living.add(one);
  const watch = new ResizeObserver(() => {
    if (!box.isConnected) {
      living.delete(one);
      watch.disconnect();
      one.plot?.destroy();
    } else if (!one.plot || Math.abs(one.plot.width - box.clientWidth) > 1) one.draw();
  });
  watch.observe(box);
  return one;
}

/** Lines over the plot in its own coordinates: pen(context, x, y, box). Clipped to the plot. */
export function over(pen) {
  return (drawn) => {
    const { ctx, bbox } = drawn;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    pen(ctx, (value) => drawn.valToPos(value, "x", true), (value) => drawn.valToPos(value, "y", true), bbox);
    ctx.restore();
  };
}

/** [xs, ys] of points in order, with an explicit hole wherever two are further apart than `most` seconds. */
export function withHoles(points, most) {
  const xs = [];
  const ys = [];
  points.forEach(([x, y], n) => {
    if (n && x - points[n - 1][0] > most) {
      xs.push((x + points[n - 1][0]) / 2);
      ys.push(null);
    }
    xs.push(x);
    ys.push(y);
  });
  return [xs, ys];
}
