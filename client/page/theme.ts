/**
 * Light or dark: as the system says, until the button says otherwise; the choice is kept on this machine. Whoever paints
 * outside of CSS (the charts' canvas) asks `colorOf` and is told when the colours change.
 */

import { byId, setText } from "./dom.ts";
import { readStored, store } from "./stored.ts";

const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let chosenTheme = readStored().theme;
const colors = new Map<string, string>();

export function onThemeChange(listener: () => void): void {
  listeners.add(listener);
}

export function startTheme(): void {
  const button = byId("theme", HTMLButtonElement);
  const show = (): void => {
    if (chosenTheme === undefined) delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = chosenTheme;
    setText(button, isDark() ? "Light" : "Dark");
    button.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`);
    colors.clear();
    for (const listener of listeners) listener();
  };
  button.addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    chosenTheme = next === (systemIsDark.matches ? "dark" : "light") ? undefined : next;
    store({ theme: chosenTheme });
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
  return (chosenTheme ?? (systemIsDark.matches ? "dark" : "light")) === "dark";
}
