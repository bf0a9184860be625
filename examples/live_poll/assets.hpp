// What is the same for every visitor: the style, the script, the icon.
#pragma once

#include <string_view>

namespace live_poll {

inline constexpr std::string_view style =
    R"css(:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #26241f; --faint: #6b675e; --accent: #1f6f5c;
  --bar: #d5e8e1; --mine: #a9d6c6; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1b1d1f; --ink: #eceae4; --faint: #a09c92; --accent: #7fd1b9; --bar: #2b4740; --mine: #2f6b5b; }
}
body { background: var(--paper); color: var(--ink); font: 17px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 34rem; margin: 0 auto; padding: 1rem 1.25rem; }
h1 { color: var(--accent); font-size: 1.7rem; line-height: 1.2; margin: 1rem 0; }
ol { list-style: none; margin: 0; padding: 0; }
li { margin: 0.6rem 0; }
button { font: inherit; color: inherit; background: transparent; border: 1px solid var(--faint); border-radius: 8px;
  box-sizing: border-box; cursor: pointer; display: flex; justify-content: space-between; overflow: hidden;
  padding: 0.8rem 1rem; position: relative; text-align: left; width: 100%; }
button:hover { border-color: var(--accent); }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
button[aria-pressed="true"] { border: 2px solid var(--accent); font-weight: 600; padding: calc(0.8rem - 1px)
  calc(1rem - 1px); }
button[aria-pressed="true"] .label::after { color: var(--accent); content: " \2713";
  content: " \2713" / ""; }
button span { position: relative; z-index: 1; }
.votes { font-variant-numeric: tabular-nums; }
svg { height: 100%; inset: 0; position: absolute; width: 100%; }
rect { fill: var(--bar); transition: width 0.4s; }
button[aria-pressed="true"] rect { fill: var(--mine); }
@media (prefers-reduced-motion: reduce) { rect { transition: none; } }
p { color: var(--faint); }
#status::before { content: "\200b"; }
)css";

// The page works without it.
inline constexpr std::string_view script =
    R"js(// The votes of all come by server-sent events, into every page that is looked at; one's own goes by fetch.
const buttons = [...document.querySelectorAll("button[data-key]")];
const votes = Object.fromEntries(buttons.map((button) => [button.dataset.key, parseInt(button.querySelector(".votes").textContent)]));
let mine = buttons.find((button) => button.ariaPressed === "true")?.dataset.key ?? "";
const tabs = new BroadcastChannel("live_poll"); // of this browser: they share one vote
const status = document.getElementById("status");
const lost = "The connection is lost. Trying again…";
const unsure = "That did not arrive. Please look whether your vote is counted, and try again.";

function show() {
  const all = Object.values(votes).reduce((sum, count) => sum + count, 0);
  for (const button of buttons) {
    const { key } = button.dataset;
    button.querySelector(".votes").textContent = votes[key] === 1 ? "1 vote" : `${votes[key]} votes`;
    button.querySelector("rect").setAttribute("width", `${Math.round((100 * votes[key]) / Math.max(all, 1))}%`);
    button.ariaPressed = String(key === mine);
    button.form.action = key === mine ? "/revert" : `/vote/${key}`;
  }
  document.getElementById("all").textContent = all;
  document.getElementById("mine").textContent = mine ? "Choose yours again to take it back." : "You have not voted.";
}
const count = (key, value) => key in votes && (votes[key] = value);

// The server says what this browser has voted for. One request after the other, so that the last click counts.
async function ask(method, path) {
  const headers = { Accept: "application/json" };
  const answer = await fetch(path, { method, headers, signal: AbortSignal.timeout(20_000) });
  if (!answer.ok) throw answer.status;
  ({ voted: mine } = await answer.json());
  tabs.postMessage(mine);
  show();
}
let last = Promise.resolve();
const inTurn = (work) => (last = last.then(work));
const askAgain = () => inTurn(() => ask("GET", "/").catch(() => {}));

// EventSource connects again by itself, and says which event it has got last. But a browser has no more than six
// connections to a server, so a page that nobody looks at has none.
let events, mayBeOld;
function listen() {
  events?.close();
  if (document.hidden) return (mayBeOld = true);
  events = new EventSource("/events");
  events.addEventListener("open", () => {
    if (status.textContent === lost) status.textContent = "";
    if (mayBeOld) askAgain();
    mayBeOld = false;
  });
  events.addEventListener("error", () => {
    mayBeOld = true; // it may be another server that answers next
    if (status.textContent !== unsure) status.textContent = lost;
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000); // it gives up at an answer such as 503
  });
  events.addEventListener("snapshot", ({ data }) => {
    const now = JSON.parse(data);
    for (const key of Object.keys(votes)) count(key, now[key] ?? 0);
    show();
  });
  events.addEventListener("change", ({ data }) => {
    const { changed, removed } = JSON.parse(data);
    for (const [key, value] of Object.entries(changed)) count(key, value);
    for (const key of removed) count(key, 0);
    show();
  });
}
document.addEventListener("visibilitychange", listen);
listen();

const options = document.getElementById("options");
options.addEventListener("click", (event) => {
  if (event.detail > 1) event.preventDefault(); // the second of a double click would take back the first
});
options.addEventListener("submit", (event) => {
  event.preventDefault();
  const { action } = event.target;
  inTurn(async () => {
    try {
      await ask("POST", action);
      const label = buttons.find((button) => button.dataset.key === mine)?.querySelector(".label").textContent;
      status.textContent = label ? `You have voted for ${label}.` : "Your vote is taken back.";
    } catch {
      status.textContent = unsure;
      askAgain();
    }
  });
});
tabs.addEventListener("message", ({ data }) => {
  mine = data;
  show();
});
)js";

inline constexpr std::string_view icon =
    R"svg(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="#1f6f5c">
<rect x="4" y="16" width="6" height="12" rx="1"/>
<rect x="13" y="6" width="6" height="22" rx="1"/>
<rect x="22" y="12" width="6" height="16" rx="1"/>
</svg>
)svg";

}  // namespace live_poll
