/** Where fetched data sets are kept: one folder per user, outside any project, safe to remove. */

import { homedir } from "node:os";
import { join } from "node:path";

/** `$DROVE_DATA`, else `drove/data` in the system's place for caches (on Linux `$XDG_CACHE_HOME` or `~/.cache`). */
export function dataCacheFolder(environment: NodeJS.ProcessEnv = process.env, platform = process.platform): string {
  const { DROVE_DATA, XDG_CACHE_HOME, LOCALAPPDATA } = environment;
  if (DROVE_DATA) return DROVE_DATA;
  return join(XDG_CACHE_HOME || systemCache(platform, LOCALAPPDATA), "drove", "data");
}

function systemCache(platform: NodeJS.Platform, localAppData: string | undefined): string {
  if (platform === "win32") return localAppData || join(homedir(), "AppData", "Local");
  return platform === "darwin" ? join(homedir(), "Library", "Caches") : join(homedir(), ".cache");
}
