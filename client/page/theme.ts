/**
 * Light or dark: as the system says, until the button says otherwise; the choice is kept on this machine. Whoever paints
 * outside of CSS (the charts' canvas) asks `colorOf` and is told when the colours change.
 */

import { byId, setText } from "./dom.ts";

const STORED = "drove-theme";
const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
const colors = new Map<string, string>();

export function onThemeChange(listener: () => void): void {
  listeners.add(listener);
}

export function startTheme(): void {
  const button = byId("theme", HTMLButtonElement);
  const show = (): void => {
    const chosen = read();
    if (chosen === undefined) delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = chosen;
    setText(button, isDark() ? "Light" : "Dark");
    button.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`);
    colors.clear();
    for (const listener of listeners) listener();
  };
  button.addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    write(next === (systemIsDark.matches ? "dark" : "light") ? undefined : next);
    show();
  });
  systemIsDark.addEventListener("change", show);
  show();
}

/** The resolved colour of a custom property such as `--accent`. */
export function colorOf(property: string): string {
  const known = colors.get(property);
  if (known !== undefined) return known;
  const probe = byId("probe", HTMLElement);
  probe.style.color = `var(${property})`;
  const { color } = getComputedStyle(probe);
  colors.set(property, color);
  return color;
}

function isDark(): boolean {
  return (read() ?? (systemIsDark.matches ? "dark" : "light")) === "dark";
}

/** Storage may be forbidden; then the system's choice stands. */
function read(): "light" | "dark" | undefined {
  try {
    const stored = localStorage.getItem(STORED);
    return stored === "light" || stored === "dark" ? stored : undefined;
  } catch {
    return undefined;
  }
}

function write(theme: "light" | "dark" | undefined): void {
  try {
    if (theme === undefined) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, theme);
  } catch {
    // Without storage the button has no memory, and nothing else depends on it.
  }
}
