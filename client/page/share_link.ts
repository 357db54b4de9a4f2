/** The link that makes volunteers, and a button that copies it, with a way out where the clipboard is closed. */

import { isLoopback, volunteerAddress } from "./addresses.ts";
import { byId, setText } from "./dom.ts";

const SAID_FOR_MS = 2500;

export function startShareLink(): void {
  const link = byId("link", HTMLElement);
  const button = byId("copy", HTMLButtonElement);
  const advice = byId("link-advice", HTMLElement);
  setText(link, volunteerAddress());
  if (isLoopback(location.hostname)) {
    advice.hidden = false;
    setText(
      advice,
      "This address works on this machine only. To invite others, start the coordinator on an address that they can reach, over https: browsers open the GPU to nothing less.",
    );
  } else if (!window.isSecureContext) {
    advice.hidden = false;
    setText(
      advice,
      "Over plain http, volunteers can train on their processor only: browsers open the GPU to https pages alone.",
    );
  }
  button.addEventListener("click", () => {
    void copyAndSay(link, button);
  });
}

async function copyAndSay(link: HTMLElement, button: HTMLElement): Promise<void> {
  const copied = await copy(link);
  setText(button, copied ? "Copied" : "Press Ctrl+C");
  setTimeout(() => setText(button, "Copy link"), SAID_FOR_MS);
}

/** Where the clipboard is not to be had (plain http, no permission), the link is selected for copying by hand. */
async function copy(link: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(link.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(link);
    return false;
  }
}
