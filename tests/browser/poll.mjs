// The poll in a real browser: pages that show each other's votes, and servers that go away. `run` starts this.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { browserContext, kill, launch, open, start, stop } from "./common.mjs";

const { LIVE_POLL } = process.env;
const backends = spawnSync(LIVE_POLL, ["--once", "--backend", "none:"]).stderr.toString(); // it says which it has
const without = (backend, program) => {
  if (!backends.includes(`${backend}:`)) return `live_poll was built without ${backend}`;
  if (program && spawnSync(program, ["--version"]).error) return `${program} is not installed`;
  return false;
};

let folder, browser;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "atom-poll-"));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true });
});

/** A poll that nobody has voted in; its process, and where it is. */
async function poll(t, ...options) {
  const [server, url] = await start(LIVE_POLL, "--port", "0", ...options);
  t.after(() => kill(server));
  return [server, url];
}
const visit = async (t, url, options = {}) => open(await browserContext(t, browser, options), url);

const button = (page, key) => page.locator(`button[data-key=${key}]`);
const vote = (page, key) => button(page, key).click();
const status = (page) => page.locator("#status").innerText();
/** What the page shows, in one text: its votes in order, and the option that is marked. */
const shown = (page) =>
  page.evaluate(() => {
    const votes = [...document.querySelectorAll(".votes")].map((votes) => parseInt(votes.textContent));
    const mine = [...document.querySelectorAll("[aria-pressed=true]")].map((button) => button.dataset.key);
    return `${votes.join(" ")} ${mine.join("+")}`.trim();
  });
/** Waits for that; says what there was instead. */
async function shows(page, expected, within = 10_000) {
  const until = Date.now() + within;
  while ((await shown(page)) !== expected && Date.now() < until) await sleep(20);
  assert.equal(await shown(page), expected);
}
const noFaults = (...pages) => pages.forEach((page) => assert.deepEqual(page.faults, []));
/** While there is no server, the browser says so. */
const onlyNetworkFaults = (...pages) =>
  pages.forEach((page) => {
    assert.deepEqual(page.faults.filter((fault) => !/^console: Failed to load resource: net::ERR_/.test(fault)), []);
  });

/** How many milliseconds after the click in one page all the others show another number. */
async function latency(from, pages, key) {
  const seen = pages.map((page) =>
    page.evaluate((key) => {
      const votes = document.querySelector(`[data-key=${key}] .votes`);
      const before = votes.textContent;
      return new Promise((resolve) => {
        new MutationObserver(() => votes.textContent !== before && resolve(Date.now())).observe(votes, {
          childList: true,
          characterData: true,
          subtree: true,
        });
      });
    }, key),
  );
  await from.evaluate(() => document.addEventListener("click", () => (window.clickedAt = Date.now()), { once: true }));
  await vote(from, key);
  const times = await Promise.all(seen);
  return Math.max(...times) - (await from.evaluate(() => window.clickedAt));
}

test("a vote is seen in every page within a second, as are a change of mind and a vote that is taken back", async (t) => {
  const [server, url] = await poll(t);
  const ada = await visit(t, url);
  const adas = await open(ada.context(), url);
  const bob = await visit(t, url);
  const pages = [ada, adas, bob];
  const times = [];
  times.push(await latency(ada, pages, "pizza"));
  await shows(ada, "1 0 0 0 pizza");
  await shows(bob, "1 0 0 0");
  times.push(await latency(bob, pages, "pizza"));
  await shows(ada, "2 0 0 0 pizza");
  times.push(await latency(bob, pages, "soup")); // changes the mind
  await shows(bob, "1 0 0 1 soup");
  await shows(ada, "1 0 0 1 pizza");
  times.push(await latency(ada, pages, "pizza")); // takes it back
  await shows(ada, "0 0 0 1");
  await shows(bob, "0 0 0 1 soup");
  await shows(adas, "0 0 0 1");
  for (let i = 0; i < 10; ++i) {
    await sleep(250); // nothing is on its way any more
    times.push(await latency(ada, pages, ["noodles", "salad"][i % 2]));
  }
  t.diagnostic(`a vote was seen everywhere after ${times.join(", ")} ms`);
  for (const time of times) assert.ok(time < 1000, `${time} ms`);
  noFaults(...pages);
  await stop(server);
});

test("two tabs of one browser share one vote, and its mark", async (t) => {
  const [server, url] = await poll(t);
  const first = await visit(t, url);
  const second = await open(first.context(), url);
  await first.route("**/vote/*", async (route) => {
    await sleep(300);
    await route.continue();
  });
  const arrived = first.waitForResponse("**/vote/pizza");
  await vote(first, "pizza"); // is still on its way when the second one is sent: neither tab has a mark yet
  await vote(second, "pizza");
  await arrived;
  await first.unroute("**/vote/*");
  for (const page of [first, second]) await shows(page, "1 0 0 0 pizza");
  await vote(second, "soup");
  for (const page of [first, second]) await shows(page, "0 0 0 1 soup");
  await vote(first, "soup");
  for (const page of [first, second]) await shows(page, "0 0 0 0");
  await second.reload();
  await shows(second, "0 0 0 0");
  noFaults(first, second);
  await stop(server);
});

test("a double click is one vote, also without JavaScript", async (t) => {
  const [server, url] = await poll(t);
  const page = await visit(t, url);
  await button(page, "pizza").dblclick();
  await shows(page, "1 0 0 0 pizza");
  await sleep(300);
  await shows(page, "1 0 0 0 pizza");
  const plain = await visit(t, url, { javaScriptEnabled: false });
  await button(plain, "pizza").dblclick();
  await sleep(300);
  await plain.goto(url);
  assert.match(await plain.locator("#all").innerText(), /^[12]$/); // the second may be on the new page, which takes back
  noFaults(page, plain);
  await stop(server);
});

test("the last of several clicks counts, however long the ones before take", async (t) => {
  const [server, url] = await poll(t);
  const page = await visit(t, url);
  let delay = 400;
  await page.route("**/vote/*", async (route) => {
    await sleep((delay -= 150));
    await route.continue();
  });
  for (const key of ["pizza", "soup", "salad"]) await vote(page, key);
  await shows(page, "0 0 1 0 salad");
  await sleep(500);
  await shows(page, "0 0 1 0 salad");
  noFaults(page);
  await stop(server);
});

test("pages wait for a server that was killed, and go on", { skip: without("sqlite") }, async (t) => {
  const database = ["--backend", `sqlite:${join(folder, "killed.db")}`];
  let [server, url] = await poll(t, ...database);
  const ada = await visit(t, url);
  const bob = await visit(t, url);
  await vote(ada, "pizza");
  await vote(bob, "soup");
  await shows(ada, "1 0 0 1 pizza");
  await shows(bob, "1 0 0 1 soup");
  noFaults(ada, bob);

  for (let round = 0; round < 2; ++round) {
    await stop(server, "SIGKILL");
    await ada.waitForFunction(() => document.getElementById("status").textContent.includes("connection is lost"));
    await shows(ada, "1 0 0 1 pizza");
    [server] = await start(LIVE_POLL, "--port", new URL(url).port, ...database);
    t.after(((server) => () => kill(server))(server));
    for (const page of [ada, bob]) {
      await page.waitForFunction(() => document.getElementById("status").textContent === "", null, { timeout: 15_000 });
    }
    await shows(ada, "1 0 0 1 pizza");
    await shows(bob, "1 0 0 1 soup");
  }
  await vote(bob, "pizza");
  await shows(ada, "2 0 0 0 pizza");
  await vote(ada, "pizza");
  await shows(bob, "1 0 0 0 pizza");
  onlyNetworkFaults(ada, bob);
  await stop(server);
});

test("a page whose events are refused asks again, until it gets them", async (t) => {
  const [server, url] = await poll(t);
  const page = await visit(t, "about:blank");
  let refusals = 2;
  await page.route("**/events", (route) => (refusals-- > 0 ? route.fulfill({ status: 503 }) : route.continue()));
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById("status").textContent.includes("connection is lost"));
  const other = await visit(t, url);
  await vote(other, "salad");
  await shows(page, "0 0 1 0");
  assert.equal(await status(page), "");
  assert.deepEqual(page.faults.filter((fault) => !fault.includes("503")), []);
  noFaults(other);
  await stop(server);
});

test("a vote that did not arrive is said not to have, and can be tried again", async (t) => {
  const [first, url] = await poll(t);
  const page = await visit(t, url);
  await vote(page, "pizza");
  await shows(page, "1 0 0 0 pizza");
  await stop(first, "SIGKILL");
  await vote(page, "soup");
  await page.waitForFunction(() => document.getElementById("status").textContent.includes("did not arrive"));
  await sleep(2500); // it is still said when the page tries to connect
  assert.match(await status(page), /did not arrive/);
  const [second] = await start(LIVE_POLL, "--port", new URL(url).port); // in memory: one that knows nothing
  t.after(() => kill(second));
  await shows(page, "0 0 0 0"); // nor does the page keep a mark of what is gone
  await vote(page, "soup");
  await shows(page, "0 0 0 1 soup");
  assert.doesNotMatch(await status(page), /arrive/);
  onlyNetworkFaults(page);
  await stop(second);
});

test("a server that is stopped ends in time, though pages are open", async (t) => {
  const [server, url] = await poll(t);
  const pages = [await visit(t, url), await visit(t, url)];
  const lazy = connect(new URL(url).port, "127.0.0.1");
  t.after(() => lazy.destroy());
  lazy.write("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  lazy.pause();
  await vote(pages[0], "pizza");
  await shows(pages[1], "1 0 0 0");
  const begin = Date.now();
  await stop(server);
  assert.ok(Date.now() - begin < 5000);
  onlyNetworkFaults(...pages);
});

/** A Redis of the test's own, on a socket in the folder; its process and its URL. */
async function startRedis(t, name) {
  const socket = join(folder, name);
  const redis = spawn(
    "redis-server",
    ["--port", "0", "--unixsocket", socket, "--save", "", "--daemonize", "no", "--dir", folder],
    { stdio: "ignore" },
  );
  t.after(() => kill(redis));
  for (let i = 0; i < 200; ++i) {
    const client = connect(socket);
    const isThere = await once(client, "connect").then(
      () => true,
      () => false,
    );
    client.destroy();
    if (isThere) return [redis, `unix://${socket}`];
    await sleep(50);
  }
  throw new Error("redis-server does not start");
}

test("two servers on one Redis are one poll", { skip: without("unix", "redis-server") }, async (t) => {
  const [redis, database] = await startRedis(t, "redis.sock");
  const [first, url] = await poll(t, "--backend", database);
  const [second, other] = await poll(t, "--backend", database);
  const ada = await visit(t, url);
  const bob = await visit(t, other);
  const times = [await latency(ada, [ada, bob], "pizza"), await latency(bob, [ada, bob], "pizza")];
  await shows(ada, "2 0 0 0 pizza");
  await shows(bob, "2 0 0 0 pizza");
  times.push(await latency(ada, [ada, bob], "soup"), await latency(bob, [ada, bob], "pizza"));
  await shows(ada, "0 0 0 1 soup");
  await shows(bob, "0 0 0 1");
  const late = await visit(t, other);
  await shows(late, "0 0 0 1");
  // Cookies know no ports, so that a browser is the same client of both.
  await ada.goto(other);
  await shows(ada, "0 0 0 1 soup");
  await vote(ada, "soup");
  await shows(bob, "0 0 0 0");
  t.diagnostic(`through Redis a vote was seen everywhere after ${times.join(", ")} ms`);
  for (const time of times) assert.ok(time < 1000, `${time} ms`);
  noFaults(ada, bob, late);
  await stop(first);
  await stop(second);
  await stop(redis);
});

test("a database that stands still is waited for, and what came of a vote is found out", { skip: without("unix", "redis-server") }, async (t) => {
  const [redis, database] = await startRedis(t, "still.sock");
  const [server, url] = await poll(t, "--backend", database);
  const ada = await visit(t, url);
  const bob = await visit(t, url);
  await vote(ada, "pizza");
  await shows(bob, "1 0 0 0");
  redis.kill("SIGSTOP");
  await vote(ada, "soup");
  await ada.waitForFunction(() => document.getElementById("status").textContent.includes("did not arrive"));
  await shows(bob, "1 0 0 0");
  redis.kill("SIGCONT");
  await sleep(1000);
  await vote(ada, "salad"); // whether the one before has been counted or not
  await shows(ada, "0 0 1 0 salad");
  await shows(bob, "0 0 1 0");
  await ada.reload();
  await shows(ada, "0 0 1 0 salad");
  for (const page of [ada, bob]) assert.deepEqual(page.faults.filter((fault) => !fault.includes("503")), []);
  await stop(server);
  await stop(redis);
});

/** As when another tab of the window is chosen. */
const look = (page, state) =>
  page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);

test("more tabs may be open than a browser has connections", async (t) => {
  const [server, url] = await poll(t);
  const context = await browserContext(t, browser);
  const tabs = [];
  for (let i = 0; i < 9; ++i) {
    if (i > 0) await look(tabs.at(-1), "hidden"); // a headless browser takes all of them for visible
    tabs.push(await open(context, url));
  }
  const last = tabs.at(-1);
  await vote(last, "pizza");
  await shows(last, "1 0 0 0 pizza");
  await look(last, "hidden");
  await look(tabs[0], "visible");
  await shows(tabs[0], "1 0 0 0 pizza");
  await vote(tabs[0], "soup");
  await shows(tabs[0], "0 0 0 1 soup");
  noFaults(...tabs);
  await stop(server);
});
test("the poll works with the keyboard alone, and the focus stays where it was", async (t) => {
  const [server, url] = await poll(t);
  const page = await visit(t, url);
  const focus = () => page.evaluate(() => document.activeElement.dataset.key);
  await page.keyboard.press("Tab");
  assert.equal(await focus(), "pizza");
  await page.keyboard.press("Enter");
  await shows(page, "1 0 0 0 pizza");
  assert.equal(await focus(), "pizza");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await shows(page, "0 0 1 0 salad");
  assert.equal(await focus(), "salad");
  await page.keyboard.press("Space");
  await shows(page, "0 0 0 0");
  noFaults(page);
  await stop(server);
});

test("the poll works without JavaScript", async (t) => {
  const [server, url] = await poll(t);
  const page = await visit(t, url, { javaScriptEnabled: false });
  const after = async (key) => {
    await Promise.all([page.waitForEvent("load"), vote(page, key)]);
    assert.equal(page.url(), url);
    return page.locator("[aria-pressed=true]").count();
  };
  assert.equal(await after("pizza"), 1);
  assert.equal(await page.locator("#all").innerText(), "1");
  assert.equal(await after("soup"), 1);
  assert.equal(await page.locator("#all").innerText(), "1");
  assert.equal(await after("soup"), 0);
  assert.equal(await page.locator("#all").innerText(), "0");
  noFaults(page);
  await stop(server);
});

test("no script but the poll's own runs in the page", async (t) => {
  const [server, url] = await poll(t);
  const page = await visit(t, url);
  noFaults(page);
  await page.route(url, async (route) => {
    const response = await route.fetch();
    const planted = `<script>window.planted = 1</script><img src="data:," onerror="window.planted = 2">
      <script src="data:text/javascript,window.planted=3"></script><style>h1 { position: fixed }</style>
      <h2 style="position: fixed">x</h2><base href="http://evil.example/">`;
    await route.fulfill({ response, body: (await response.text()).replace("<main>", `${planted}<main>`) });
  });
  await page.reload();
  assert.equal(await page.evaluate(() => window.planted), undefined);
  const styles = await page.evaluate(() => ["h1", "h2"].map((name) => getComputedStyle(document.querySelector(name)).position));
  assert.deepEqual(styles, ["static", "static"]);
  await vote(page, "pizza"); // and the poll goes on
  await shows(page, "1 0 0 0 pizza");
  assert.ok(page.faults.length >= 4);
  for (const fault of page.faults) assert.match(fault, /Content Security Policy/);

  // Nor can another site put it into a frame, where a visitor could be made to click.
  const frame = await visit(t, "about:blank");
  await frame.setContent(`<iframe src="${url}"></iframe>`);
  await sleep(300);
  assert.equal(await frame.frames().at(-1).locator("button").count(), 0);
  await stop(server);
});

test("another site cannot vote for its visitors", async (t) => {
  const [server, url] = await poll(t);
  const page = await visit(t, url);
  await vote(page, "pizza");
  await shows(page, "1 0 0 0 pizza");
  const [another, elsewhere] = await poll(t); // the same host, so that cookies go with it
  const evil = await open(page.context(), elsewhere);
  await evil.route(elsewhere, (route) =>
    route.fulfill({ contentType: "text/html", body: `<form method="post" action="${url}vote/soup"><button>Win!</button></form>` }),
  );
  await evil.goto(elsewhere);
  await Promise.all([evil.waitForEvent("load"), evil.locator("button").click()]);
  assert.match(await evil.locator("p").first().innerText(), /Another site/);
  await shows(page, "1 0 0 0 pizza");
  await stop(server);
  await stop(another);
});

test("each button says its option, its votes, and whether it is chosen; and what happens is announced", async (t) => {
  const [server, url] = await poll(t);
  const page = await visit(t, url);
  const accessibility = await page.context().newCDPSession(page);
  const nodes = async (role) => {
    const { nodes } = await accessibility.send("Accessibility.getFullAXTree");
    return nodes.filter((node) => !node.ignored && node.role?.value === role);
  };
  const property = (node, name) => node.properties.find((property) => property.name === name)?.value.value;
  const buttons = async () => (await nodes("button")).map((node) => [node.name.value, property(node, "pressed")]);
  assert.deepEqual(await buttons(), [
    ["Pizza 0 votes", "false"],
    ["Noodles 0 votes", "false"],
    ["Salad 0 votes", "false"],
    ["Soup 0 votes", "false"],
  ]);
  const announced = async () => (await nodes("status")).map((node) => property(node, "live"));
  assert.deepEqual(await announced(), ["polite"]); // it is there before there is something in it
  await vote(page, "soup");
  await shows(page, "0 0 0 1 soup");
  assert.deepEqual((await buttons())[3], ["Soup 1 vote", "true"]);
  assert.equal(await status(page), "You have voted for Soup.");
  await vote(page, "soup");
  await shows(page, "0 0 0 0");
  assert.deepEqual((await buttons())[3], ["Soup 0 votes", "false"]);
  assert.equal(await status(page), "Your vote is taken back.");
  assert.deepEqual((await nodes("heading")).map((node) => node.name.value), ["What shall we have for lunch?"]);
  noFaults(page);
  await stop(server);
});

test("more pages may be open than a process may open files by default", async (t) => {
  const server = spawn("bash", ["-c", 'ulimit -Sn 100 && exec "$0" --port 0', LIVE_POLL], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => kill(server));
  const [first] = await once(server.stdout, "data", { signal: AbortSignal.timeout(20_000) });
  const url = first.toString().match(/http:\S+/)[0];
  const streams = Array.from({ length: 300 }, () => connect(new URL(url).port, "127.0.0.1"));
  t.after(() => streams.forEach((stream) => stream.destroy()));
  for (const stream of streams) stream.write("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await Promise.all(streams.map((stream) => once(stream, "data", { signal: AbortSignal.timeout(10_000) })));
  const page = await visit(t, url);
  await vote(page, "pizza");
  await shows(page, "1 0 0 0 pizza");
  noFaults(page);
  await stop(server);
});

test("options that are wrong are said to be, and Ctrl-C ends the server", async (t) => {
  const [server, url] = await poll(t);
  for (const [options, status, said] of [
    [["--port", "65536"], 1, /not a port/],
    [["--port", "-1"], 1, /not a port/],
    [["--port", "80 "], 1, /not a port/],
    [["--port"], 2, /nothing after --port/],
    [["--vote"], 2, /unknown option --vote/],
    [["--port", new URL(url).port], 1, /choose another with --port/],
    [["--port", "0", "--backend", "lunch:user:secret@here"], 1, /begins with one of memory:/],
    [["--help"], 0, /^$/],
  ]) {
    const result = spawnSync(LIVE_POLL, options, { timeout: 20_000 });
    assert.equal(result.status, status, options.join(" "));
    assert.match(result.stderr.toString(), said);
    assert.doesNotMatch(result.stderr.toString(), /secret/);
  }
  const ended = once(server, "exit", { signal: AbortSignal.timeout(10_000) });
  server.kill("SIGINT");
  assert.deepEqual(await ended, [0, null]);
});

test("pictures of the page, to look at", async (t) => {
  const [server, url] = await poll(t);
  const desktop = await visit(t, url);
  const wide = () => desktop.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await desktop.screenshot({ path: "poll-empty.png" });
  for (let i = 0; i < 11; ++i) {
    await fetch(`${url}vote/${["pizza", "pizza", "pizza", "soup"][i % 4]}`, { method: "POST", redirect: "manual" });
  }
  await vote(desktop, "pizza");
  await shows(desktop, "10 0 0 2 pizza");
  await sleep(600); // until the bars are as long as they will be
  await desktop.screenshot({ path: "poll.png" });
  assert.ok((await wide()) <= 0);
  const phone = await visit(t, url, { colorScheme: "dark", viewport: { width: 360, height: 760 } });
  await vote(phone, "soup");
  await shows(phone, "10 0 0 3 soup");
  await sleep(600);
  await phone.screenshot({ path: "poll-phone-dark.png" });
  assert.ok((await phone.evaluate(() => document.documentElement.scrollWidth)) <= 360);
  await stop(server, "SIGKILL");
  await phone.waitForFunction(() => document.getElementById("status").textContent !== "");
  await phone.screenshot({ path: "poll-phone-lost.png" });
});
