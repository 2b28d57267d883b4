// What moves the forecast away from the usual level, as factors on the variance.

import { h } from "../dom.js";
import { isNumber, number, percent, signed } from "../format.js";
import { empty } from "../panel.js";
import { driver } from "../words.js";

const factor = (contribution) => `× ${number(Math.exp(contribution), 2)}`;

export function showDrivers(host, score) {
  const usual = score.drivers.find((each) => each.name === "usual_level");
  const rest = score.drivers.filter((each) => each.name !== "usual_level");
  if (!rest.length) {
    host.replaceChildren(empty(isNumber(score.score) ? "This model gives no drivers." : "Without a number there are no drivers."));
    return;
  }
  const most = Math.max(...rest.map((each) => Math.abs(each.contribution)), 0.05);
  const total = rest.reduce((sum, each) => sum + each.contribution, 0);
  const bar = (each) => h("tr", {},
    h("th", { scope: "row", text: driver(each) }),
    h("td", { class: "bar-cell" }, h("span", { class: "diverging", "aria-hidden": "true" },
      h("i", { class: each.contribution < 0 ? "less" : "more", css: { width: `${(50 * Math.abs(each.contribution)) / most}%` } }))),
    h("td", { class: "number", text: factor(each.contribution) }));
  host.replaceChildren(
    h("p", { class: "soft small", text: `Starting from the usual level${usual && isNumber(usual.value) && usual.value > 0 ? ` (${percent(Math.sqrt(usual.value), 2)} a day)` : ""}, each input multiplies the forecast variance.` }),
    h("table", { class: "drivers" }, h("caption", { class: "hidden", text: "Factors on the forecast variance" }),
      h("thead", { class: "hidden" }, h("tr", {}, ["Input", "Direction", "Factor"].map((text) => h("th", { scope: "col", text })))),
      h("tbody", {}, rest.map(bar)),
      h("tfoot", {}, h("tr", {}, h("th", { scope: "row", text: "all together" }), h("td", { class: "soft number", text: `${signed(total, 2)} in ln` }), h("td", { class: "number", text: factor(total) })))));
}
