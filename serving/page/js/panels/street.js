// The official rate beside the street's: premium, state of the source, age; a capped price is censored, not calm.

import { axis, chart, colour, over, shade, withHoles } from "../chart.js";
import { badge, h, missing, numbers, table } from "../dom.js";
import { age, day, isNumber, rate, seconds, signedPercent } from "../format.js";
import { empty } from "../panel.js";
import { SOURCE_STATES } from "../words.js";

const DAY_S = 86400;
const asShare = (premium) => Math.expm1(premium);
export const streetName = (id) => id.replace(":", " ").replaceAll("_", " ");

/** Whether the source still says anything. */
export const isCurrent = (row) => row.source_state !== "delisted" && row.source_state !== "closed";

function sourceState(row) {
  const kind = row.source_state === "free" ? "calm" : "warning";
  return h("span", {}, badge(row.source_state || "unknown", row.source_state ? kind : "warning"),
    h("span", { class: "about", text: SOURCE_STATES[row.source_state] || "the source says nothing of itself" }));
}

export function showPremiums(host, answer) {
  if (!answer.premiums.length) {
    host.replaceChildren(empty("No street series is watched in this market."));
    return;
  }
  const rows = answer.premiums.map((row) => {
    const current = isCurrent(row);
    const why = row.observed ? "no official rate was known" : "the newest print is not believed";
    const old = current && row.stale;
    return [h("span", {}, h("b", { text: `${row.base}/${row.quote}` }), h("span", { class: "about", text: row.series.split(":")[1]?.replaceAll("_", " ") || "" })),
      isNumber(row.street_rate) ? rate(row.street_rate) : missing(why),
      isNumber(row.official_rate) ? h("span", {}, rate(row.official_rate), h("span", { class: "about", text: `${row.official_day}${row.official_stale ? ", older than allowed" : ""}` })) : missing("none known then"),
      !current ? missing(`source is ${row.source_state}; last it was ${isNumber(row.premium) ? signedPercent(asShare(row.premium)) : "unknown"}`) : isNumber(row.premium) ? h("b", { text: signedPercent(asShare(row.premium)) }) : missing(why),
      sourceState(row),
      h("span", {}, age(row.age_s), h("span", { class: "about", text: current ? (old ? "older than allowed" : `of ${age(row.max_age_s)} allowed`) : "no longer expected" }))];
  });
  host.replaceChildren(table("Street and official rates", ["Pair", "#Street", "#Official", "#Premium", "Source", "#Age"], rows),
    h("p", { class: "soft small", text: "Premium: how much more the street pays for a dollar than the official rate that was known at that moment." }));
}

export function showPremium(host, answer) {
  const days = answer.days.toReversed();
  if (!days.length) {
    host.replaceChildren(empty(`No prints of ${answer.series} in the last three years.`));
    return;
  }
  const points = days.map((row) => [seconds(`${row.day}T00:00:00Z`), isNumber(row.premium) ? asShare(row.premium) : null]);
  const [xs, ys] = withHoles(points, 1.5 * DAY_S);
  const capped = days.filter((row) => row.capped);
  const known = days.filter((row) => isNumber(row.premium));
  const plot = h("div");
  host.replaceChildren(plot);
  const extent = known.map((row) => asShare(row.premium));
  const range = [Math.min(0, ...extent) - 0.01, Math.max(0, ...extent) + 0.01];
  const at = new Map(days.map((row) => [seconds(`${row.day}T00:00:00Z`), row]));
  chart(plot, {
    label: `Premium of ${streetName(answer.series)} from ${days[0].day} to ${days.at(-1).day}: from ${signedPercent(Math.min(...extent))} to ${signedPercent(Math.max(...extent))}, newest ${known.length ? signedPercent(asShare(known.at(-1).premium)) : "not available"}; capped on ${capped.length} days.`,
    height: 250,
    legend: [["line accent", "premium"], ...(capped.length ? [["block capped", "source capped: censored"]] : [])],
    read: (drawn, n) => {
      const row = at.get(xs[n]);
      return row ? `${row.day}: ${isNumber(row.premium) ? signedPercent(asShare(row.premium)) : "not available"}, street ${isNumber(row.street_rate) ? rate(row.street_rate) : "none"}, official ${isNumber(row.official_rate) ? rate(row.official_rate) : "none"}, ${row.source_state || "state unknown"}` : "no print";
    },
    make: () => ({
      options: {
        scales: { x: {}, y: { range } },
        axes: [axis(), axis({ size: 54, labels: (v) => signedPercent(v, 0) })],
        series: [{}, { stroke: colour("accent"), width: 1.4, points: { show: false } }],
        hooks: {
          drawAxes: [over((ctx, x, y, box) => {
            ctx.fillStyle = shade("raised", 0.22);
            for (const row of capped) {
              const from = x(seconds(`${row.day}T00:00:00Z`));
              ctx.fillRect(from, box.top, Math.max(2, x(seconds(`${row.day}T00:00:00Z`) + DAY_S) - from), box.height);
            }
            ctx.strokeStyle = colour("line-strong");
            ctx.beginPath();
            ctx.moveTo(box.left, y(0));
            ctx.lineTo(box.left + box.width, y(0));
            ctx.stroke();
          })],
        },
      },
      data: [xs, ys],
    }),
  });
  host.append(numbers("Table of premiums", ["Day", "#Premium", "#Street", "#Official", "Source"], () => days.toReversed().map((row) => [day(row.day), isNumber(row.premium) ? signedPercent(asShare(row.premium)) : "not available", isNumber(row.street_rate) ? rate(row.street_rate) : "none", isNumber(row.official_rate) ? rate(row.official_rate) : "none", row.source_state || "unknown"])));
}
