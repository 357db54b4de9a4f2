/** What can be taken home: each file is asked for with the token, shown as it comes, and handed to the browser to save. */

import { byId, make, setText } from "./dom.ts";
import { bytes, percent } from "./format.ts";
import { TokenRefused, type OperatorApi } from "./operator_api.ts";

interface Format {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly extension: string;
}

const FORMATS: readonly Format[] = [
  { name: "safetensors", title: "Weights", about: "safetensors: the center as it is now", extension: ".safetensors" },
  { name: "onnx", title: "ONNX model", about: "for ONNX Runtime and what reads it", extension: ".onnx" },
  { name: "card", title: "Model card", about: "data, solver, accuracy, who took part", extension: ".md" },
  { name: "metrics", title: "Metrics", about: "JSON lines: every evaluation", extension: ".jsonl" },
  { name: "tensorboard", title: "TensorBoard", about: "an event file with the curves", extension: ".tfevents" },
  { name: "events", title: "Event log", about: "all that happened; can be replayed", extension: ".jsonl" },
];

export class ExportPanel {
  readonly #api: OperatorApi;
  readonly #buttons: HTMLButtonElement[] = [];
  readonly #note = byId("home-note", HTMLElement);
  #run = "run";
  #isClosed = false;

  constructor(api: OperatorApi) {
    this.#api = api;
    byId("exports", HTMLUListElement).append(...FORMATS.map((format) => this.#entryOf(format)));
  }

  /** `isClosed`: in a replay, where there is no center. */
  show(run: string, isClosed: boolean): void {
    this.#run = run;
    if (isClosed !== this.#isClosed) for (const button of this.#buttons) button.disabled = isClosed;
    this.#isClosed = isClosed;
    setText(
      this.#note,
      isClosed
        ? "Exports are of the center as it is now, not of a replay: go back to live, or use drove export."
        : "The center as it is now, and what the run recorded.",
    );
  }

  #entryOf(format: Format): HTMLElement {
    const entry = make("li");
    const button = make("button", "", format.title);
    button.type = "button";
    button.dataset["format"] = format.name;
    const about = make("span", "small", format.about);
    const said = make("span", "small said");
    said.setAttribute("role", "status");
    button.addEventListener("click", () => void this.#download(format, button, said));
    this.#buttons.push(button);
    entry.append(button, about, said);
    return entry;
  }

  async #download(format: Format, button: HTMLButtonElement, said: HTMLElement): Promise<void> {
    button.disabled = true;
    said.classList.remove("problem");
    setText(said, "Asking…");
    const problem = await this.#fetched(format, said);
    button.disabled = this.#isClosed;
    if (problem === undefined) return;
    said.classList.add("problem");
    setText(said, problem);
  }

  /** A sentence where it failed. */
  async #fetched({ name, extension }: Format, said: HTMLElement): Promise<string | undefined> {
    try {
      const response = await this.#api.ask(`api/operator/export/${name}`);
      if (!response.ok || response.body === null) {
        const words = (await response.text()).trim();
        return words === "" ? `The coordinator did not give it (HTTP ${response.status}).` : words;
      }
      const blob = await receivedOf(response, response.body, (words) => setText(said, words));
      save(blob, fileNameOf(response) ?? `${this.#run}${extension}`);
      setText(said, `Saved, ${bytes(blob.size)}`);
      return undefined;
    } catch (error) {
      return error instanceof TokenRefused
        ? "The coordinator did not take the token; enter it again above."
        : "It did not come through; try again when the coordinator answers.";
    }
  }
}

async function receivedOf(
  response: Response,
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  say: (words: string) => void,
): Promise<Blob> {
  const length = Number(response.headers.get("content-length") ?? 0);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let received = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    received += value.byteLength;
    say(length > 0 ? `${percent(received / length, 0)} of ${bytes(length)}` : bytes(received));
  }
  return new Blob(parts, { type: response.headers.get("content-type") ?? "application/octet-stream" });
}

function save(blob: Blob, fileName: string): void {
  const link = make("a");
  link.href = URL.createObjectURL(blob);
  link.download = fileName;
  link.click();
  // The browser has its own copy once the download began.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** As the coordinator calls it. */
function fileNameOf(response: Response): string | undefined {
  return /filename="([^"/\\]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1];
}
