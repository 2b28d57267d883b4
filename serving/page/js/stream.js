// New scores, decisions and alerts as they happen; without a stream, asking again before what is shown expires.

const EVENTS = ["score", "decision", "alert"];
const SHORTEST_MS = 10_000;
const LONGEST_MS = 60_000;
const GATHER_MS = 250; // one refresh issues many scores

/**
 * heard(Map of event name -> its data, newest last) is called for what came together; state("live" | "polling" | "lost").
 * `due()`: wall milliseconds after which what is shown expires.
 */
export function startStream(heard, state, due) {
  let gathered = new Map();
  let gathering = 0;
  let live = false;
  let opened = false;
  let asking = 0;

  const tell = () => {
    const found = gathered;
    gathered = new Map();
    gathering = 0;
    heard(found);
  };
  const gather = (name, data) => {
    gathered.set(name, [...(gathered.get(name) || []), data]);
    if (!gathering) gathering = setTimeout(tell, GATHER_MS);
  };
  const askAgain = () => {
    clearTimeout(asking);
    const wait = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, due()));
    asking = setTimeout(() => {
      if (!document.hidden) heard(new Map([["poll", [live]]]));
      askAgain();
    }, wait);
  };

  const open = () => {
    const source = new EventSource("/v1/stream");
    source.addEventListener("open", () => {
      if (opened && !live) gather("open", null); // something may have been missed
      opened = live = true;
      state("live");
    });
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => {
        try {
          gather(name, JSON.parse(event.data));
        } catch {
          gather(name, null); // something happened, whatever it was: ask
        }
      });
    }
    source.addEventListener("reset", () => gather("open", null)); // away for longer than events are kept
    source.addEventListener("error", () => {
      live = false;
      state("polling");
      // The browser tries again by itself, except after an answer that is no stream.
      if (source.readyState === EventSource.CLOSED) setTimeout(open, LONGEST_MS);
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) gather("poll", live);
  });
  state("polling");
  open();
  askAgain();
}
