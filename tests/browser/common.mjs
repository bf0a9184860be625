// What the tests of pages share: servers, the browser, and what is seen to go wrong in a page.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import { chromium } from "playwright-core";

/** Starts a server with these options; its process, and where it listens. */
export async function start(program, ...options) {
  const process = spawn(program, options, { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: process.stdout });
  const [first] = await once(lines, "line", { signal: AbortSignal.timeout(20_000) });
  return [process, first.match(/http:\S+/)[0]];
}
export async function stop(process, signal = "SIGTERM") {
  const exit = once(process, "exit", { signal: AbortSignal.timeout(20_000) });
  process.kill(signal);
  const [status] = await exit;
  if (signal === "SIGTERM") assert.equal(status, 0);
}
/** At the end of a test that may have stopped it. */
export function kill(process) {
  if (process.exitCode === null && process.signalCode === null) process.kill("SIGKILL");
}

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
    timeout: 60_000,
  });

/** A browser with cookies of its own. */
export async function browserContext(t, browser, options = {}) {
  const context = await browser.newContext({ colorScheme: "light", locale: "en-US", ...options });
  t.after(() => context.close());
  context.setDefaultTimeout(20_000);
  return context;
}
/** What goes wrong in the page is in `page.faults`, which a test compares with none. */
export async function open(context, url) {
  const page = await context.newPage();
  page.faults = [];
  page.on("dialog", (dialog) => {
    page.faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("pageerror", (error) => page.faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") page.faults.push(`console: ${message.text()}`);
  });
  await page.goto(url, { waitUntil: "load" });
  return page;
}
