/**
 * Which browser local volunteers run in: the one that DROVE_BROWSER names, else an installed Chrome, Chromium or Edge,
 * else Playwright's own download. Firefox and Safari can volunteer too, but cannot be started unattended the same way.
 */

import { accessSync, constants, statSync } from "node:fs";
import { posix, win32 } from "node:path";

/** A browser that is missing, does not start or died: one sentence with the fix. */
export class BrowserError extends Error {
  override readonly name = "BrowserError";
}

/** All that the search asks of a machine. */
export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** True for a file that may be executed. */
  readonly exists: (path: string) => boolean;
}

const THIS_MACHINE: Surroundings = {
  platform: process.platform,
  environment: process.env,
  exists: isExecutable,
};

/** Stable releases first, and Chrome before Chromium before Edge: the order of how often their WebGPU is tested. */
const LINUX_NAMES = [
  "google-chrome-stable",
  "google-chrome",
  "chrome",
  "chromium",
  "chromium-browser",
  "microsoft-edge-stable",
  "microsoft-edge",
] as const;

/** Looked at after the PATH, which may be short under cron or systemd. */
const LINUX_PATHS = [
  "/usr/bin/google-chrome-stable",
  "/usr/bin/google-chrome",
  "/opt/google/chrome/chrome",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/lib/chromium/chromium",
  "/usr/bin/microsoft-edge-stable",
  "/opt/microsoft/msedge/msedge",
  "/snap/bin/chromium",
] as const;

const MAC_APPLICATIONS = [
  "Google Chrome.app/Contents/MacOS/Google Chrome",
  "Chromium.app/Contents/MacOS/Chromium",
  "Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
] as const;

const WINDOWS_PROGRAMS = [
  String.raw`Google\Chrome\Application\chrome.exe`,
  String.raw`Chromium\Application\chrome.exe`,
  String.raw`Microsoft\Edge\Application\msedge.exe`,
] as const;

/** The executable's path; undefined where none is installed. Throws where DROVE_BROWSER names nothing that can be run. */
export function findBrowser(surroundings: Surroundings = THIS_MACHINE): string | undefined {
  const { environment, exists } = surroundings;
  const named = environment["DROVE_BROWSER"];
  if (named) {
    const found = [named, ...onPath(surroundings, named)].find(exists);
    if (found) return found;
    throw new BrowserError(
      `DROVE_BROWSER names ${named}, which cannot be run; set it to a Chrome, Chromium or Edge, or unset it.`,
    );
  }
  return candidates(surroundings).find(exists);
}

/** As `findBrowser`, and where that finds none, what Playwright may have downloaded (`install.ts`). */
export async function locateBrowser(): Promise<string | undefined> {
  const found = findBrowser();
  if (found) return found;
  // Only now: loading Playwright takes 0.3 s.
  const { chromium } = await import("playwright");
  const downloaded = chromium.executablePath();
  return isExecutable(downloaded) ? downloaded : undefined;
}

function candidates(surroundings: Surroundings): string[] {
  const { platform, environment } = surroundings;
  if (platform === "darwin") {
    const folders = [
      "/Applications",
      ...(environment["HOME"] ? [posix.join(environment["HOME"], "Applications")] : []),
    ];
    return folders.flatMap((folder) => MAC_APPLICATIONS.map((application) => posix.join(folder, application)));
  }
  if (platform === "win32") {
    const roots = ["PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"].flatMap((name) => environment[name] ?? []);
    return WINDOWS_PROGRAMS.flatMap((program) => roots.map((root) => win32.join(root, program)));
  }
  return [...LINUX_NAMES.flatMap((name) => onPath(surroundings, name)), ...LINUX_PATHS];
}

function onPath({ platform, environment }: Surroundings, name: string): string[] {
  const path = platform === "win32" ? win32 : posix;
  if (name.includes("/") || name.includes("\\")) return [];
  const folders = (environment["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => path.join(folder, name));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
