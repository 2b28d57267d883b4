// How numbers, times and ages are written. A value that is null has no form: callers say why it is missing.

const NUMBER = new Map();
function digits(value, count) {
  if (!NUMBER.has(count)) {
    NUMBER.set(count, new Intl.NumberFormat("en-GB", { minimumFractionDigits: count, maximumFractionDigits: count }));
  }
  return NUMBER.get(count).format(value).replace("-", "−");
}

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
export const number = (value, count = 0) => digits(value, count);
export const percent = (value, count = 1) => `${digits(100 * value, count)} %`;
export const signed = (value, count = 1) => `${value > 0 ? "+" : ""}${digits(value, count)}`;
export const signedPercent = (value, count = 1) => `${signed(100 * value, count)} %`;
export const dollars = (value) => `$ ${digits(value, 0)}`;

/** 1,085.33 / 0.9985: as many digits as a price of that size needs. */
export const rate = (value) => digits(value, value >= 1000 ? 1 : value >= 10 ? 2 : 4);

export const day = (moment) => new Date(moment).toISOString().slice(0, 10);
export const time = (moment) => new Date(moment).toISOString().slice(0, 16).replace("T", " ");
export const seconds = (moment) => Date.parse(moment) / 1000;

export const ago = (s) => (s < 1 ? "just now" : `${age(s)} ago`);

/** 3 h 51 min; the two largest units that count. */
export function age(s) {
  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  const at = units.findIndex(([, size]) => s >= size);
  if (at < 0) return `${Math.round(s)} s`;
  const [name, size] = units[at];
  const whole = Math.floor(s / size);
  const [below, smaller] = units[at + 1] || [];
  const rest = smaller && whole < 10 ? Math.floor((s % size) / smaller) : 0;
  return `${number(whole)} ${name}${rest ? ` ${rest} ${below}` : ""}`;
}
