// What is looked at, kept in the address so that it can be sent to somebody: ?subject=BTC&horizon=1&vault=mixed.

const NAMES = ["subject", "horizon", "vault"];
const listeners = [];
export const state = Object.fromEntries(NAMES.map((name) => [name, new URLSearchParams(location.search).get(name)]));
state.horizon = Number(state.horizon) || null;

export function onChange(listener) {
  listeners.push(listener);
}

export function choose(changes) {
  const before = { ...state };
  Object.assign(state, changes);
  const address = new URL(location.href);
  for (const name of NAMES) if (state[name]) address.searchParams.set(name, state[name]);
  history.replaceState(null, "", address);
  for (const listener of listeners) listener(before);
}
