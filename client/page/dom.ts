/** The few things that both pages do with the DOM: find what the HTML promises, make elements, and write only what changed. */

/** The element that the page's HTML has under `id`; its absence is a mistake of ours, hence the throw. */
export function byId<T extends Element>(id: string, type: abstract new () => T): T {
  const found = document.querySelector(`#${id}`);
  if (!(found instanceof type)) throw new Error(`The page lacks <${type.name}> #${id}.`);
  return found;
}

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  if (text !== "") element.textContent = text;
  return element;
}

/** Leaves the DOM alone where nothing changed, so that screen readers and selections are not disturbed. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Writes into elements of the page's HTML, found once by id. */
export class Fields<Name extends string> {
  readonly #elements: ReadonlyMap<Name, HTMLElement>;

  constructor(names: readonly Name[]) {
    this.#elements = new Map(names.map((name) => [name, byId(name, HTMLElement)]));
  }

  write(name: Name, text: string): void {
    const element = this.#elements.get(name);
    if (element !== undefined) setText(element, text);
  }
}
