import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { locateBrowser } from "../../coordinator/browser/find.ts";
import { probeBrowser } from "../../coordinator/browser/probe.ts";
import { RawBrowser } from "../../coordinator/browser/raw_browser.ts";
import { Swarm } from "../../coordinator/browser/swarm.ts";

let executable: string;
let server: Server;
let url: string;
/** What the pages that were opened said of themselves. */
const visits: { query: string; webdriver: boolean; visibility: string }[] = [];

beforeAll(async () => {
  executable = (await locateBrowser())!;
  server = createServer((request, response) => {
    if (request.method === "POST") {
      request
        .setEncoding("utf8")
        .on("data", (text: string) => visits.push(JSON.parse(text) as (typeof visits)[number]));
      response.end();
      return;
    }
    response.setHeader("Content-Type", "text/html").end(`<script>fetch("/", { method: "POST", body: JSON.stringify({
      query: location.search, webdriver: navigator.webdriver, visibility: document.visibilityState }) })</script>`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Processes that name `text` in their command line. */
async function processesWith(text: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return pids.flatMap((pid, index) => (lines[index]!.includes(text) ? [Number(pid)] : []));
}

async function profilesOf(pid: number): Promise<string> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8");
  return /--user-data-dir=([^\0]+)/.exec(commandLine)![1]!;
}

test("The probe finds an adapter that gives a device, and the flags that lead to it", async () => {
  const probe = await probeBrowser(executable);
  expect(probe.adapter).toMatch(/\w/);
  expect(probe.flags.includes("--use-webgpu-adapter=swiftshader")).toBe(probe.isFallback);
});

test("A browser that does not start is a sentence, not a wait", async () => {
  await expect(probeBrowser("/nowhere/chromium")).rejects.toThrow(
    /\/nowhere\/chromium cannot be started .*set DROVE_BROWSER/,
  );
  const folder = await mkdtemp(join(tmpdir(), "drove-fake-"));
  const fake = join(folder, "chromium");
  await writeFile(fake, "#!/bin/sh\necho 'No usable sandbox! Update your kernel' >&2\nexit 1\n");
  await chmod(fake, 0o755);
  await expect(probeBrowser(fake)).rejects.toThrow(
    /chromium did not work: The browser cannot start its sandbox here; allow/,
  );
  await rm(folder, { recursive: true });
});

test("A swarm opens the page once per volunteer, automated and visible, and leaves nothing behind", async () => {
  visits.length = 0;
  const onDeath = vi.fn<(sentence: string) => void>();
  const swarm = await Swarm.start({ executable, url, volunteers: 2, backend: "wasm", threads: 1, flags: [], onDeath });
  await vi.waitFor(() => expect(visits).toHaveLength(2), { timeout: 30_000, interval: 100 });
  expect(visits[0]).toEqual({ query: "?start=1&backend=wasm&threads=1", webdriver: true, visibility: "visible" });
  expect(swarm.living).toBe(2);
  await swarm.stop();
  await swarm.ended;
  expect(swarm.living).toBe(0);
  expect(onDeath).not.toHaveBeenCalled();
  expect(await processesWith(url)).toEqual([]);
});

test("A volunteer that dies is reported, the others live, and stopping ends exactly the own ones", async () => {
  visits.length = 0;
  const stranger = await RawBrowser.launch({ executable, url: `${url}?stranger`, flags: [] });
  const onDeath = vi.fn<(sentence: string) => void>();
  const swarm = await Swarm.start({ executable, url, volunteers: 2, backend: "auto", threads: 1, flags: [], onDeath });
  await vi.waitFor(() => expect(visits).toHaveLength(3), { timeout: 30_000, interval: 100 });
  const [victim] = await processesWith("start=1&backend=auto");
  process.kill(victim!, "SIGKILL");
  await vi.waitFor(() => expect(onDeath).toHaveBeenCalledOnce(), { timeout: 10_000 });
  expect(onDeath.mock.calls[0]![0]).toMatch(/^Volunteer [12] of 2 is gone: The browser was killed by SIGKILL/);
  expect(swarm.living).toBe(1);
  await swarm.stop();
  expect(await processesWith("backend=auto")).toEqual([]);
  expect(isAlive(stranger.pid)).toBe(true);
  await stranger.stop();
  expect(isAlive(stranger.pid)).toBe(false);
});

test("A coordinator killed with SIGKILL takes its browsers and their profiles with it", async () => {
  visits.length = 0;
  const victim = fileURLToPath(new URL("../support/swarm_victim.ts", import.meta.url));
  const coordinator = spawn(process.execPath, [victim, `${url}?orphan`], { stdio: ["ignore", "pipe", "inherit"] });
  const [text] = (await once(coordinator.stdout, "data")) as [Buffer];
  const browserPid = Number(text.toString());
  await vi.waitFor(() => expect(visits).toHaveLength(1), { timeout: 30_000, interval: 100 });
  const profile = await profilesOf(browserPid);
  const members = (await processesWith(profile)).length;
  expect(members).toBeGreaterThan(3);
  const exited = once(coordinator, "exit");
  coordinator.kill("SIGKILL");
  await exited;
  await vi.waitFor(async () => expect(await processesWith(profile)).toEqual([]), { timeout: 5000 });
  expect(await readdir(profile).catch(() => "gone")).toBe("gone");
});
