// What numbers and codes mean, in the words of the documentation.

import { isNumber, number } from "./format.js";

export const USUAL_PROBABILITY = 0.1;

const LEVELS = [[35, "calm"], [65, "usual"], [80, "raised"], [90, "high"], [Infinity, "very high"]];
export const level = (score) => LEVELS.find(([below]) => score < below)[1];
export const levelKey = (score) => (isNumber(score) ? level(score).replace(" ", "-") : "none");

/** "4.0 times the usual odds": a score is odds, 100 o / (1 + o), against the usual ones. */
export function odds(score) {
  if (score >= 99.5) return "over two hundred times the usual odds";
  const against = score / (100 - score);
  if (against >= 9.95) return `${Math.round(against)} times the usual odds`;
  if (against >= 1.15) return `${number(against, 1)} times the usual odds`;
  if (against > 0.87) return "about the usual odds";
  if (against >= 0.55) return `${number(against, 1)} times the usual odds`;
  return against < 0.005 ? "under 1/200 of the usual odds" : `about 1/${Math.round(1 / against)} of the usual odds`;
}

export const within = (days) => (days === 1 ? "the next day" : `the next ${days} days`);

export const MODES = {
  simulated: ["Simulated", "Prices are made up by a simulator; nothing here is money."],
  replay: ["Replayed", "Recorded prices under their own clock; nothing here is current."],
  live: ["Live", "Prices of providers, now."],
};

export const STATUSES = {
  ok: "ok",
  degraded: "degraded: a number with a reason to trust it less",
  quarantined: "quarantined: the newest print is held, so there is no number",
  managed: "managed: the rate stands still too often to be scored",
  insufficient_data: "not enough data for a number",
  stale: "stale: observation or model older than allowed, so there is no fresh number",
};

const DRIVERS = {
  usual_level: "usual level", rest: "all other inputs", weekday: "day of the week", shock: "return of the day",
  shock_size: "size of the day's return", rank: "rank of the variance in the last year", drawdown: "distance from the high",
  vol_of_vol: "volatility of volatility", slope_short: "the day against its week", slope_long: "the week against its quarter",
  log_ewma: "weighted recent variance", market_mean: "mean level of the panel", market_max: "highest level of the panel",
  market_week: "panel over the last five days", standard_level: "against its own last year",
  relative_level: "against the panel", leg_correlation: "correlation of the legs",
};
export function driver({ name, value }) {
  if (name === "rest" && isNumber(value)) return `${number(value)} other inputs`;
  const window = /^(?:log_)?rv_(\d+)(h|d)$/.exec(name);
  if (window) return `variance of the last ${window[1] === "1" ? "" : `${window[1]} `}${window[2] === "h" ? "hours" : window[1] === "1" ? "day" : "days"}`;
  return DRIVERS[name] || name.replaceAll("_", " ");
}

const REASONS = {
  score_above_enter: "score above the level at which risk is taken off", score_below_leave: "score below the level at which risk is taken on again",
  inside_band: "score between both levels: stay", volatility_above_target: "volatility above its target", volatility_within_target: "volatility within its target",
  no_previous_state: "no state before this one", score_missing: "no score", score_stale: "score is stale", score_degraded: "score is degraded",
  cooldown: "too soon after the last move", dead_zone: "difference too small to trade", dwell: "not asked for often enough yet",
  benefit_below_cost: "benefit below cost", step_capped: "one step at a time: largest step reached", turnover_day_reached: "turnover of the day is used up",
  turnover_day_capped: "limited by the turnover of the day", value_capped: "limited in dollars", value_cap_reached: "dollar limit reached",
  nothing_to_trade: "nothing to trade", kill_switch_halt: "halted by the kill switch", kill_switch_reduce_only: "kill switch: only reducing is allowed",
  already_decided: "this score was acted on already", intent_unresolved: "an earlier transaction has no end yet",
};
export const reason = (code) => REASONS[code] || (/^[a-z0-9_]+$/.test(code) ? code.replaceAll("_", " ") : code);
export const reasons = (codes) => codes.map(reason).join("; ");

const JOBS = { hourly_refresh: "hourly refresh", training: "training", keeper: "keeper" };
export const job = (name) => JOBS[name] || name.replaceAll("_", " ");

export const SOURCE_STATES = {
  free: "floating freely", capped: "capped: a censored price, not a calm one",
  delisted: "delisted: says nothing any more", closed: "closed",
};

export const subject = (id) => (id.startsWith("vault:") ? `Vault ${id.slice(6)}` : id.replace(":official", ""));
export const STRATEGIES = { hold: "without keeper", policy: "with keeper", mix: "constant mix" };
