// What is asked when, and which part draws it.

import { get } from "./api.js";
import { byId, choice } from "./dom.js";
import { isNumber, number } from "./format.js";
import { empty, fill, problemBox } from "./panel.js";
import { showDecisions } from "./panels/decisions.js";
import { showDrivers } from "./panels/drivers.js";
import { showGaps, showJobs, showSeries } from "./panels/data.js";
import { announce, notice, showAlert, showDegraded, showHealth, showLink, showMarket } from "./panels/header.js";
import { RANGES, showHistory } from "./panels/history.js";
import { showReliability } from "./panels/reliability.js";
import { showScore } from "./panels/score.js";
import { showAbout, showDrawdowns, showFan } from "./panels/stress.js";
import { isCurrent, showPremium, showPremiums, streetName } from "./panels/street.js";
import { chosen, showSubjects } from "./panels/subjects.js";
import { showAllocation, showAllocations } from "./panels/vault.js";
import { choose, onChange, state } from "./state.js";
import { startStream } from "./stream.js";
import { startTheme } from "./theme.js";
import { level, subject as name } from "./words.js";

const seen = { scores: [], market: null, receivedAt: 0, speed: 1, span: 365, record: null, issued: null, moves: [], street: null };

/** Market seconds that pass in a second, from two answers; a clock that stands still never lets anything expire. */
function clock(market) {
  const now = performance.now();
  if (seen.market) {
    const wall = (now - seen.receivedAt) / 1000;
    if (wall > 2) seen.speed = Math.max(0, (Date.parse(market.time) - Date.parse(seen.market.time)) / 1000 / wall);
  }
  if (!seen.market || now - seen.receivedAt > 2000) Object.assign(seen, { market, receivedAt: now });
  showMarket(market);
}

/** Wall milliseconds until half of what is left of the next score to expire has passed. */
function due() {
  const fresh = seen.scores.filter((score) => !score.stale).map((score) => Date.parse(score.valid_until));
  if (!fresh.length || !seen.market || !seen.speed) return Infinity;
  return Math.max(0, Math.min(...fresh) - Date.parse(seen.market.time)) / seen.speed / 2;
}

async function loadScores() {
  try {
    const answer = await get("/v1/risk/current");
    clock(answer.market);
    seen.scores = [...answer.scores, ...answer.expired];
    notice("scores", "error", null);
  } catch (problem) {
    if (problem.market) clock(problem.market);
    if (problem.last_known) seen.scores = problem.last_known;
    else if (problem.status === 0) byId("link").dataset.state = "lost";
    notice("scores", "error", problem.title, [problem.detail, ...(problem.status === 0 && seen.scores.length ? ["What is shown is what was last received."] : [])].filter(Boolean));
    if (!seen.scores.length) {
      byId("subject-list").replaceChildren(empty("No scores."));
      byId("hero").replaceChildren(problemBox(problem, refresh));
    }
  }
  drawScores();
}

function drawScores() {
  const now = chosen(seen.scores);
  if (!now) return;
  showSubjects(seen.scores);
  showScore(now);
  showDrivers(byId("drivers"), now);
}

function drawHistory() {
  const now = chosen(seen.scores);
  if (!now || !seen.market) return;
  const { record, issued, moves, span: days } = seen;
  showHistory(byId("history"), { subject: now.subject, record, issued, moves, days, until: seen.market.time });
}

const orNone = (asked) => asked.catch((problem) => {
  if (problem.status === 404) return null;
  throw problem;
});

async function loadHistory() {
  const now = chosen(seen.scores);
  if (!now) return;
  const of = { subject: now.subject, horizon_days: now.horizon_days };
  const record = get("/v1/risk/record", { ...of, days: seen.span });
  const load = () => Promise.all([orNone(record), orNone(get("/v1/risk/history", { ...of, limit: 1000 })), get("/v1/decisions", { vault_id: vault() ?? undefined, verdict: "rebalance", limit: 500 })]);
  await Promise.all([
    fill(byId("history"), load, (host, [past, issued, page]) => {
      Object.assign(seen, { record: past, issued, moves: page.decisions });
      drawHistory();
    }),
    fill(byId("reliability"), () => record, showReliability),
  ]);
}

const vaults = () => seen.scores.filter((score) => score.subject_kind === "vault").map((score) => score.subject.slice(6)).filter((each, n, all) => all.indexOf(each) === n);
const vault = () => (vaults().includes(state.vault) ? state.vault : vaults()[0] ?? null);

async function loadVault() {
  const own = vault();
  byId("vault-title").textContent = own ? `Vault ${own}` : "Vault";
  choice(byId("vaults"), vaults().map((each) => [each, each]), own, (value) => choose({ vault: value }));
  const of = { vault_id: own ?? undefined };
  await Promise.all([
    fill(byId("allocation"), () => get("/v1/allocation/current", of), (host, answer) => showAllocation(host, answer.allocations[0])),
    fill(byId("allocations"), () => Promise.all([get("/v1/vault/snapshots", { ...of, limit: 500 }), get("/v1/allocation/history", { ...of, limit: 500 })]),
      (host, [held, wanted]) => showAllocations(host, held.snapshots, wanted.targets)),
    fill(byId("decisions"), () => get("/v1/decisions", { ...of, limit: 50 }), showDecisions),
  ]);
}

async function loadStress() {
  const tests = get("/v1/risk/stress/latest", { vault_id: vault() ?? undefined });
  const run = tests.then((answer) => get(answer.stress[0].status_url, { include: "curve" }));
  await Promise.all([
    fill(byId("stress-about"), () => tests, (host, answer) => showAbout(host, answer.stress[0])),
    fill(byId("fan"), () => Promise.all([run, tests]), (host, [made, answer]) => showFan(host, made, answer.stress[0])),
    fill(byId("drawdown"), () => run, showDrawdowns),
  ]);
}

async function loadStreet() {
  const answer = await fill(byId("premiums"), () => get("/v1/market/premium"), showPremiums);
  if (!answer) return;
  const names = answer.premiums.map((row) => row.series);
  if (!names.includes(seen.street)) seen.street = (answer.premiums.find(isCurrent) || answer.premiums[0])?.series ?? null;
  if (!seen.street) {
    byId("premium").replaceChildren(empty("No street series is watched in this market."));
    return;
  }
  choice(byId("streets"), names.map((each) => [each, streetName(each)]), seen.street, (value) => {
    seen.street = value;
    loadPremium();
  });
  await loadPremium();
}

const loadPremium = () => fill(byId("premium"), () => get("/v1/market/premium/history", { series: seen.street, days: 1100 }), showPremium);

async function loadHealth() {
  const health = get("/health");
  const shown = fill(byId("series"), () => health, showSeries);
  await fill(byId("jobs"), () => health, showJobs);
  const answer = await shown;
  showHealth(answer);
  showDegraded(answer);
}

const loadGaps = () => fill(byId("gaps"), async () => {
  const [open, past] = await Promise.all([get("/v1/market/gaps", { status: "open" }), get("/v1/market/gaps", { limit: 200 })]);
  return { open, past };
}, showGaps);

async function refresh() {
  await loadScores();
  await Promise.all([loadHistory(), loadVault(), loadStress(), loadStreet(), loadHealth(), loadGaps()]);
}

function tellScore(before) {
  const now = chosen(seen.scores);
  const then = before.find((score) => score.subject === now?.subject && score.horizon_days === now.horizon_days);
  if (now && (!then || then.issued_at !== now.issued_at || then.score !== now.score)) {
    announce(isNumber(now.score) ? `New score of ${name(now.subject)}: ${number(now.score)} of 100, ${level(now.score)}.` : `New answer for ${name(now.subject)}: no number, ${now.status.replaceAll("_", " ")}.`);
  }
}

/** What the stream, or the clock, said: ask for what it is about. */
async function heard(events) {
  const before = seen.scores;
  if (events.has("open")) {
    await refresh();
    return;
  }
  if (events.has("score") || events.has("poll")) {
    await loadScores();
    tellScore(before);
  }
  const changed = seen.scores.some((score) => !before.some((old) => old.subject === score.subject && old.horizon_days === score.horizon_days && old.issued_at === score.issued_at));
  const polled = events.has("poll") && !events.get("poll").every(Boolean);
  const work = [];
  if (events.has("score") || (polled && changed)) work.push(loadHistory(), loadStreet(), loadStress());
  if (events.has("score") || events.has("decision") || polled) work.push(loadVault());
  if (events.has("decision")) announce("The keeper has decided again.");
  for (const alert of events.get("alert") || []) showAlert(alert);
  if (events.has("alert") || events.has("score") || events.has("poll")) work.push(loadHealth(), loadGaps());
  await Promise.all(work);
}

onChange((before) => {
  drawScores();
  if (before.subject !== state.subject || before.horizon !== state.horizon) loadHistory();
  if (before.vault !== state.vault) {
    loadVault();
    loadStress();
  }
});

startTheme();
choice(byId("range"), RANGES, seen.span, (days) => {
  seen.span = days;
  loadHistory();
});
startStream(heard, showLink, due);
refresh();
