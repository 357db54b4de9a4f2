/** Hands the run's link on: as text, by the system's own sharing where there is one, and as a QR code that is drawn here. */

import { volunteerAddress } from "./addresses.ts";
import { byId, setText } from "./dom.ts";
import { startShareLink } from "./share_link.ts";

const SVG = "http://www.w3.org/2000/svg";
/** Modules of white around the code, as its standard asks for. */
const QUIET_ZONE = 4;

export function startInvitation(title: () => string): void {
  startShareLink();
  const send = byId("send", HTMLButtonElement);
  send.hidden = typeof (navigator as { share?: unknown }).share !== "function";
  send.addEventListener("click", () => {
    void navigator.share({ title: title(), url: volunteerAddress() }).catch(() => {
      // The volunteer changed their mind.
    });
  });
  const button = byId("qr-button", HTMLButtonElement);
  const box = byId("qr", HTMLElement);
  button.addEventListener("click", () => void toggle(button, box));
}

async function toggle(button: HTMLButtonElement, box: HTMLElement): Promise<void> {
  const isShown = box.hidden;
  box.hidden = !isShown;
  button.setAttribute("aria-expanded", String(isShown));
  setText(button, isShown ? "Hide QR code" : "Show QR code");
  if (box.childElementCount === 0) box.append(await draw(volunteerAddress()));
}

async function draw(address: string): Promise<SVGElement> {
  const { encode } = await import("uqr");
  const { size, data } = encode(address, { ecc: "M", border: QUIET_ZONE });
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `QR code of ${address}`);
  const path = document.createElementNS(SVG, "path");
  const squares = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : [])));
  path.setAttribute("d", squares.join(""));
  svg.append(path);
  return svg;
}
