// The API, asked like anyone asks it. Whatever is no success becomes a Problem with the server's own words.

export class Problem extends Error {
  constructor(body) {
    super(body.detail);
    Object.assign(this, body);
  }
}

export async function get(path, asked = {}) {
  const given = Object.entries(asked).filter(([, value]) => value !== undefined && value !== null);
  const query = new URLSearchParams(given).toString();
  let answer;
  try {
    answer = await fetch(query ? `${path}?${query}` : path, { headers: { Accept: "application/json" } });
  } catch (error) {
    throw new Problem({ title: "The API does not answer", detail: `${error.message}; asked again on its own.`, code: "no_answer", status: 0 });
  }
  let body = null;
  try {
    body = await answer.json();
  } catch {
    throw new Problem({ title: "The answer cannot be read", detail: `${path} answered ${answer.status} without JSON.`, code: "unreadable", status: answer.status });
  }
  if (!answer.ok) throw new Problem({ title: answer.statusText, detail: "", code: "", status: answer.status, ...body });
  return body;
}
