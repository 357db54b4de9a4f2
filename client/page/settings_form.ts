/** The form by which settings are changed while the run trains: what is filled in is checked here, sent at once, and answered beside it. */

import type { OperatorAnswer, OperatorChanges, OperatorRequest } from "../../shared/operator.ts";
import { SETTING_WORDS } from "../../shared/run_event_words.ts";
import type { RunChange, RunView } from "../../shared/run_view.ts";
import { byId, make, setText } from "./dom.ts";
import { say } from "./said_answer.ts";
import { readSetting, SETTING_FIELDS, type SettingField } from "./setting_fields.ts";

const UNCHANGED = "";

/** One setting: its name, what holds now, and what shall hold. */
class SettingRow {
  readonly element = make("div", "setting");
  readonly field: SettingField;
  readonly #present = make("span", "present");
  readonly #problem = make("p", "problem");
  readonly #accepted = make("span", "small accepted");
  readonly #number = make("input");
  readonly #way: HTMLSelectElement | undefined;
  #isClosed = false;
  #whyNot: string | undefined;

  constructor(field: SettingField) {
    this.field = field;
    const id = `set-${field.setting}`;
    const label = make("label", "", field.label);
    this.#number.id = id;
    this.#number.type = "text";
    this.#number.inputMode = "decimal";
    this.#number.autocomplete = "off";
    this.#number.setAttribute("aria-describedby", `${id}-now ${id}-accepted ${id}-problem`);
    this.#present.id = `${id}-now`;
    this.#accepted.id = `${id}-accepted`;
    this.#problem.id = `${id}-problem`;
    const inputs = make("div", "inputs");
    if (field.ways.length > 1) {
      this.#way = this.#makeWays(field, id);
      inputs.append(this.#way);
      label.htmlFor = this.#way.id;
      this.#number.setAttribute("aria-label", `${field.label}: value`);
    } else {
      label.htmlFor = id;
    }
    inputs.append(this.#number, this.#accepted);
    this.element.append(label, this.#present, inputs, this.#problem);
    this.#number.addEventListener("input", () => this.#complain(undefined));
    this.#showWay();
  }

  /** What holds now, and whether it can be changed at all. */
  show(view: RunView, isClosed: boolean): void {
    this.#whyNot = this.field.whyNot(view.solver);
    this.#isClosed = isClosed || this.#whyNot !== undefined;
    setText(this.#present, this.#whyNot ?? `now ${this.field.present(view)}`);
    this.element.classList.toggle("not-there", this.#whyNot !== undefined);
    this.#showWay();
  }

  /** What was filled in: nothing, changes, or a problem, which is shown. */
  read(): OperatorChanges | { readonly problem: string } | undefined {
    const way = this.#chosen;
    const isUntouched = way === undefined || (this.#way === undefined && this.#number.value.trim() === "");
    if (this.#isClosed || isUntouched) return undefined;
    const read = readSetting(this.field, way, this.#number.value);
    this.#complain("problem" in read ? read.problem : undefined);
    return read;
  }

  clear(): void {
    this.#number.value = "";
    if (this.#way !== undefined) this.#way.value = UNCHANGED;
    this.#complain(undefined);
    this.#showWay();
  }

  focus(): void {
    this.#number.focus();
  }

  get #chosen(): SettingField["ways"][number] | undefined {
    if (this.#way === undefined) return this.field.ways[0];
    return this.#way.value === UNCHANGED ? undefined : this.field.ways[Number(this.#way.value)];
  }

  #makeWays({ ways }: SettingField, id: string): HTMLSelectElement {
    const select = make("select");
    select.id = `${id}-way`;
    const titles = ["as it is", ...ways.map(({ title }) => title)];
    titles.forEach((title, index) => {
      const option = make("option", "", title);
      option.value = index === 0 ? UNCHANGED : String(index - 1);
      select.append(option);
    });
    select.addEventListener("change", () => {
      this.#complain(undefined);
      this.#showWay();
    });
    return select;
  }

  #showWay(): void {
    const accepted = this.#chosen?.accepted;
    const isAsked = accepted !== undefined;
    this.#number.hidden = !isAsked;
    this.#number.disabled = this.#isClosed;
    if (this.#way !== undefined) this.#way.disabled = this.#isClosed;
    this.#accepted.hidden = !isAsked || this.#whyNot !== undefined;
    setText(this.#accepted, accepted ?? "");
  }

  #complain(problem: string | undefined): void {
    setText(this.#problem, problem ?? "");
    this.#number.setAttribute("aria-invalid", String(problem !== undefined));
  }
}

export class SettingsForm {
  readonly #rows = SETTING_FIELDS.map((field) => new SettingRow(field));
  readonly #answer = byId("settings-answer", HTMLElement);
  readonly #apply = byId("apply", HTMLButtonElement);
  readonly #clear = byId("clear-settings", HTMLButtonElement);
  readonly #send: (request: OperatorRequest) => Promise<OperatorAnswer>;

  constructor(send: (request: OperatorRequest) => Promise<OperatorAnswer>) {
    this.#send = send;
    byId("setting-rows", HTMLElement).append(...this.#rows.map(({ element }) => element));
    const form = byId("settings", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    form.addEventListener("reset", () => {
      for (const row of this.#rows) row.clear();
      setText(this.#answer, "");
    });
  }

  /** `isClosed`: in a replay, and when the run is over. */
  show(view: RunView, isClosed: boolean): void {
    for (const row of this.#rows) row.show(view, isClosed);
    this.#apply.disabled = isClosed;
    this.#clear.disabled = isClosed;
  }

  async #submit(): Promise<void> {
    const read = this.#rows.map((row) => ({ row, changes: row.read() }));
    const wrong = read.find(({ changes }) => changes !== undefined && "problem" in changes);
    if (wrong !== undefined) {
      wrong.row.focus();
      return;
    }
    const changes: OperatorChanges = Object.assign({}, ...read.map(({ changes: some }) => some ?? {}));
    if (Object.keys(changes).length === 0) {
      say(this.#answer, { problem: "Nothing is filled in, so nothing was changed." });
      return;
    }
    this.#apply.disabled = true;
    const answer = await this.#send({ kind: "retune", changes });
    this.#apply.disabled = false;
    say(this.#answer, inWords(answer));
    if (!("problem" in answer)) for (const row of this.#rows) row.clear();
  }
}

/** The coordinator speaks of settings as the run file names them; people here know them by their labels. */
function inWords(answer: OperatorAnswer): OperatorAnswer {
  const names = new RegExp(`"?\\b(${SETTING_FIELDS.map(({ setting }) => setting).join("|")})\\b"?`, "g");
  const replaced = (text: string): string => {
    const words = text.replaceAll(names, (_found, name: RunChange["setting"]) => SETTING_WORDS[name]);
    return words.charAt(0).toUpperCase() + words.slice(1);
  };
  return "problem" in answer ? { problem: replaced(answer.problem) } : { done: replaced(answer.done) };
}
