/**
 * The run's token, which the coordinator printed: from the link's fragment, which no server sees and which is cleared at once, or asked for
 * by a form. Kept for this tab alone, until it is closed.
 */

import { byId, setText } from "./dom.ts";

const STORED = "drove-operator-token";

export interface Fragment {
  readonly token: string | undefined;
  /** The run that is to be shown again, as `drove replay` links to it. */
  readonly replay: string | undefined;
}

/** What the link brought, taken out of the address bar. */
export function takeFragment(): Fragment {
  const { token, replay } = readFragment(location.hash);
  if (token !== undefined) {
    history.replaceState(null, "", location.pathname + location.search);
    store(token);
  }
  return { token: token ?? stored(), replay };
}

function readFragment(hash: string): Fragment {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  return { token: fields.get("token") ?? undefined, replay: fields.get("replay") ?? undefined };
}

export class TokenForm {
  readonly #card = byId("token-card", HTMLElement);
  readonly #input = byId("token", HTMLInputElement);
  readonly #problem = byId("token-problem", HTMLElement);

  /** `given` is told every token that is entered. */
  constructor(given: (token: string) => void) {
    byId("token-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#input.value.trim();
      if (text === "") return;
      // People paste the link that was printed.
      const token = text.includes("#") ? readFragment(text.slice(text.indexOf("#"))).token : text;
      if (token === undefined) {
        setText(this.#problem, "This link has no token in it; it ends with #token= and the token.");
        return;
      }
      this.#input.value = "";
      store(token);
      given(token);
    });
  }

  /** `problem`: why the token is asked for again. */
  ask(problem = ""): void {
    if (problem !== "") forget();
    const isNew = this.#card.hidden;
    this.#card.hidden = false;
    document.body.classList.add("locked");
    setText(this.#problem, problem);
    if (isNew) this.#input.focus();
  }

  accepted(): void {
    if (this.#card.hidden && !document.body.classList.contains("locked")) return;
    this.#card.hidden = true;
    document.body.classList.remove("locked");
    setText(this.#problem, "");
  }
}

/** Storage may be forbidden; then the token lives as long as the page. */
function stored(): string | undefined {
  try {
    return sessionStorage.getItem(STORED) ?? undefined;
  } catch {
    return undefined;
  }
}

function store(token: string): void {
  try {
    sessionStorage.setItem(STORED, token);
  } catch {
    // It is asked for again after a reload, and nothing else depends on it.
  }
}

function forget(): void {
  try {
    sessionStorage.removeItem(STORED);
  } catch {
    // There was none to remove then.
  }
}
