import { expect, test } from "vitest";
import { findBrowser, type Surroundings } from "../../coordinator/browser/find.ts";
import { installWays } from "../../coordinator/browser/install.ts";
import { browserArguments } from "../../coordinator/browser/raw_browser.ts";
import { volunteerUrl } from "../../coordinator/browser/swarm.ts";

function machine(
  platform: NodeJS.Platform,
  environment: Record<string, string>,
  files: readonly string[],
): Surroundings {
  return { platform, environment, exists: (path) => files.includes(path) };
}

test("DROVE_BROWSER goes first, as a path or as a name on the PATH, and is refused where it names nothing", () => {
  const files = ["/usr/bin/chromium", "/opt/mine/chrome"];
  const found = (named: string): string | undefined =>
    findBrowser(machine("linux", { DROVE_BROWSER: named, PATH: "/usr/bin:/opt/mine" }, files));
  expect(found("/opt/mine/chrome")).toBe("/opt/mine/chrome");
  expect(found("chromium")).toBe("/usr/bin/chromium");
  expect(found("")).toBe("/opt/mine/chrome");
  expect(() => found("/opt/gone")).toThrow(/DROVE_BROWSER names \/opt\/gone, which cannot be run; set it/);
});

test.each([
  [
    "linux",
    { PATH: "/usr/local/bin:/usr/bin" },
    ["/usr/bin/chromium", "/usr/bin/google-chrome"],
    "/usr/bin/google-chrome",
  ],
  ["linux", { PATH: "/home/a/bin" }, ["/home/a/bin/microsoft-edge"], "/home/a/bin/microsoft-edge"],
  ["linux", {}, ["/snap/bin/chromium"], "/snap/bin/chromium"],
  ["linux", { PATH: "/usr/bin" }, ["/usr/bin/firefox"], undefined],
  [
    "darwin",
    { HOME: "/Users/a" },
    [
      "/Users/a/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
      "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ],
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
  ],
  [
    "win32",
    { PROGRAMFILES: String.raw`C:\Program Files`, LOCALAPPDATA: String.raw`C:\Users\a\AppData\Local` },
    [
      String.raw`C:\Program Files\Microsoft\Edge\Application\msedge.exe`,
      String.raw`C:\Users\a\AppData\Local\Google\Chrome\Application\chrome.exe`,
    ],
    String.raw`C:\Users\a\AppData\Local\Google\Chrome\Application\chrome.exe`,
  ],
] as const)("On %s with %o and %o the browser is %s", (platform, environment, files, expected) => {
  expect(findBrowser(machine(platform, environment, files))).toBe(expected);
});

/** The last words of every command, way by way. */
function commands(isRoot: boolean, osRelease: string, platform: NodeJS.Platform = "linux"): string[][] {
  return installWays({ platform, isRoot, osRelease }).map((way) =>
    way.map((step) => step.arguments.slice(-3).join(" ")),
  );
}

test("Debian's root takes the distribution's package, everybody else Playwright's download", () => {
  expect(commands(true, "NAME=x\nID=debian\n")[0]).toEqual(["update", "-y --no-install-recommends chromium"]);
  expect(commands(true, "NAME=x\nID=debian\n")[1]).toEqual(["chromium --no-shell --with-deps"]);
  // Ubuntu's package is a pointer to a snap.
  expect(commands(true, "ID=ubuntu\nID_LIKE=debian\n")).toEqual([["chromium --no-shell --with-deps"]]);
  expect(commands(false, "ID=debian\n")).toEqual([["install chromium --no-shell"]]);
  expect(commands(true, "ID=fedora\n")).toEqual([["install chromium --no-shell"]]);
  expect(commands(false, "", "darwin")).toEqual([["install chromium --no-shell"]]);
});

test("Only root on Linux goes without a sandbox, and only a small /dev/shm is avoided", () => {
  const launch = { executable: "chromium", url: "http://127.0.0.1:1/?start=1", flags: ["--mine"] };
  const large = { platform: "linux", isRoot: false, sharedMemoryBytes: 2 ** 33 } as const;
  const flags = browserArguments(launch, "/tmp/p", large);
  expect(flags).toContain("--enable-automation");
  expect(flags).toContain("--user-data-dir=/tmp/p");
  expect(flags.slice(-2)).toEqual(["--mine", "--app=http://127.0.0.1:1/?start=1"]);
  expect(flags).not.toContain("--no-sandbox");
  expect(flags).not.toContain("--disable-dev-shm-usage");
  expect(browserArguments(launch, "/tmp/p", { ...large, isRoot: true })).toContain("--no-sandbox");
  expect(browserArguments(launch, "/tmp/p", { ...large, platform: "darwin", isRoot: true })).not.toContain(
    "--no-sandbox",
  );
  expect(browserArguments(launch, "/tmp/p", { ...large, sharedMemoryBytes: 2 ** 26 })).toContain(
    "--disable-dev-shm-usage",
  );
});

test("The volunteer page keeps its address and is told to start", () => {
  expect(volunteerUrl({ url: "http://127.0.0.1:8080", backend: "auto", threads: 2 })).toBe(
    "http://127.0.0.1:8080/?start=1&backend=auto&threads=2",
  );
  expect(volunteerUrl({ url: "http://127.0.0.1:8080", backend: "auto", threads: 2, dutyCycle: 0.1 })).toBe(
    "http://127.0.0.1:8080/?start=1&backend=auto&threads=2&duty=0.1",
  );
  expect(volunteerUrl({ url: "https://lab.example/run/?key=a%20b", backend: "wasm", threads: 1 })).toBe(
    "https://lab.example/run/?key=a+b&start=1&backend=wasm&threads=1",
  );
});
