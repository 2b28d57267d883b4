// One score with everything that belongs to it: meaning, probability, interval, confidence, novelty, model, age.

import { badge, byId, h, missing } from "../dom.js";
import { ago, isNumber, number, percent, time } from "../format.js";
import { STATUSES, USUAL_PROBABILITY, level, levelKey, odds, subject as name, within } from "../words.js";

const NOVEL = "not seen before";

function gauge(score) { // marks say what the numbers of the scale mean
  const marks = [[50, "usual"], [80, "4 ×"], [90, "9 ×"]];
  return h("div", { class: "gauge", "aria-hidden": "true", "data-level": levelKey(score) },
    h("div", { class: "gauge-track" }, h("i", { class: "gauge-fill", css: { width: `${score ?? 0}%` } })),
    marks.map(([at, word]) => h("span", { class: "gauge-mark", css: { left: `${at}%` } }, h("b", { text: at }), word)));
}

function fact(title, value, about = null) {
  return h("div", { class: "fact" }, h("dt", { text: title }), h("dd", {}, value, about ? h("span", { class: "about", text: about }) : null));
}

/** Volatility a year of a variance a day, by the ratio that the score itself has between both. */
function yearly(score, variance) {
  return isNumber(variance) && isNumber(score.rv_forecast) && isNumber(score.sigma_ann) ? score.sigma_ann * Math.sqrt(variance / score.rv_forecast) : null;
}

function facts(score) {
  const why = isNumber(score.score) ? "not part of this score" : STATUSES[score.status] || score.status;
  const [low, high] = [yearly(score, score.rv_low), yearly(score, score.rv_high)];
  const novel = score.reasons.find((each) => each.startsWith(NOVEL));
  const oneDay = score.horizon_days === 1 ? why : "a measure of one day; this forecast is of more";
  return h("dl", { class: "facts" },
    fact("Probability of a spike", isNumber(score.p_spike) ? percent(score.p_spike) : missing(why), `usual: ${percent(USUAL_PROBABILITY, 0)}`),
    fact("Volatility a year", isNumber(score.sigma_ann) ? percent(score.sigma_ann) : missing(why),
      isNumber(low) && isNumber(high) ? `80 % interval ${number(100 * low, 1)} to ${percent(high)}` : "without an interval"),
    fact("One-day loss, 1 in 100", isNumber(score.var99) ? percent(score.var99, 2) : missing(oneDay),
      isNumber(score.es99) ? `then ${percent(score.es99, 2)} on average` : null),
    fact("Confidence in the inputs", isNumber(score.confidence) ? percent(score.confidence, 0) : missing(why),
      `${percent(score.share_imputed, 0)} filled, ${percent(score.share_stale, 0)} stale`),
    fact("Novelty", novel ? badge("not seen before", "warning") : isNumber(score.confidence) ? "seen before" : missing(why),
      novel ? novel.slice(NOVEL.length + 2) : isNumber(score.confidence) ? "within the range of the training rows" : null),
    fact("Model", `${score.model_name.replaceAll("_", " ")}`, `version ${score.model_version}`),
    fact("Made of data up to", time(score.as_of), `${ago(score.age_s)}; issued ${time(score.issued_at)}`),
    fact("Valid until", time(score.valid_until), score.stale ? "has passed" : null));
}

function meaning(score) {
  const spike = `A spike is more variance over ${within(score.horizon_days)} than on nine of ten occasions in the last year.`;
  if (!isNumber(score.score)) {
    return [h("p", { class: "meaning", text: `There is no number: ${STATUSES[score.status] || score.status}.` }), h("p", { class: "soft", text: spike })];
  }
  return [h("p", { class: "meaning" }, h("strong", { text: odds(score.score).replace(/^./, (c) => c.toUpperCase()) }), ` of a volatility spike within ${within(score.horizon_days)}.`),
    h("p", { class: "soft", text: spike })];
}

const RUNGS = { champion: "The champion speaks, though something is missing", baseline: "A baseline speaks instead of the champion", last_good: "Only an old number is left", none: "Nobody can speak" };

/** Who speaks where the champion does not, since when, why; and the last number, marked as what it is. */
function rung(degradation) {
  if (!degradation) return "";
  const { last_good: last } = degradation;
  return h("div", { class: "warn" },
    h("p", { text: `${RUNGS[degradation.rung] || degradation.rung}${degradation.since ? ` since ${time(degradation.since)}` : ""}: ${degradation.causes.map((cause) => cause.detail).join("; ") || "no reason is given"}.` }),
    last ? h("p", { text: `Last good score: ${number(last.score)} as of ${time(last.as_of)}, valid until ${time(last.valid_until)}; not fresh.` }) : null);
}

export function showScore(score) {
  byId("score-title").textContent = score ? name(score.subject) : "Score";
  const said = score.reasons.filter((each) => !each.startsWith(NOVEL));
  const there = isNumber(score.score);
  byId("hero").replaceChildren(
    h("div", { class: "hero-top", "data-level": levelKey(score.score), "data-stale": score.stale },
      h("p", { class: "big", id: "big-score" }, h("span", { class: "hidden", text: "VolatilityScore " }), there ? number(score.score) : "–",
        h("span", { class: "of", text: there ? " of 100" : "" })),
      h("div", { class: "hero-words" },
        h("p", { class: "badges" }, badge(there ? level(score.score) : "no number", levelKey(score.score)),
          score.stale ? badge("expired", "warning") : null,
          score.degraded ? badge("degraded", "warning") : null),
        ...meaning(score), score.status === "ok" && said.length ? h("p", { class: "soft small", text: said.join("; ") }) : null)),
    gauge(score.score),
    score.stale ? h("p", { class: "warn", text: `This is the last known score. It expired at ${time(score.valid_until)} UTC and must not be used as fresh.` }) : "",
    score.status === "ok" ? "" : h("p", { class: "warn", text: [STATUSES[score.status] || score.status, ...said].join("; ") }),
    rung(score.degradation),
    facts(score));
}
