/**
 * What the volunteer's page leaves alone (acceptance matrix P): before Start nothing computes and nothing but the page is loaded, and
 * over a whole visit nobody else is spoken to, no cookie is set, and one entry of storage is kept until it is to be forgotten.
 */

import { readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { locateBrowser } from "../../coordinator/browser/find.ts";
import { probeBrowser } from "../../coordinator/browser/probe.ts";
import { CLIENT_FOLDER } from "../../coordinator/cli/places.ts";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import { pressStart } from "../support/volunteer_browser.ts";

const TIMEOUT_MS = 90_000;
const WATCHED_MS = 3000;
/** P6. */
const MOST_STORED_BYTES = 64;
/** What lists against miners look for in addresses (NoCoin, MinerBlock, uBlock's resource abuse). */
const BLOCKLISTED = /miner|mining|hash|coin|crypto|cryptonight|monero|xmr|webassembly-?worker|deepmine|jsecoin/i;

/** Counts what a page may not do before Start; without this a page that does nothing at all would look private. */
const COUNTERS = `
  globalThis.made = { adapters: 0, submits: 0, workers: 0, sockets: 0, peers: 0 };
  const count = (name, holder, key) => {
    const original = holder?.[key];
    if (original) holder[key] = function (...given) { made[name]++; return original.apply(this, given); };
  };
  const countNew = (name, key) => {
    const Original = globalThis[key];
    globalThis[key] = class extends Original { constructor(...given) { super(...given); made[name]++; } };
  };
  count("adapters", globalThis.GPU?.prototype, "requestAdapter");
  count("submits", globalThis.GPUQueue?.prototype, "submit");
  countNew("workers", "Worker");
  countNew("sockets", "WebSocket");
  countNew("peers", "RTCPeerConnection");
`;
const NOTHING_MADE = { adapters: 0, submits: 0, workers: 0, sockets: 0, peers: 0 };

let browser: Browser;
let coordinator: CoordinatorProcess;
const netLog = join(tmpdir(), `drove-net-log-${process.pid}.json`);

beforeAll(async () => {
  const executablePath = await locateBrowser();
  if (!executablePath) throw new Error("There is no browser; run `npx drove doctor --install`.");
  const { flags } = await probeBrowser(executablePath);
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  [browser, coordinator] = await Promise.all([
    chromium.launch({ executablePath, args: [...sandbox, ...flags, `--log-net-log=${netLog}`] }),
    startCoordinator({ args: ["--name", "privacy", "--model", "mlp"] }),
  ]);
});

afterAll(async () => {
  await browser.close();
  await coordinator.stop();
  await rm(netLog, { force: true });
});

async function openPage(): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await page.addInitScript(COUNTERS);
  await page.goto(coordinator.url);
  await page.locator("#start:enabled").waitFor({ timeout: TIMEOUT_MS });
  return page;
}

function madeOn(page: Page): Promise<typeof NOTHING_MADE> {
  return page.evaluate<typeof NOTHING_MADE>("made");
}

interface Storage {
  readonly local: Readonly<Record<string, string>>;
  readonly session: number;
  readonly databases: readonly string[];
}

function storageOf(page: Page): Promise<Storage> {
  return page.evaluate<Storage>(`(async () => ({
    local: { ...localStorage },
    session: sessionStorage.length,
    databases: (await indexedDB.databases()).map(({ name }) => name),
  }))()`);
}

function expectLittle({ local, session }: Storage): void {
  const entries = Object.entries(local);
  expect(entries.length).toBeLessThanOrEqual(1);
  for (const [, value] of entries) expect(Buffer.byteLength(value)).toBeLessThanOrEqual(MOST_STORED_BYTES);
  expect(session).toBe(0);
}

test("[E4] Before Start no GPU is asked for, nothing is computed, and no worker, socket or peer connection is made", async () => {
  const page = await openPage();
  await page.mouse.wheel(0, 2000);
  await page.waitForTimeout(WATCHED_MS);
  expect(await madeOn(page)).toEqual(NOTHING_MADE);
  expect(page.workers()).toEqual([]);
  // The counters count: what comes after Start is seen.
  await pressStart(page);
  await expect.poll(async () => (await madeOn(page)).workers, { timeout: TIMEOUT_MS }).toBe(1);
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.locator('body[data-phase="stopped"]').waitFor({ timeout: TIMEOUT_MS });
  await page.context().close();
});

test("A visit sets no cookie, keeps one small entry until it is to be forgotten, and speaks to its coordinator only", async () => {
  const page = await openPage();
  const spokenTo = new Set<string>();
  page.on("request", (request) => spokenTo.add(request.url()));
  page.on("websocket", (socket) => spokenTo.add(socket.url()));
  expectLittle(await storageOf(page));

  await page.getByRole("textbox", { name: /^Name/ }).fill("Ada");
  await pressStart(page);
  await expect.poll(() => page.locator("#verdicts").textContent(), { timeout: TIMEOUT_MS }).toMatch(/^[1-9]/);
  await page.locator("#theme").click();
  await page.locator("#trial-samples button").first().click();
  await page.getByRole("button", { name: "Test image 1", exact: true }).click();
  await expect.poll(() => page.locator("#trial-answer").textContent(), { timeout: TIMEOUT_MS }).toMatch(/sure/);
  expectLittle(await storageOf(page));
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.locator('body[data-phase="stopped"]').waitFor({ timeout: TIMEOUT_MS });
  const kept = await storageOf(page);
  expectLittle(kept);
  expect(Object.keys(kept.local)).toHaveLength(1);

  await page.getByRole("button", { name: "Forget me" }).click();
  await expect.poll(async () => (await storageOf(page)).databases).toEqual([]);
  expect((await storageOf(page)).local).toEqual({});
  expect(await page.context().cookies()).toEqual([]);
  expect(await page.evaluate<string>("document.cookie")).toBe("");

  const { host } = new URL(coordinator.url);
  expect([...spokenTo].map((url) => new URL(url).host).filter((other) => other !== host)).toEqual([]);
  expect([...spokenTo].filter((url) => BLOCKLISTED.test(url))).toEqual([]);
  await page.context().close();
});

test("Another site cannot put the page into a frame of its own", async () => {
  const page = await (await browser.newContext()).newPage();
  const other = await serve(`<!doctype html><title>Elsewhere</title><iframe src="${coordinator.url}"></iframe>`);
  const refused = page.waitForEvent("console", (message) => /frame-ancestors|refused to connect/i.test(message.text()));
  await page.goto(`http://localhost:${(other.address() as AddressInfo).port}/`);
  expect((await refused).type()).toBe("error");
  const [, frame] = page.frames();
  expect(await frame?.evaluate("document.querySelectorAll('button').length")).toBe(0);
  expect(await frame?.evaluate("document.title")).not.toBe("Drove");
  await page.context().close();
  other.close();
});

test("No address of the client holds a word that lists against miners look for", async () => {
  const names = await readdir(CLIENT_FOLDER, { recursive: true });
  expect(names.length).toBeGreaterThan(5);
  // Vite ends names with eight letters of their content, which may spell anything.
  const words = names.map((name) => name.replace(/-[\w-]{8}(?=\.\w+$)/, ""));
  expect(words.filter((word) => BLOCKLISTED.test(word))).toEqual([]);
});

test("The browser's own log of the network has the page ask its coordinator and nobody else", async () => {
  const { origin } = new URL(coordinator.url);
  // The log is whole once the browser has ended; nothing here uses it after this.
  await browser.close();
  const log = await readFile(netLog, "utf8");
  // One event a line. What a browser asks for itself (updates, accounts) has no page as its initiator.
  const asked = [...log.matchAll(/"initiator":"([^"]*)".*"url":"([^"]+)"/g)].flatMap(([, initiator, url = ""]) =>
    initiator === origin ? [url] : [],
  );
  expect(asked.length).toBeGreaterThan(10);
  const elsewhere = asked.filter((url) => new URL(url).host !== new URL(origin).host);
  expect([...new Set(elsewhere)]).toEqual([]);
});

async function serve(html: string): Promise<Server> {
  const server = createServer((_, response) => {
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(html);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return server;
}
