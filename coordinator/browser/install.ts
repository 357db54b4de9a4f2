/**
 * Gets a browser onto a machine that has none (`drove doctor --install`): Debian's own package where that is possible,
 * else Playwright's download for this user.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { BrowserError, locateBrowser } from "./find.ts";

export interface InstallSurroundings {
  readonly platform: NodeJS.Platform;
  readonly isRoot: boolean;
  /** The text of /etc/os-release; empty where there is none. */
  readonly osRelease: string;
}

interface InstallStep {
  readonly command: string;
  readonly arguments: readonly string[];
}

/** A way to get a browser: steps that must all succeed. */
export type InstallWay = readonly InstallStep[];

/** The ways to try, best first. */
export function installWays({ platform, isRoot, osRelease }: InstallSurroundings): readonly InstallWay[] {
  const mayUseApt = platform === "linux" && isRoot && /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(osRelease);
  // Ubuntu's package "chromium" only points to a snap, which containers cannot run.
  const hasPackage = mayUseApt && !/^ID(_LIKE)?=.*\bubuntu\b/m.test(osRelease);
  const apt: InstallWay = [
    { command: "apt-get", arguments: ["update"] },
    { command: "apt-get", arguments: ["install", "-y", "--no-install-recommends", "chromium"] },
  ];
  // The full browser: the smaller headless shell has no WebGPU. With `--with-deps` its libraries come through apt.
  const playwrightArguments = ["install", "chromium", "--no-shell", ...(mayUseApt ? ["--with-deps"] : [])];
  const playwright: InstallWay = [{ command: process.execPath, arguments: [playwrightCli(), ...playwrightArguments] }];
  return hasPackage ? [apt, playwright] : [playwright];
}

/** Returns the executable; output of the installers goes to stderr. Throws a sentence with what to do by hand. */
export async function installBrowser(onStep: (sentence: string) => void): Promise<string> {
  const osRelease = await readFile("/etc/os-release", "utf8").catch(() => "");
  const isRoot = process.getuid?.() === 0;
  for (const way of installWays({ platform: process.platform, isRoot, osRelease })) {
    if (!(await succeeds(way, onStep))) continue;
    const found = await locateBrowser();
    if (found) return found;
  }
  throw new BrowserError(
    "No browser could be installed; install Chrome, Chromium or Edge by hand (Debian: apt-get install chromium), or set DROVE_BROWSER to one.",
  );
}

async function succeeds(way: InstallWay, onStep: (sentence: string) => void): Promise<boolean> {
  for (const step of way) {
    const words = [step.command, ...step.arguments].join(" ");
    onStep(`Running ${words}`);
    const child = spawn(step.command, step.arguments, {
      stdio: ["ignore", process.stderr, process.stderr],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    const exitCode = await once(child, "exit").then(
      ([code]) => code as number | null,
      (error: unknown) => (error as Error).message,
    );
    if (exitCode !== 0) {
      onStep(`${words} failed (${exitCode ?? "killed"}).`);
      return false;
    }
  }
  return true;
}

function playwrightCli(): string {
  return fileURLToPath(new URL("cli.js", import.meta.resolve("playwright/package.json")));
}
