// The shop in a real browser: what a visitor sees, and what a hostile one can do. `run` starts this.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { createAtom, getAtom } from "@mongez/atom";

import { browserContext, kill, launch, open, start, stop } from "./common.mjs";

const { SSR_SERVER } = process.env;
const hasDatabase = spawnSync(SSR_SERVER, ["--help"]).stdout.includes("--database"); // it was built with SQLite
const hostile = "</script><script>alert(1)</script><!--";

let folder, server, url, browser;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "atom-shop-"));
  const options = hasDatabase ? ["--database", join(folder, "shop.db")] : ["--memory"];
  [server, url] = await start(SSR_SERVER, "--port", "0", ...options);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  if (server) await stop(server);
  await rm(folder, { recursive: true });
});

/** Opens the shop with these fields, in a browser of its own; what goes wrong in it fails the test. */
const visit = async (t, fields, options = {}) =>
  open(await browserContext(t, browser, options), `${url}?${new URLSearchParams(fields)}`);

const stateOf = (page) => page.evaluate(() => JSON.parse(document.getElementById("atom-state").textContent));
const heading = (page) => page.locator("h1").innerText();
const items = (page) => page.locator("li").allInnerTexts();
const add = async (page, item) => {
  await page.locator("input[name=item]:visible").fill(item);
  await Promise.all([page.waitForEvent("load"), page.locator("button").click()]);
};
const cookiesOf = async (page) =>
  Object.fromEntries((await page.context().cookies()).map(({ name, value }) => [name, value]));

const fields = [
  ["name", "Ada"],
  ["item", "tea"],
  ["item", "tea"],
  ["item", "Earl & Grey"],
  ["locale", "fr"],
];

test("the page shows the server's state, and goes on from it", async (t) => {
  const page = await visit(t, fields);
  assert.deepEqual(await stateOf(page), {
    locale: "fr",
    user: { name: "Ada" },
    cart: [
      { title: "tea", quantity: 2 },
      { title: "Earl & Grey", quantity: 1 },
    ],
    pieces: 3,
  });
  assert.equal(await heading(page), "Bonjour, Ada!");
  assert.deepEqual(await items(page), ["tea × 2", "Earl & Grey × 1"]);

  // Without a request: what is shown now comes from the state that the script read.
  let requests = 0;
  page.on("request", () => ++requests);
  await page.locator("input[name=name]").fill("Grace");
  assert.equal(await heading(page), "Bonjour, Grace!");
  await page.locator("input[name=name]").fill("");
  assert.equal(await heading(page), "Bonjour, cher visiteur!");
  assert.deepEqual(await items(page), ["tea × 2", "Earl & Grey × 1"]);
  assert.equal(requests, 0);
  assert.deepEqual(page.faults, []);
});

test("the script shows the state that it read, whatever the page said before", async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.route(`${url}?**`, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replace(/(data-atom="[^"]*")>[^<]*</g, "$1>?<") });
  });
  await page.goto(`${url}?${new URLSearchParams(fields)}`);
  assert.deepEqual(await items(page), ["tea × 2", "Earl & Grey × 1"]);
});

test("a visitor whose name is markup is shown as text", async (t) => {
  const page = await visit(t, [["name", hostile], ["item", hostile]]);
  assert.equal(await heading(page), `Hello, ${hostile}!`);
  assert.deepEqual(await items(page), [`${hostile} × 1`]);
  assert.equal(await page.locator("input[name=name]").inputValue(), hostile);
  assert.equal((await stateOf(page)).user.name, hostile);
  assert.equal(await page.locator("script").count(), 2);

  await page.locator("button").click(); // and comes back as it was
  await page.waitForLoadState("load");
  assert.equal(await heading(page), `Hello, ${hostile}!`);
  assert.deepEqual(await items(page), [`${hostile} × 1`]);
  assert.deepEqual(page.faults, []);
});

test("what is server-only is nowhere in the page", async (t) => {
  const page = await visit(t, fields);
  await add(page, "cake"); // now there is something to know of this client
  const { session } = await cookiesOf(page);
  assert.match(session, /^[0-9a-f]{32}$/);
  const seen = await page.evaluate(() => [
    document.documentElement.outerHTML,
    document.cookie,
    JSON.stringify(Object.values(localStorage)),
  ]);
  for (const text of seen) {
    for (const secret of [session, "session", "seen", "offered"]) assert.ok(!text.includes(secret));
  }
});

test("a forged state changes the locale and nothing else", async (t) => {
  const page = await visit(t, fields);
  await page.evaluate(() => {
    const form = document.querySelector("form");
    form.elements.state.value = JSON.stringify({
      user: { name: "Eve" },
      cart: [{ title: "gold", quantity: 99 }],
      pieces: 99,
      session: "mine",
      seen: 99,
      offered: ["gold"],
      locale: "de",
    });
    form.elements.locale.remove();
    form.submit(); // as it is, without the page's script
  });
  await page.waitForURL(url);
  assert.equal(await heading(page), "Hallo, Ada!");
  assert.deepEqual(await items(page), ["tea × 2", "Earl & Grey × 1"]);
  assert.equal((await stateOf(page)).pieces, 3);
  const { session, ...others } = await cookiesOf(page);
  assert.match(session, /^[0-9a-f]{32}$/);
  assert.deepEqual(others, { locale: "%22de%22" });
  assert.deepEqual(page.faults, []);
});

test("a language that was chosen is there at the next visit", async (t) => {
  const page = await visit(t, [["name", "Ada"]]);
  assert.equal(await heading(page), "Hello, Ada!");
  await Promise.all([page.waitForURL(url), page.locator("select").selectOption("es")]);
  assert.equal(await heading(page), "Hola, Ada!");
  await page.goto(url);
  assert.equal(await heading(page), "Hola, Ada!"); // as is the name
  assert.deepEqual(page.faults, []);
});

test("what a form added is there at the next visit, and a reload does not add it again", async (t) => {
  const page = await visit(t, []);
  await add(page, "tea");
  await add(page, "cake");
  for (const again of [() => page.reload(), () => page.goto(url), () => page.goto(`${url}?item=scone`)]) {
    await again();
    assert.deepEqual((await items(page)).slice(0, 2), ["tea × 1", "cake × 1"]);
  }
  assert.deepEqual(await items(page), ["tea × 1", "cake × 1", "scone × 1"]); // the link shows it
  await page.goto(url);
  assert.deepEqual(await items(page), ["tea × 1", "cake × 1"]); // and keeps nothing
  assert.deepEqual(page.faults, []);
});

test("two tabs of one browser add to one cart, and another browser sees nothing of it", async (t) => {
  const first = await visit(t, []);
  await add(first, "tea");
  const second = await first.context().newPage();
  await second.goto(url);
  await Promise.all([add(first, "cake"), add(second, "scone")]);
  await first.goto(url);
  assert.deepEqual((await items(first)).sort(), ["cake × 1", "scone × 1", "tea × 1"]);
  assert.deepEqual(await items(await visit(t, [])), []);
});

test("the cart survives a restart of the server", { skip: !hasDatabase && "built without SQLite" }, async (t) => {
  const database = ["--database", join(folder, "restart.db")];
  let [shop, address] = await start(SSR_SERVER, "--port", "0", ...database);
  t.after(() => kill(shop));
  const context = await browser.newContext({ locale: "en-US" });
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`${address}?name=Ada`);
  await add(page, "tea");
  await add(page, "tea");
  await stop(shop);
  [shop] = await start(SSR_SERVER, "--port", new URL(address).port, ...database);
  await page.reload();
  assert.equal(await heading(page), "Hello, Ada!");
  assert.deepEqual(await items(page), ["tea × 2"]);
  await add(page, "cake");
  assert.deepEqual(await items(page), ["tea × 2", "cake × 1"]);
  await stop(shop);
});

test("the shop works with the keyboard, and without scripts", async (t) => {
  const page = await visit(t, [], { javaScriptEnabled: false });
  await page.keyboard.press("Tab");
  await page.keyboard.type("Ada");
  await page.keyboard.press("Tab");
  await page.keyboard.type("tea");
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  assert.equal(await heading(page), "Hello, Ada!");
  assert.deepEqual(await items(page), ["tea × 1"]);
});

test("mongez atom hydrates the snapshot and shows the same values", async () => {
  const page = await (await fetch(`${url}?${new URLSearchParams([...fields, ["item", hostile]])}`)).text();
  const text = page.match(/id="atom-state">(.*?)<\/script>/)[1];
  const snapshot = JSON.parse(text);

  const defaults = { locale: "en", user: { name: "" }, cart: [], pieces: 0 };
  for (const [key, value] of Object.entries(defaults)) createAtom({ key, default: value });
  const heard = [];
  getAtom("user").watch("name", (now, old) => heard.push([now, old]));
  for (const [key, value] of Object.entries(snapshot)) getAtom(key).update(value);

  assert.deepEqual(Object.keys(snapshot).sort(), Object.keys(defaults).sort());
  assert.deepEqual(heard, [["Ada", ""]]);
  assert.equal(getAtom("locale").value, "fr");
  assert.equal(getAtom("user").get("name"), "Ada");
  assert.equal(getAtom("cart").get("0.title"), "tea");
  assert.equal(getAtom("cart").get("2.title"), hostile);
  assert.equal(getAtom("pieces").value, 4);
});

test("pictures of the page, to look at", async (t) => {
  const desktop = await visit(t, [["name", "Ada"], ["item", "tea"], ["item", "tea"], ["item", "cake"]]);
  await desktop.screenshot({ path: "shop.png" });
  const phone = await visit(t, [...fields, ["name", hostile], ["item", hostile]], {
    colorScheme: "dark",
    viewport: { width: 360, height: 760 },
  });
  await phone.screenshot({ path: "shop-phone-dark.png" });
  assert.ok((await phone.evaluate(() => document.documentElement.scrollWidth)) <= 360);
});
